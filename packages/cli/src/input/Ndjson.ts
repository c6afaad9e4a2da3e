/**
 * Messages as JSON, one object a line. What is filled into a template is in a line's `data`.
 *
 * A line that is not JSON, or is JSON but no mail, comes out as a bad entry that names its line, its column or field,
 * and what is wrong; the lines after it are read all the same. Empty lines are passed over.
 */
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as JsonFault from "../internal/jsonFault.ts"
import { type Line, LineSplitter } from "../internal/lines.ts"
import * as MailJson from "../internal/mailJson.ts"
import { nearest } from "mailrace/NearestName"
import * as Utf8 from "../internal/utf8.ts"
import * as Campaign from "./Campaign.ts"
import type { BadEntry, Entry } from "./Entry.ts"

/** The options for turning lines into messages. */
export interface Options {
  /** The parts that a line may omit. */
  readonly campaign?: Campaign.Campaign | undefined
  /** Turns an attachment's path, relative to the input's folder, into one that can be opened. */
  readonly resolvePath?: ((path: string) => string) | undefined
  /** Called once for each field that is ignored, with the reason. */
  readonly onIgnoredField?: ((line: number, field: string, why: Ignored) => void) | undefined
  /** The longest line in bytes. Defaults to 64 MiB, enough for attachments inside. */
  readonly maxLineBytes?: number | undefined
}

/** Why a field is ignored: no mail has it, or the template says it for all messages. */
export type Ignored = "unknown" | "template"

/** Reads messages from the bytes of an NDJSON file. */
export const entries =
  (options: Options = {}) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Entry, E, R> =>
    Stream.suspend(() => {
      const reader = new LineReader(options)
      return Stream.mapAccumArray(
        bytes,
        () => new LineSplitter(options.maxLineBytes ?? 64 * 1024 * 1024),
        (splitter, chunks) => [splitter, chunks.flatMap((chunk) => reader.readAll(splitter.push(chunk)))] as const,
        { onHalt: (splitter) => reader.readAll(splitter.finish()) }
      )
    })

/** The field that a misspelt name most likely means. */
export const nearestField = (name: string): string | undefined => nearest(name, MailJson.knownFields)

/** The most ignored fields that are reported. */
const maxIgnoredFields = 20

class LineReader {
  private readonly options: Options
  private readonly campaign: Campaign.Campaign
  private readonly ignored = new Set<string>()

  constructor(options: Options) {
    this.options = options
    this.campaign = options.campaign ?? {}
  }

  readAll(lines: ReadonlyArray<Line>): Array<Entry> {
    const entries: Array<Entry> = []
    for (const line of lines) {
      const entry = this.read(line)
      if (entry !== undefined) entries.push(entry)
    }
    return entries
  }

  private read(line: Line): Entry | undefined {
    if (line.bytes === undefined)
      return bad(line, { problem: "the line is too long; keep attachments in files (path)" })
    const text = line.number === 1 ? Utf8.decodeStart(line.bytes) : Utf8.decode(line.bytes)
    if (text === undefined) {
      return bad(line, { problem: Utf8.problemOf(line.bytes), column: Utf8.firstBadColumn(line.bytes) })
    }
    if (text.trim() === "") return undefined
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      return bad(line, /^[[{]\s*$/.test(text) ? { problem: spreadOut } : JsonFault.locate(text))
    }
    // Two brackets a level: a short line need not be walked through.
    if (text.length > 2 * JsonFault.maxDepth && JsonFault.isTooDeep(json)) {
      const { column, problem } = JsonFault.locate(text)
      return bad(line, { column, problem: `${problem}; lay its data out flatter`, malformed: false })
    }
    if (typeof json !== "object" || json === null || Array.isArray(json))
      return bad(line, { problem: notAnObject(json) })
    const written = this.withBody(json)
    const mistaken = this.mistakenBody(written)
    if (mistaken !== undefined) return bad(line, { field: mistaken, problem: bodyProblem(mistaken), malformed: false })
    this.noteIgnored(line.number, written)
    return this.toEntry(line, written)
  }

  /** Moves the field that `--body-field` names to `text`. */
  private withBody(json: object): object {
    const { bodyField } = this.campaign
    if (bodyField === undefined || "text" in json) return json
    if (Object.hasOwn(json, bodyField)) {
      const { [bodyField]: text, ...rest } = json as Record<string, unknown>
      return { ...rest, text }
    }
    const { data } = json as { readonly data?: Record<string, unknown> }
    return typeof data === "object" && data !== null && Object.hasOwn(data, bodyField)
      ? { ...json, text: data[bodyField] }
      : json
  }

  /** Finds a field that was meant as the body of a message that would otherwise be empty. */
  private mistakenBody(json: object): string | undefined {
    const { filling } = this.campaign
    const hasBody =
      "text" in json || "html" in json || Campaign.isWhole(this.campaign) || filling?.parts?.body !== undefined
    return hasBody
      ? undefined
      : Object.keys(json).find((field) => bodyNames.has(field.toLowerCase().replaceAll(/[_-]/g, "")))
  }

  private toEntry(line: Line, json: object): Entry {
    const { campaign } = this
    const lack = Campaign.lack(json, campaign)
    if (lack !== undefined) return bad(line, lack)
    const read = MailJson.decodeLine(json)
    if (Result.isFailure(read)) return bad(line, read.failure)
    const inputMail = Campaign.complete(this.withPaths(read.success), read.success.data, campaign)
    return Result.isFailure(inputMail)
      ? bad(line, { ...inputMail.failure, malformed: false })
      : { ...inputMail.success, _tag: "MailEntry", line: line.number, end: line.end }
  }

  private withPaths(line: MailJson.Line): MailJson.Line {
    const { resolvePath } = this.options
    return resolvePath === undefined ? line : MailJson.withPaths(line, resolvePath)
  }

  private noteIgnored(line: number, json: object): void {
    for (const field of Object.keys(json)) {
      const isKnown = MailJson.knownFields.has(field)
      if (isKnown && !(Campaign.templateFields.has(field) && Campaign.isWhole(this.campaign))) continue
      if (this.ignored.has(field)) continue
      if (this.ignored.size === maxIgnoredFields) return
      this.ignored.add(field)
      this.options.onIgnoredField?.(line, field, isKnown ? "template" : "unknown")
    }
  }
}

const bad = (line: Line, fault: Partial<BadEntry> & { readonly problem: string }): BadEntry => ({
  malformed: true,
  ...fault,
  _tag: "BadEntry",
  line: line.number,
  end: line.end
})

/** Names for the body in other programs, in lower case, without `_` and `-`. */
const bodyNames: ReadonlySet<string> = new Set(
  "body message content plain plaintext msg mailbody bodytext textbody bodyhtml htmlbody textcontent htmlcontent".split(
    " "
  )
)

const bodyProblem = (field: string): string =>
  `a mail has no such field and would be empty; write ${/html/i.test(field) ? "html" : "text"} instead, or add --body-field ${field}`

const spreadOut =
  "each line must be one whole JSON object, here one begins that goes on below (jq -c . makes a line of it, jq -c '.[]' of each in a list)"

const notAnObject = (json: unknown): string =>
  Array.isArray(json)
    ? "each line must be one JSON object, this is a list (jq -c '.[]' turns a list into lines)"
    : `each line must be one JSON object, this is ${MailJson.kindOf(json)}`
