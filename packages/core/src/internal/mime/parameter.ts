/**
 * Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2231).
 */
import * as EncodedWord from "./encodedWord.ts"

/** Longer values are not put in quotes but cut into sections, so that no line grows past 78. */
const maxQuoted = 60
const maxSection = 54

const quotable = /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/

const isSimple = (value: string): boolean =>
  value.length <= maxQuoted &&
  quotable.test(value) &&
  !EncodedWord.looksEncoded(value) &&
  value.charCodeAt(0) !== 0x20 &&
  value.charCodeAt(value.length - 1) !== 0x20

/** `; filename="…"` in quotes where that is enough, else by RFC 2231; each on a line of its own. */
export const extended = (name: string, value: string): string => {
  if (isSimple(value)) return `;\r\n ${name}="${value}"`
  const sections = cut(value)
  if (sections.length === 1) return `;\r\n ${name}*=UTF-8''${sections[0]}`
  return sections.map((section, index) => `;\r\n ${name}*${index}*=${index === 0 ? "UTF-8''" : ""}${section}`).join("")
}

/**
 * `; name="…"` with encoded-words in it where ASCII is not enough. RFC 2047 §5 forbids it, yet mail programs that know
 * no RFC 2231 read nothing else, and those that do look at `filename` first.
 */
export const compatible = (name: string, value: string): string =>
  isSimple(value) ? `;\r\n ${name}="${value}"` : `;\r\n ${name}="${EncodedWord.encode(value, name.length + 3, 2)}"`

/** Percent-encoded pieces, never splitting a character. */
const cut = (value: string): ReadonlyArray<string> => {
  const sections: Array<string> = []
  let section = ""
  for (const character of value.toWellFormed()) {
    const encoded = percentEncode(character)
    if (section.length + encoded.length > maxSection) {
      sections.push(section)
      section = ""
    }
    section += encoded
  }
  sections.push(section)
  return sections
}

/** Leaves an attribute-char of RFC 2231 §7 as it is. */
const percentEncode = (character: string): string =>
  /^[\w!#$&+.^`{|}~-]$/.test(character)
    ? character
    : encodeURIComponent(character).replace(/['()*!]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
