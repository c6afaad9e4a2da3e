/**
 * Header fields (RFC 5322 §2.2): written in ASCII, folded at 78 columns where there is a place for it and never past
 * 998, and never holding a line break that was not put there by folding.
 *
 * Folds are made only at a single space between two words, because readers disagree on what becomes of several.
 */
import type { Mailbox } from "../../Mailbox.ts"
import * as Address from "../../Address.ts"
import * as EncodedWord from "./encodedWord.ts"

const softLimit = 78
const hardLimit = 998

/** A field whose value is free text, as a subject. The value must hold no CR, LF or NUL. */
export const unstructured = (name: string, value: string): string =>
  name.length + 2 + value.length <= softLimit && isPlainText(value)
    ? `${name}: ${value}\r\n`
    : `${name}: ${freeText(value, name.length + 2)}\r\n`

/** A field whose value is made of parts that may each begin a new line, as Message-IDs. */
export const parts = (name: string, values: ReadonlyArray<string>, separator: string): string => {
  let out = `${name}:`
  let column = out.length
  for (let i = 0; i < values.length; i++) {
    const part = i < values.length - 1 ? values[i]! + separator : values[i]!
    if (i > 0 && column + 1 + part.length > softLimit) {
      out += "\r\n"
      column = 0
    }
    out += ` ${part}`
    column += 1 + part.length
  }
  return `${out}\r\n`
}

/** A field that lists mailboxes. */
export const mailboxes = (name: string, list: ReadonlyArray<Mailbox>): string => {
  let out = `${name}:`
  let column = out.length
  for (let i = 0; i < list.length; i++) {
    const { address, name: displayName } = list[i]!
    const comma = i < list.length - 1 ? "," : ""
    const spec = addressText(address)
    if (displayName === undefined) {
      const part = spec + comma
      if (i > 0 && column + 1 + part.length > softLimit) {
        out += "\r\n"
        column = 0
      }
      out += ` ${part}`
      column += 1 + part.length
      continue
    }
    const angled = `<${spec}>${comma}`
    const phrase = shortPhrase(displayName)
    if (phrase !== undefined) {
      if (i > 0 && column + 1 + phrase.length > softLimit) {
        out += "\r\n"
        column = 0
      }
      out += ` ${phrase}`
      column += 1 + phrase.length
    } else {
      const words = EncodedWord.encode(displayName, column + 1)
      out += ` ${words}`
      column = words.includes("\r\n") ? words.length - words.lastIndexOf("\n") - 1 : column + 1 + words.length
    }
    if (column + 1 + angled.length > softLimit) {
      out += "\r\n"
      column = 0
    }
    out += ` ${angled}`
    column += 1 + angled.length
  }
  return `${out}\r\n`
}

/** An address as it stands in a header: its domain in ASCII, and raw UTF-8 only for a local part that has no other. */
export const addressText = (address: Address.Address): string => Address.toAscii(address) ?? address

const printable = /^[\x20-\x7e]*$/

/** Text that a reader gets back letter for letter without any encoding. */
const isPlainText = (value: string): boolean =>
  printable.test(value) &&
  value.charCodeAt(0) !== 0x20 &&
  value.charCodeAt(value.length - 1) !== 0x20 &&
  !EncodedWord.looksEncoded(value)

const freeText = (value: string, column: number): string =>
  (isPlainText(value) ? fold(value, column) : undefined) ?? EncodedWord.encode(value, column)

/** Folds plain text; `undefined` when a line would pass the hard limit. */
const fold = (value: string, column: number): string | undefined => {
  let out = ""
  for (const word of value.split(/(?<=[^ ]) (?=[^ ])/)) {
    if (out !== "" && column + 1 + word.length > softLimit) {
      out += `\r\n ${word}`
      column = 1 + word.length
    } else {
      out += out === "" ? word : ` ${word}`
      column += word.length + 1
    }
    if (column > hardLimit) return undefined
  }
  return out
}

const atoms = /^[\w!#$%&'*+\-/=?^`{|}~]+(?: [\w!#$%&'*+\-/=?^`{|}~]+)*$/

/** Longer names are encoded, since encoded-words can be folded anywhere. */
const longestPhrase = 60

/** A name as atoms or a quoted string (RFC 5322 §3.2.5); `undefined` when only encoded-words can hold it. */
const shortPhrase = (name: string): string | undefined => {
  if (name.length > longestPhrase || !printable.test(name) || EncodedWord.looksEncoded(name)) return undefined
  return atoms.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`
}
