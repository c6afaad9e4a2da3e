/**
 * A text as a MIME entity, in the plainest transfer encoding that carries it through any relay (RFC 2045 §6).
 */
import * as MimeEntity from "./entity.ts"
import * as QuotedPrintable from "./quotedPrintable.ts"

/** The longest line without its CRLF (RFC 5322 §2.1.1). */
const maxLine = 998

/** Anything but printable ASCII, tab and line breaks. */
const special = /[^\t\n\r\x20-\x7e]/

/**
 * Makes an entity of a text: its line breaks become CRLF, half characters (lone surrogates) U+FFFD. A byte order mark in front of
 * it is dropped.
 *
 * `contentType` is given without a charset. With `eightBit`, text above ASCII goes out as UTF-8 bytes.
 */
export const make = (contentType: string, text: string, eightBit = false): MimeEntity.Entity => {
  const lines = toCrlf(withoutMark(text))
  const header = `Content-Type: ${contentType}; charset=utf-8\r\nContent-Transfer-Encoding: `
  if (hasShortLines(lines) && !lines.includes(MimeEntity.delimiterMark) && !hasFromLine(lines)) {
    if (!special.test(lines)) return { header: `${header}7bit\r\n`, body: [lines], eightBit: false }
    const bytes = eightBit && !control.test(lines) ? Buffer.from(lines).toString("latin1") : undefined
    if (bytes !== undefined && hasShortLines(bytes))
      return { header: `${header}8bit\r\n`, body: [bytes], eightBit: true }
  }
  return isMostlyAscii(lines)
    ? { header: `${header}quoted-printable\r\n`, body: [QuotedPrintable.encode(lines)], eightBit: false }
    : { header: `${header}base64\r\n`, body: [{ base64: Buffer.from(lines) }], eightBit: false }
}

/** The text without the byte order mark of the file that it was read from. A calendar must begin with its first line. */
export const withoutMark = (text: string): string => (text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)

/** The text with CRLF for each line break, however it was written. */
export const toCrlf = (text: string): string => {
  if (!text.includes("\r")) return text.includes("\n") ? text.replaceAll("\n", "\r\n") : text
  return text.replace(/\r\n|\r|\n/g, "\r\n")
}

/** True if no line, ended by CRLF, is longer than mail allows. */
export const hasShortLines = (lines: string): boolean => {
  for (let start = 0; lines.length - start > maxLine;) {
    const end = lines.indexOf("\r\n", start)
    if (end === -1 || end - start > maxLine) return false
    start = end + 2
  }
  return true
}

const control = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/

/** Mailbox files put a `>` before such a line, which breaks signatures (RFC 2049 §3). */
const hasFromLine = (lines: string): boolean => lines.startsWith("From ") || lines.includes("\nFrom ")

/**
 * True if quoted-printable comes out shorter than base64, which takes four bytes for three.
 *
 * UTF-8 takes one or two bytes more than UTF-16 has units for what is above ASCII; twice that is about how many bytes
 * are above 127, each of which quoted-printable writes as three.
 */
export const isMostlyAscii = (lines: string): boolean => {
  const bytes = Buffer.byteLength(lines)
  return bytes + 4 * (bytes - lines.length) <= (bytes * 4) / 3 + 64
}
