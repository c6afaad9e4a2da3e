/**
 * Mails as JSON, one object a line.
 *
 * A line that is not JSON, or is JSON but no mail, comes out as a bad entry that names its line, its column or field,
 * and what is wrong; the lines after it are read all the same. Empty lines are passed over.
 */
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Mail from "mailrace/Mail"
import * as JsonFault from "../internal/jsonFault.ts"
import { type Line, LineSplitter } from "../internal/lines.ts"
import * as MailJson from "../internal/mailJson.ts"
import * as Utf8 from "../internal/utf8.ts"
import type { BadEntry, Entry } from "./Entry.ts"
import * as Merge from "./Merge.ts"

/** How lines become mails. */
export interface Options {
  /** What a line need not say itself; merge fields are taken from the line's `data`. */
  readonly defaults?: Merge.Defaults | undefined
  /** Turns an attachment's path, relative to the input's folder, into one that can be opened. */
  readonly resolvePath?: ((path: string) => string) | undefined
  /** Told once for each unknown field, which is otherwise ignored. */
  readonly onUnknownField?: ((line: number, field: string) => void) | undefined
  /** The longest line in bytes. Defaults to 64 MiB, enough for attachments inside. */
  readonly maxLineBytes?: number | undefined
}

/** Reads mails from the bytes of an NDJSON file. */
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
export const nearestField = (name: string): string | undefined => Merge.nearest(name, MailJson.knownFields)

/** The most unknown fields that are told of. */
const maxUnknownFields = 20

class LineReader {
  private readonly options: Options
  private readonly unknownFields = new Set<string>()

  constructor(options: Options) {
    this.options = options
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
    const decoded = Utf8.decode(line.bytes)
    if (decoded === undefined) {
      return bad(line, { problem: Utf8.problem, column: Utf8.firstBadColumn(line.bytes) })
    }
    const text = line.number === 1 ? decoded.replace(/^\uFEFF/, "") : decoded
    if (text.trim() === "") return undefined
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      return bad(line, /^[[{]\s*$/.test(text) ? { problem: spreadOut } : JsonFault.locate(text))
    }
    if (typeof json !== "object" || json === null || Array.isArray(json))
      return bad(line, { problem: notAnObject(json) })
    this.noteUnknownFields(line.number, json)
    return this.toMail(line, json as { readonly [field: string]: unknown })
  }

  private toMail(line: Line, json: { readonly [field: string]: unknown }): Entry {
    const { defaults } = this.options
    const completed = defaults === undefined ? Result.succeed(json) : Merge.complete(json, defaults, lookupIn(json))
    if (Result.isFailure(completed)) return bad(line, { ...completed.failure, malformed: false })
    const mail = MailJson.decode(completed.success)
    if (Result.isFailure(mail)) return bad(line, mail.failure)
    return { _tag: "MailEntry", mail: this.withPaths(mail.success), line: line.number, end: line.end }
  }

  private withPaths(mail: Mail.Mail): Mail.Mail {
    const { resolvePath } = this.options
    if (mail.attachments === undefined || resolvePath === undefined) return mail
    return {
      ...mail,
      attachments: mail.attachments.map((file) =>
        file.path === undefined ? file : { ...file, path: resolvePath(file.path) }
      )
    }
  }

  private noteUnknownFields(line: number, json: object): void {
    for (const field of Object.keys(json)) {
      if (MailJson.knownFields.has(field) || this.unknownFields.has(field)) continue
      if (this.unknownFields.size === maxUnknownFields) return
      this.unknownFields.add(field)
      this.options.onUnknownField?.(line, field)
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

const spreadOut =
  "each line must be one whole JSON object, here one begins that goes on below (jq -c . makes a line of it, jq -c '.[]' of each in a list)"

const notAnObject = (json: unknown): string =>
  Array.isArray(json)
    ? "each line must be one JSON object, this is a list (jq -c '.[]' turns a list into lines)"
    : `each line must be one JSON object, this is ${MailJson.kindOf(json)}`

const lookupIn =
  (json: { readonly [field: string]: unknown }): Merge.Lookup =>
  (field) => {
    const data = json["data"]
    return typeof data === "object" && data !== null && Object.hasOwn(data, field)
      ? (data as { readonly [field: string]: unknown })[field]
      : undefined
  }
