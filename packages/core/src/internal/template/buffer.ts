/**
 * The buffer in which a message is assembled, and the transfer encodings of its dynamic parts.
 *
 * Quoted-printable (RFC 2045 §6.7) is written piece by piece. A static piece was encoded once, as if it began a line, and
 * is copied; if its first line does not fit on the current one, a soft break precedes it. Text never fills a column past 75,
 * so that there is always room for the `=` of a soft break.
 */
import * as Base64 from "../mime/base64.ts"
import type { Chunk, Sink, Static } from "./steps.ts"

const lastColumn = 75

const literal = 0
const special = 1
const blank = 2
const from = 3
const lineBreak = 4

const kind = new Uint8Array(128).fill(special)
for (let code = 0x21; code <= 0x7e; code++) kind[code] = literal
kind[0x3d] = special
kind[0x09] = kind[0x20] = blank
kind[0x46] = from
kind[0x0a] = kind[0x0d] = lineBreak

const digits = Uint8Array.from("0123456789ABCDEF", (digit) => digit.charCodeAt(0))

const initialBytes = 32 * 1024
/** A buffer larger than this, in bytes, is released after use. */
const keptBytes = 1024 * 1024

/** A buffer for one message after the other. */
export class TemplateBuffer implements Sink {
  private bytes = Buffer.allocUnsafeSlow(initialBytes)
  private at = 0
  private column = 0
  /** Where the text of a base64 part begins, -1 outside of one. */
  private textStart = -1

  /** Begins a new message. */
  reset(): void {
    if (this.bytes.length > keptBytes) this.bytes = Buffer.allocUnsafeSlow(initialBytes)
    this.at = 0
    this.column = 0
    this.textStart = -1
  }

  /** Bytes written so far. */
  get length(): number {
    return this.at
  }

  /** A copy of the bytes written. */
  copy(): Buffer {
    const copy = Buffer.allocUnsafe(this.at)
    this.bytes.copy(copy, 0, 0, this.at)
    return copy
  }

  /** The bytes between two positions; the next message overwrites them. */
  view(start: number, end: number): Uint8Array {
    return this.bytes.subarray(start, end)
  }

  /** Writes a header. */
  header(text: string, encoding: "latin1" | "utf8"): void {
    this.reserve(encoding === "utf8" ? 3 * text.length : text.length)
    this.at += this.bytes.write(text, this.at, encoding)
  }

  /** Writes bytes unchanged. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  /** Begins a part in an encoding. */
  beginPart(encoding: Encoding): void {
    this.column = 0
    this.textStart = encoding === "base64" ? this.at : -1
  }

  /** Ends a part; a message's last line must end as well. */
  endPart(isLast: boolean): void {
    if (this.textStart !== -1) {
      const text = Buffer.from(this.bytes.subarray(this.textStart, this.at))
      this.at = this.textStart
      this.reserve(Base64.encodedLength(text.length))
      this.at = Base64.encodeInto(this.bytes, this.at, text)
      this.column = text.length
      this.textStart = -1
    } else {
      this.reserve(endBytes)
      this.keepBlank()
    }
    if (isLast && this.column > 0) {
      this.reserve(endBytes)
      this.hardBreak()
    }
  }

  static(step: Static): void {
    const chunk = step.chunk!
    if (this.textStart === -1) this.fit(chunk)
    this.raw(chunk.bytes)
    this.column = chunk.hasBreak ? chunk.endColumn : this.column + chunk.endColumn
  }

  value(text: string): void {
    if (this.textStart === -1) this.quoted(text)
    else {
      this.reserve(3 * text.length)
      this.at += this.bytes.write(toCrlf(text), this.at, "utf8")
    }
  }

  /** Writes text in quoted-printable; any line break becomes CRLF, half a character U+FFFD. */
  quoted(text: string): void {
    const { length } = text
    this.reserve(length * worstBytes + endBytes)
    const { bytes } = this
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      const sort = code < 0x80 ? kind[code]! : special
      if (this.column < lastColumn && (sort === literal || sort === blank)) {
        bytes[this.at++] = code
        this.column++
        continue
      }
      switch (sort) {
        case lineBreak:
          if (code === 0x0d && text.charCodeAt(i + 1) === 0x0a) i++
          this.keepBlank()
          this.hardBreak()
          break
        case special:
          i += this.encode(text, i, code)
          break
        default:
          if (this.column === lastColumn) this.softBreak()
          if (sort === from && this.column === 0 && mayBeFrom(text, i)) this.hex(code)
          else {
            bytes[this.at++] = code
            this.column++
          }
      }
    }
  }

  /** Writes a character as `=XX` for each of its bytes; returns how many UTF-16 units it took beyond the first. */
  private encode(text: string, i: number, code: number): number {
    if (code < 0x80) {
      if (this.column + 3 > lastColumn) this.softBreak()
      this.hex(code)
      return 0
    }
    let point = text.codePointAt(i)!
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd
    const size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    if (this.column + 3 * size > lastColumn) this.softBreak()
    this.hex((firstByte[size]! | (point >> (6 * (size - 1)))) & 0xff)
    for (let shift = 6 * (size - 2); shift >= 0; shift -= 6) this.hex(0x80 | ((point >> shift) & 0x3f))
    return size === 4 ? 1 : 0
  }

  private hex(byte: number): void {
    this.bytes[this.at++] = 0x3d
    this.bytes[this.at++] = digits[byte >> 4]!
    this.bytes[this.at++] = digits[byte & 15]!
    this.column += 3
  }

  /** Makes room on the line for a piece that was encoded as if it began one. */
  private fit(chunk: Chunk): void {
    this.reserve(endBytes)
    if (chunk.beginsWithBreak) this.keepBlank()
    else if (this.column + chunk.firstLine > (chunk.hasBreak ? lastColumn + 1 : lastColumn)) this.softBreak()
  }

  /** Encodes a blank at the end of a line, where relays may remove it. */
  private keepBlank(): void {
    const last = this.at === 0 ? 0 : this.bytes[this.at - 1]!
    if (this.column === 0 || (last !== 0x20 && last !== 0x09)) return
    this.at--
    this.column--
    if (this.column + 3 > lastColumn) this.softBreak()
    this.hex(last)
  }

  private softBreak(): void {
    this.bytes[this.at++] = 0x3d
    this.hardBreak()
  }

  private hardBreak(): void {
    this.bytes[this.at++] = 0x0d
    this.bytes[this.at++] = 0x0a
    this.column = 0
  }

  private reserve(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.at + bytes))
    this.bytes.copy(larger, 0, 0, this.at)
    this.bytes = larger
  }
}

/** The transfer encodings of a part with fields. */
export type Encoding = "quoted-printable" | "base64"

/** At worst a UTF-16 unit becomes three bytes of three characters, and each line of 25 such a soft break. */
const worstBytes = 10

/** Spare bytes for the end of a line. */
const endBytes = 16

const firstByte = [0, 0, 0xc0, 0xe0, 0xf0]

/** Mailbox files put a `>` before a line that begins so (RFC 2049 §3); the rest of it may come with the next piece. */
const mayBeFrom = (text: string, at: number): boolean => "From ".startsWith(text.slice(at, at + 5))

const toCrlf = (text: string): string => (/[\r\n]/.test(text) ? text.replace(/\r\n|\r|\n/g, "\r\n") : text)

/** A template has thousands of chunks, and a buffer of its own for each would be more memory than all of them. */
let scratch: TemplateBuffer | undefined

/** Encodes static text for a part in that encoding. */
export const chunkOf = (text: string, encoding: Encoding): Chunk => {
  const buffer = (scratch ??= new TemplateBuffer())
  buffer.reset()
  if (encoding === "base64") buffer.raw(Buffer.from(toCrlf(text)))
  else buffer.quoted(text)
  const bytes = buffer.copy()
  const end = bytes.indexOf("\r\n")
  return {
    bytes,
    firstLine: end === -1 ? bytes.length : end,
    hasBreak: end !== -1,
    beginsWithBreak: end === 0,
    endColumn: end === -1 ? bytes.length : bytes.length - bytes.lastIndexOf("\n") - 1
  }
}
