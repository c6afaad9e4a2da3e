/**
 * Mails from a CSV file (RFC 4180): one recipient a line, the header names the columns.
 *
 * `to` or `email` is the recipient. `name`, `from`, `subject`, `cc`, `bcc`, `reply-to`, `text`, `html`, `id` and
 * `tenant` mean what they say and may be left out or left empty. Every column, these included, is a merge field.
 * Names are compared without case. The delimiter is a comma, a semicolon or a tab, whichever the header uses.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"
import { type CsvFault, type CsvRecord, CsvRecords } from "../internal/csvRecords.ts"
import * as MailJson from "../internal/mailJson.ts"
import type { BadEntry, Entry } from "./Entry.ts"
import * as Merge from "./Merge.ts"

/** How lines become mails. */
export interface Options {
  /** What a line need not say itself. */
  readonly defaults?: Merge.Defaults | undefined
  /** The longest record in bytes. Defaults to 1 MiB. */
  readonly maxRecordBytes?: number | undefined
}

/** Reads mails from the bytes of a CSV file. Fails when the header does not fit what is to be sent. */
export const entries =
  (options: Options = {}) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Entry, E | CommandError, R> =>
    Stream.suspend(() => {
      const reader = new CsvReader(options)
      return bytes.pipe(
        Stream.concat(Stream.succeed(undefined)),
        Stream.mapEffect((chunk) => Effect.fromResult(reader.next(chunk))),
        Stream.flattenIterable
      )
    })

/** A column's name in the header, and the field of a mail that it fills. */
const mailFields: ReadonlyMap<string, string> = new Map([
  ["to", "to"],
  ["email", "to"],
  ["from", "from"],
  ["subject", "subject"],
  ["cc", "cc"],
  ["bcc", "bcc"],
  ["reply-to", "replyTo"],
  ["reply_to", "replyTo"],
  ["replyto", "replyTo"],
  ["text", "text"],
  ["html", "html"],
  ["id", "id"],
  ["tenant", "tenant"]
])

class CsvReader {
  private readonly defaults: Merge.Defaults
  private readonly records: CsvRecords
  private header: Header | undefined

  constructor(options: Options) {
    this.defaults = options.defaults ?? {}
    this.records = new CsvRecords(options.maxRecordBytes ?? 1024 * 1024)
  }

  /** The entries that a chunk completes; without a chunk, the last ones. */
  next(chunk: Uint8Array | undefined): Result.Result<ReadonlyArray<Entry>, CommandError> {
    if (chunk !== undefined && this.records.overflow !== undefined)
      return Result.fail(overflowed(this.records.overflow))
    const entries: Array<Entry> = []
    for (const record of chunk === undefined ? this.records.finish() : this.records.push(chunk)) {
      if (this.header === undefined) {
        const header = Header.parse(record, this.defaults)
        if (Result.isFailure(header)) return Result.fail(header.failure)
        this.header = header.success
      } else {
        const entry = this.read(this.header, record)
        if (entry !== undefined) entries.push(entry)
      }
    }
    if (chunk === undefined && this.records.overflow !== undefined) {
      return Result.fail(overflowed(this.records.overflow))
    }
    return Result.succeed(entries)
  }

  private read(header: Header, record: CsvRecord): Entry | undefined {
    if ("problem" in record.cells) return bad(record, { ...record.cells, malformed: true })
    const cells = record.cells
    if (cells.length === 1 && cells[0]!.trim() === "") return undefined
    const fault = header.check(cells)
    if (fault !== undefined) return bad(record, fault)
    const field = header.lookupIn(cells)
    const completed = Merge.complete(header.toLine(cells), this.defaults, field)
    if (Result.isFailure(completed)) return bad(record, { ...completed.failure, malformed: false })
    const mail = MailJson.decode(completed.success)
    if (Result.isFailure(mail)) return bad(record, { ...mail.failure, malformed: false })
    return { _tag: "MailEntry", mail: mail.success, line: record.line, end: record.end, field }
  }
}

class Header {
  readonly columns: ReadonlyArray<string>
  private readonly positions: ReadonlyMap<string, number>

  private constructor(columns: ReadonlyArray<string>) {
    this.columns = columns
    this.positions = new Map(columns.map((column, index) => [column.toLowerCase(), index]))
  }

  static parse(record: CsvRecord, defaults: Merge.Defaults): Result.Result<Header, CommandError> {
    if ("problem" in record.cells) {
      const { line, column, problem } = record.cells
      return Result.fail(new CommandError({ problem: `line ${line}, column ${column}: ${problem}` }))
    }
    const header = new Header(record.cells.map((cell) => cell.trim()))
    const error = header.misfit(defaults)
    return error === undefined ? Result.succeed(header) : Result.fail(error)
  }

  /** Why this header cannot give what is to be sent. */
  private misfit(defaults: Merge.Defaults): CommandError | undefined {
    const named = this.columns.filter((column) => column !== "")
    const twice = named.find((column) => this.positions.get(column.toLowerCase()) !== this.columns.indexOf(column))
    if (twice !== undefined) return headerError(`names the column "${twice}" twice`, "rename one of them")
    const listed = named.map((column) => `"${column}"`).join(", ")
    const lacks = (field: string): boolean =>
      ![...mailFields].some(([name, of]) => of === field && this.positions.has(name))
    if (lacks("to") && defaults.to === undefined) {
      return headerError(`has no column "to" or "email"; it names ${listed}`, "name the column of the recipients so")
    }
    if (lacks("from") && defaults.from === undefined) {
      return headerError(`has no column "from"`, "say who sends with --from")
    }
    if (lacks("subject") && defaults.subject === undefined) {
      return headerError(`has no column "subject"`, "give one for all with --subject")
    }
    const missing = Merge.fieldsOf(defaults).find((field) => !this.positions.has(field.toLowerCase()))
    if (missing === undefined) return undefined
    const meant = Merge.nearest(missing, named)
    return new CommandError({
      problem: `the template names {{${missing}}}, the CSV header has no such column; it names ${listed}`,
      remedy: meant === undefined ? "correct the template or the header" : `write {{${meant}}} if that is meant`
    })
  }

  /** Whether a line has a cell for each column; empty cells past the last column are let through. */
  check(cells: ReadonlyArray<string>): Omit<BadEntry, "_tag" | "line" | "end"> | undefined {
    const missing = this.columns[cells.length]
    if (missing !== undefined) {
      const counts = `the line has ${plural(cells.length, "cell")}, the header ${this.columns.length}`
      return { field: missing, problem: `it is missing: ${counts}`, malformed: true }
    }
    if (cells.slice(this.columns.length).every((cell) => cell.trim() === "")) return undefined
    const counts = `the line has ${plural(cells.length, "cell")}, the header ${this.columns.length}`
    return { problem: `${counts}; a delimiter inside a value needs double quotes around the value`, malformed: true }
  }

  toLine(cells: ReadonlyArray<string>): { readonly [field: string]: unknown } {
    const line: Record<string, unknown> = {}
    for (const [column, index] of this.positions) {
      const field = mailFields.get(column)
      const cell = cells[index]!
      if (field !== undefined && cell.trim() !== "" && line[field] === undefined) line[field] = cell
    }
    const name = this.cell(cells, "name")?.trim()
    const address = line["to"]
    if (name !== undefined && name !== "" && typeof address === "string" && !address.includes("<")) {
      line["to"] = { name, address: address.trim() }
    }
    return line
  }

  lookupIn(cells: ReadonlyArray<string>): Merge.Lookup {
    return (field) => this.cell(cells, field.toLowerCase())
  }

  private cell(cells: ReadonlyArray<string>, column: string): string | undefined {
    const position = this.positions.get(column)
    return position === undefined ? undefined : cells[position]
  }
}

const headerError = (problem: string, remedy: string): CommandError =>
  new CommandError({ problem: `the CSV header ${problem}`, remedy })

const overflowed = (fault: CsvFault): CommandError =>
  new CommandError({
    problem: `line ${fault.line}, column ${fault.column}: ${fault.problem}`,
    remedy: "correct that line; nothing after it was read"
  })

const bad = (
  record: CsvRecord,
  fault: Omit<BadEntry, "_tag" | "line" | "end"> & { readonly line?: number }
): BadEntry => ({
  line: record.line,
  ...fault,
  _tag: "BadEntry",
  end: record.end
})

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`
