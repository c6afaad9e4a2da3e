/**
 * Header fields (RFC 5322 §2.2): written in ASCII, folded at 78 columns where there is a place for it and never past
 * 998, and never holding a line break that was not put there by folding.
 *
 * Folds are made only at a single space between two words, because readers disagree on what becomes of several.
 */
import type { Mailbox } from "../../Mailbox.ts"
import * as Address from "../../Address.ts"
import * as EncodedWord from "./encodedWord.ts"
import type * as StructuredValue from "./structuredValue.ts"

const softLimit = 78

/** The same for a line with an encoded-word in it (RFC 2047 §2). */
const wordLimit = 76

const hardLimit = 998

/** A field whose value is free text, as a subject. The value must hold no CR, LF or NUL. */
export const unstructured = (name: string, value: string): string =>
  name.length + 2 + value.length <= softLimit && isPlainText(value)
    ? `${name}: ${value}\r\n`
    : `${name}:${separated(freeText(value, name.length + 2))}\r\n`

/** A field whose value is plain ASCII as it is; `undefined` if it holds anything else, or cannot be folded. */
export const folded = (name: string, value: string): string | undefined => {
  const lines = isPlainText(value) ? fold(value, name.length + 2) : undefined
  return lines === undefined ? undefined : `${name}: ${lines}\r\n`
}

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
  const line = new FieldLine(name)
  for (let i = 0; i < list.length; i++) {
    const { address, name: displayName } = list[i]!
    const comma = i < list.length - 1 ? "," : ""
    const spec = addressText(address)
    if (displayName === undefined) {
      line.add(spec + comma)
      continue
    }
    const phrase = shortPhrase(displayName)
    if (phrase === undefined) line.addWords(displayName)
    else line.add(phrase)
    line.add(`<${spec}>${comma}`)
  }
  return line.end()
}

/**
 * A field whose value is phrases, comments and what stands in angle brackets; `undefined` when a piece is longer than a
 * line may be.
 */
export const structured = (name: string, pieces: ReadonlyArray<StructuredValue.Piece>): string | undefined => {
  const line = new FieldLine(name)
  for (const piece of pieces)
    if (piece._tag === "Words") line.addWords(piece.text, piece.opening, piece.closing)
    else if (piece.text.length > hardLimit - 1) return undefined
    else line.add(piece.text)
  return line.end()
}

/** A field that is written piece by piece, each on the line of the one before while there is room. */
class FieldLine {
  private out: string
  private column: number
  private limit = softLimit
  private isFirst = true

  constructor(name: string) {
    this.out = `${name}:`
    this.column = this.out.length
  }

  /** Adds what must not be broken. */
  add(part: string): void {
    if (!this.isFirst && this.column + 1 + part.length > this.limit) {
      this.out += "\r\n"
      this.column = 0
      this.limit = softLimit
    }
    this.out += ` ${part}`
    this.column += 1 + part.length
    this.isFirst = false
  }

  /** Adds a text as encoded-words. */
  addWords(text: string, opening = "", closing = ""): void {
    const words = EncodedWord.encode(text, this.column + 1 + opening.length, opening.length + closing.length)
    const written = opening === "" || !words.startsWith("\r\n ") ? opening + words : `\r\n ${opening}${words.slice(3)}`
    this.out += separated(written) + closing
    const lastBreak = written.lastIndexOf("\n")
    this.column =
      (lastBreak === -1 ? this.column + 1 + written.length : written.length - lastBreak - 1) + closing.length
    this.limit = wordLimit
    this.isFirst = false
  }

  end(): string {
    return `${this.out}\r\n`
  }
}

/** With the space before it, unless it begins with a line break, before which a space would stand at a line's end. */
const separated = (text: string): string => (text.startsWith("\r\n") ? text : ` ${text}`)

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
