/**
 * Messages from a CSV file (RFC 4180): one recipient a line, the header names the columns.
 *
 * `RecipientColumn` finds the recipient's column. `name`, `from`, `subject`, `cc`, `bcc`, `reply-to`, `text`, `html`, `id` and
 * `tenant` mean what they say and may be left out or left empty. Every column, these included, is a field for the
 * template; `order.id` fills in `{{order.id}}`. Names are compared without case. The delimiter is a comma, a semicolon or a
 * tab, whichever the header uses. Blank lines and rows of delimiters are skipped everywhere.
 *
 * The header alone decides where the merge fields are found and if one is missing.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Template from "mailrace/Template"
import { CommandError } from "../CommandError.ts"
import * as CsvColumns from "../internal/csvColumns.ts"
import { type CsvFault, type CsvRecord, CsvRecords } from "../internal/csvRecords.ts"
import * as Format from "../text/format.ts"
import { nearest } from "mailrace/NearestName"
import * as Campaign from "./Campaign.ts"
import type { BadEntry, Entry, Origin } from "./Entry.ts"

/** The options for turning records into messages. */
export interface Options {
  /** The parts that all lines share. */
  readonly campaign?: Campaign.Campaign | undefined
  /** The longest record in bytes. Defaults to 1 MiB. */
  readonly maxRecordBytes?: number | undefined
  /** Called for a column that names the recipients although `campaign.to` does. */
  readonly onRecipientColumn?: ((column: string) => void) | undefined
}

/** Reads messages from the bytes of a CSV file. Fails if the header lacks what the messages need. */
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

class CsvReader {
  private readonly campaign: Campaign.Campaign
  private readonly records: CsvRecords
  private readonly onRecipientColumn: Options["onRecipientColumn"]
  private header: Header | undefined

  constructor(options: Options) {
    this.campaign = options.campaign ?? {}
    this.records = new CsvRecords(options.maxRecordBytes ?? 1024 * 1024)
    this.onRecipientColumn = options.onRecipientColumn
  }

  /** Returns the entries that a chunk completes; without a chunk, the last ones. */
  next(chunk: Uint8Array | undefined): Result.Result<ReadonlyArray<Entry>, CommandError> {
    if (chunk !== undefined && this.records.overflow !== undefined)
      return Result.fail(overflowed(this.records.overflow))
    const entries: Array<Entry> = []
    for (const record of chunk === undefined ? this.records.finish() : this.records.push(chunk)) {
      if (isEmpty(record, this.header === undefined ? anyFilling : blank)) continue
      if (this.header === undefined) {
        const header = Header.parse(record, this.campaign)
        if (Result.isFailure(header)) return Result.fail(header.failure)
        this.header = header.success
        const column = this.campaign.to === undefined ? undefined : this.header.columns.columnOf("to")
        if (column !== undefined) this.onRecipientColumn?.(column)
      } else {
        entries.push(this.read(this.header, record))
      }
    }
    if (chunk === undefined && this.records.overflow !== undefined) {
      return Result.fail(overflowed(this.records.overflow))
    }
    return Result.succeed(entries)
  }

  private read(header: Header, record: CsvRecord): Entry {
    if ("problem" in record.cells) return bad(record, { ...record.cells, malformed: true })
    const cells = record.cells
    const to = header.columns.recipient(cells)
    const fault = header.check(cells)
    if (fault !== undefined) return bad(record, { ...fault, to })
    const line = header.columns.line(cells)
    const lack = Campaign.lack(line, this.campaign)
    const origin = (field: string): Origin | undefined => header.originOf(field, cells)
    if (lack !== undefined) return bad(record, { ...lack, to, origin: origin(lack.field ?? ""), malformed: false })
    const inputMail = Campaign.complete(line, header.data?.(cells), this.campaign)
    if (Result.isFailure(inputMail))
      return bad(record, { ...inputMail.failure, to, origin: origin(inputMail.failure.field ?? ""), malformed: false })
    const field = (name: string): unknown => header.columns.cell(cells, name)
    return { ...inputMail.success, _tag: "MailEntry", line: record.line, end: record.end, field, origin }
  }
}

class Header {
  readonly columns: CsvColumns.CsvColumns
  /** Collects the values of a record for the merge fields, if there are any. */
  readonly data: ((cells: ReadonlyArray<string>) => Template.Fields) | undefined

  private constructor(columns: CsvColumns.CsvColumns, campaign: Campaign.Campaign) {
    this.columns = columns
    const fields = Campaign.fields(campaign)
    this.data = campaign.filling || fields.length > 0 ? columns.filler(fields) : undefined
  }

  static parse(record: CsvRecord, campaign: Campaign.Campaign): Result.Result<Header, CommandError> {
    if ("problem" in record.cells) {
      const { line, column, problem } = record.cells
      return Result.fail(
        new CommandError({
          problem: `line ${line}, column ${column}: ${problem}`,
          remedy: "check that the input has this format (--format)"
        })
      )
    }
    const values = Campaign.isWhole(campaign) ? Campaign.templateFields : noFields
    const { bodyField, recipients, toColumn } = campaign
    const takesForeign = !Campaign.saysRecipients(campaign)
    const columns = new CsvColumns.CsvColumns(record.cells, {
      values,
      // A --to with merge fields names the recipients, so no column does.
      recipients: recipients === undefined ? { named: toColumn, takesForeign } : undefined,
      body: bodyField
    })
    const error = misfit(columns, campaign)
    return error === undefined ? Result.succeed(new Header(columns, campaign)) : Result.fail(error)
  }

  /** Checks that a record has a cell for each column; empty cells after the last column are allowed. */
  check(cells: ReadonlyArray<string>): Omit<BadEntry, "_tag" | "line" | "end"> | undefined {
    const { names, required } = this.columns
    if (cells.length >= required && cells.length <= names.length) return undefined
    const missing = names[cells.length]
    const counts = `the line has ${Format.plural(cells.length, "cell")}, the header ${required}`
    if (missing !== undefined) return { field: missing, problem: `it is missing: ${counts}`, malformed: true }
    if (cells.slice(names.length).every((cell) => cell.trim() === "")) return undefined
    return { problem: `${counts}; a delimiter inside a value needs double quotes around the value`, malformed: true }
  }

  /** Finds the column and the cell of a message's field or of a merge field. */
  originOf(field: string, cells: ReadonlyArray<string>): Origin | undefined {
    const [root = ""] = field.split(/[.[]/)
    const name = root === "data" ? this.columns.nameOf(field.slice("data.".length)) : this.columns.columnOf(root)
    return name === undefined ? undefined : { column: name, value: this.columns.cell(cells, name) }
  }
}

/** Returns true for blank lines and rows of delimiters. */
const isEmpty = ({ cells }: CsvRecord, filling: RegExp): boolean =>
  !("problem" in cells) && cells.every((cell) => filling.test(cell))

const blank = /^\s*$/

/** Rows before the header may use another delimiter than the table. */
const anyFilling = /^[\s,;]*$/

const noFields: ReadonlySet<string> = new Set()

/** Explains what a header lacks. */
const misfit = (columns: CsvColumns.CsvColumns, campaign: Campaign.Campaign): CommandError | undefined => {
  const { twice } = columns
  if (twice !== undefined) return headerError(`names the column "${twice}" twice`, "rename one of them")
  const named = columns.names.filter((column) => column !== "")
  const listed = named.map((column) => `"${column}"`).join(", ")
  const lacks = (field: "from" | "to" | "subject"): boolean =>
    Campaign.mustSay(field, campaign) && !columns.fills(field)
  const { bodyField, toColumn } = campaign
  for (const [flag, column] of [
    ["--to-column", toColumn],
    ["--body-field", bodyField]
  ] as const) {
    if (column === undefined || columns.has(column.trim())) continue
    const meant = nearest(column, named) ?? named[0]
    return headerError(
      `has no column ${JSON.stringify(column)}, which ${flag} names; it names ${listed}`,
      meant === undefined
        ? `name another column with ${flag}`
        : `write ${flag} ${JSON.stringify(meant)} if that is meant`
    )
  }
  if (columns.rivals.length > 0) {
    const rivals = columns.rivals.map((column) => `"${column}"`).join(" and ")
    return headerError(
      `has more than one column that may hold the recipients: ${rivals}`,
      `name the one that does: --to-column "${columns.rivals[0]}"`
    )
  }
  if (lacks("to")) {
    return headerError(
      `has no column "to" or "email"; it names ${listed}`,
      "name the column of the recipients so, or say which it is with --to-column"
    )
  }
  if (lacks("from")) return headerError(`has no column "from"`, "say who sends with --from")
  if (lacks("subject")) return headerError(`has no column "subject"`, "give one for all with --subject")
  const { filling } = campaign
  const absent = [campaign.recipients, filling].flatMap((one) => {
    const field = one?.template.missing === "error" ? one.template.fields.find((name) => !columns.has(name)) : undefined
    return one === undefined || field === undefined ? [] : [{ place: one.placeOf(field), field }]
  })[0]
  if (absent === undefined) {
    // A single message may be empty, but a campaign of empty messages means a forgotten flag.
    const hasBody = Campaign.isWhole(campaign) || filling?.parts?.body !== undefined
    return hasBody || columns.fills("text") || columns.fills("html")
      ? undefined
      : headerError(`has no column "text" or "html"`, "give a body for all with --text-file, --html-file or --template")
  }
  const meant = nearest(absent.field, named)
  const remedy = meant === undefined ? "correct the template or the header" : `write {{${meant}}} if that is meant`
  return new CommandError({
    problem: `${absent.place}: the template names {{${absent.field}}}, the CSV header has no such column; it names ${listed}`,
    remedy: `${remedy}, or pass --missing empty if it may be missing`
  })
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
