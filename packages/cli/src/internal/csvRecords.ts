/**
 * Cuts bytes into CSV records (RFC 4180) and records into cells.
 *
 * Unlike the codec that ships with Effect, a record that is malformed does not end the file: it comes out with its
 * fault and the next record follows. Records are cut on bytes, so that text which is not UTF-8 spoils one record only.
 * Outside of quotes a line ends with LF, CRLF or CR, as old spreadsheets for the Mac write it; a file may mix them.
 */
import * as Utf8 from "./utf8.ts"

/** The fault of a malformed record, with its place. */
export interface CsvFault {
  readonly line: number
  readonly column: number
  readonly problem: string
}

export interface CsvRecord {
  readonly cells: ReadonlyArray<string> | CsvFault
  /** The line on which the record begins, from 1. */
  readonly line: number
  /** Bytes of the input up to the record's end. */
  readonly end: number
}

const LF = 10
const CR = 13
const QUOTE = 34
const lineEnds = /\r\n?|\n/
const delimiters = [",", ";", "\t"] as const

// Where the reader is: at a field's first byte, in a plain field, between quotes, just after a quote between quotes.
const FIELD_START = 0
const PLAIN = 1
const QUOTED = 2
const AFTER_QUOTE = 3

/**
 * Push chunks, take records. The delimiter is the one of `,` `;` and tab that the first line with content has most of.
 * A line `sep=;` before all others, as Excel reads and writes it, names the delimiter and is no record.
 */
export class CsvRecords {
  /** A record that is longer than the limit; nothing after it can be trusted, so nothing after it is read. */
  overflow: CsvFault | undefined
  private readonly maxBytes: number
  private delimiter: number | undefined
  private held: Uint8Array = new Uint8Array(0)
  private scanned = 0
  private state = FIELD_START
  private line = 1
  private recordLine = 1
  private isFirst = true
  private quoteLine = 1
  private offset = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  push(chunk: Uint8Array): Array<CsvRecord> {
    if (this.overflow !== undefined) return []
    this.held = concat(this.held, chunk)
    if (this.delimiter === undefined) {
      const first = firstContent(this.held)
      if (first.end === undefined && this.held.length <= this.maxBytes) return []
      this.delimiter = detectDelimiter(first.line)
    }
    return this.cut(this.delimiter)
  }

  /** The last record, when the input does not end with a line end. */
  finish(): Array<CsvRecord> {
    if (this.overflow !== undefined || this.held.length === 0) return []
    const records = this.cut((this.delimiter ??= detectDelimiter(firstContent(this.held).line)))
    if (this.overflow !== undefined || this.held.length === 0) return records
    const rest = this.held
    const end = this.offset + rest.length
    const cells = this.state === QUOTED ? this.unclosed() : this.cells(rest.at(-1) === CR ? rest.subarray(0, -1) : rest)
    this.held = new Uint8Array(0)
    return [...records, { cells, line: this.recordLine, end }]
  }

  private cut(delimiter: number): Array<CsvRecord> {
    const records: Array<CsvRecord> = []
    const bytes = this.held
    let start = 0
    let state = this.state
    let at = this.scanned
    for (; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte === CR) {
        // Whether an LF follows decides what it is.
        if (at + 1 === bytes.length) break
        if (bytes[at + 1] === LF) continue
      }
      if (byte === LF || byte === CR) {
        this.line++
        if (state === QUOTED) continue
        const end = byte === LF && at > start && bytes[at - 1] === CR ? at - 1 : at
        const record = bytes.subarray(start, end)
        if (!(this.isFirst && namedDelimiter(record) !== undefined)) {
          records.push({ cells: this.cells(record), line: this.recordLine, end: this.offset + at + 1 })
        }
        this.isFirst = false
        this.recordLine = this.line
        start = at + 1
        state = FIELD_START
      } else if (state === QUOTED) {
        if (byte === QUOTE) state = AFTER_QUOTE
      } else if (byte === delimiter) {
        state = FIELD_START
      } else if (byte === QUOTE && state !== PLAIN) {
        if (state === FIELD_START) this.quoteLine = this.line
        state = QUOTED
      } else {
        state = PLAIN
      }
    }
    this.state = state
    // The source may use its buffer again, so what is kept is copied.
    this.held = bytes.slice(start)
    this.scanned = at - start
    this.offset += start
    if (this.held.length > this.maxBytes) this.overflow = this.tooLong()
    return records
  }

  private cells(bytes: Uint8Array): ReadonlyArray<string> | CsvFault {
    const clean = this.recordLine === 1 ? Utf8.decodeStart(bytes) : Utf8.decode(bytes)
    if (clean === undefined) {
      return { line: this.recordLine, column: Utf8.firstBadColumn(bytes), problem: Utf8.problemOf(bytes) }
    }
    const delimiter = String.fromCharCode(this.delimiter!)
    return clean.includes('"') ? splitQuoted(clean, delimiter, this.recordLine) : clean.split(delimiter)
  }

  private unclosed(): CsvFault {
    const swallowed = this.line - this.quoteLine
    const lines = swallowed === 0 ? "" : `; it swallows the ${swallowed === 1 ? "line" : `${swallowed} lines`} after it`
    return { line: this.quoteLine, column: this.quoteColumn(), problem: `the double quote is never closed${lines}` }
  }

  private tooLong(): CsvFault {
    return this.state === QUOTED
      ? this.unclosed()
      : { line: this.recordLine, column: 1, problem: `the line is longer than ${this.maxBytes} bytes` }
  }

  private quoteColumn(): number {
    const lines = new TextDecoder().decode(this.held).split(lineEnds)
    const line = lines[this.quoteLine - this.recordLine] ?? ""
    const delimiter = String.fromCharCode(this.delimiter!)
    return line.startsWith('"') ? 1 : line.lastIndexOf(`${delimiter}"`) + 2
  }
}

const splitQuoted = (text: string, delimiter: string, line: number): ReadonlyArray<string> | CsvFault => {
  const cells: Array<string> = []
  const fault = (at: number, problem: string): CsvFault => {
    const before = text.slice(0, at).split(lineEnds)
    return { line: line + before.length - 1, column: before.at(-1)!.length + 1, problem }
  }
  let at = 0
  for (;;) {
    let cell = ""
    if (text[at] === '"') {
      at++
      for (;;) {
        const quote = text.indexOf('"', at)
        cell += text.slice(at, quote)
        at = quote + 1
        if (text[at] !== '"') break
        cell += '"'
        at++
      }
      if (at < text.length && text[at] !== delimiter) {
        return fault(at, "after a closing double quote the cell must end; write a quote inside as two")
      }
    } else {
      const next = text.indexOf(delimiter, at)
      const end = next === -1 ? text.length : next
      cell = text.slice(at, end)
      const quote = cell.indexOf('"')
      if (quote !== -1) {
        return fault(
          at + quote,
          "a double quote inside a cell needs double quotes around the cell, and to be written twice"
        )
      }
      at = end
    }
    cells.push(cell)
    if (at >= text.length) return cells
    at++
  }
}

const isLineEnd = (byte: number): boolean => byte === LF || byte === CR

/** The first line that holds more than blanks and delimiters; `end` is `undefined` while its end has not come. */
const firstContent = (bytes: Uint8Array): { readonly line: Uint8Array; readonly end: number | undefined } => {
  const start = Math.max(
    0,
    Utf8.withoutMark(bytes).findIndex((byte) => !isEmpty(byte))
  )
  const content = Utf8.withoutMark(bytes).subarray(start)
  const end = content.findIndex(isLineEnd)
  return { line: content.subarray(0, end === -1 ? undefined : end), end: end === -1 ? undefined : end }
}

/** Blanks, line ends and delimiters, which fill the rows that spreadsheets leave around a table. */
const isEmpty = (byte: number): boolean =>
  byte === 32 || isLineEnd(byte) || delimiters.some((one) => one.charCodeAt(0) === byte)

/** The delimiter that a line `sep=;` names. */
const namedDelimiter = (line: Uint8Array): number | undefined => {
  const clean = Utf8.withoutMark(line)
  if (clean.length > 8) return undefined
  return /^"?sep=([^"])"?$/i.exec(new TextDecoder().decode(clean))?.[1]?.charCodeAt(0)
}

const detectDelimiter = (line: Uint8Array): number => {
  const named = namedDelimiter(line)
  if (named !== undefined) return named
  const text = new TextDecoder().decode(line).replaceAll(/"[^"]*"/g, "")
  const counts = delimiters.map((delimiter) => text.split(delimiter).length)
  return delimiters[counts.indexOf(Math.max(...counts))]!.charCodeAt(0)
}

const concat = (held: Uint8Array, chunk: Uint8Array): Uint8Array => {
  if (held.length === 0) return chunk
  const whole = new Uint8Array(held.length + chunk.length)
  whole.set(held)
  whole.set(chunk, held.length)
  return whole
}
