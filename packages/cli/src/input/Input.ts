/**
 * Where mails come from: a file, a folder of `.eml` files, or standard input, in one of three formats.
 *
 * What can be known before the first mail is found out here, so that a misspelt path or a template that cannot be read
 * stops the command before it has sent anything.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type * as Address from "mailrace/Address"
import * as Mailbox from "mailrace/Mailbox"
import { CommandError } from "../CommandError.ts"
import { readText, unreadable } from "../internal/files.ts"
import * as Csv from "./Csv.ts"
import * as Eml from "./Eml.ts"
import type { Entry } from "./Entry.ts"
import * as Merge from "./Merge.ts"
import * as Ndjson from "./Ndjson.ts"

/** How mails are written down. */
export type Format = "ndjson" | "csv" | "eml"

/** What is to be read, and what the command's flags say for all mails. */
export interface Options {
  /** A file, a folder of `.eml` files, or `-` for standard input. */
  readonly input: string
  /** Guessed from the name when left out; NDJSON on standard input. */
  readonly format?: Format | undefined
  readonly from?: string | undefined
  readonly to?: ReadonlyArray<string> | undefined
  readonly subject?: string | undefined
  /** A file with the plain text of all mails. */
  readonly textFile?: string | undefined
  /** A file with the HTML of all mails. */
  readonly htmlFile?: string | undefined
  /** Told of what is odd but no error. */
  readonly onWarning?: ((warning: string) => void) | undefined
}

/** Mails to be read. */
export interface Input {
  readonly entries: Stream.Stream<Entry, CommandError>
  /** The value that the last entry's `end` will have, where it can be known. */
  readonly size: number | undefined
  /** What `end` counts: bytes, from which the number of entries is guessed, or entries. */
  readonly unit: "bytes" | "entries"
}

/** Opens the input. */
export const open = Effect.fnUntraced(function* (options: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const stdio = yield* Stdio.Stdio
  if (options.input === "-") {
    const bytes = Stream.mapError(stdio.stdin, (error) => unreadable("standard input", error))
    return yield* fromBytes({ options, bytes, format: options.format ?? "ndjson", folder: ".", size: undefined })
  }
  const info = yield* Effect.mapError(fs.stat(options.input), (error) => unreadable(options.input, error))
  if (info.type === "Directory") return yield* fromFolder(options)
  const format = options.format ?? formatOf(options.input)
  if (format === undefined) {
    return yield* new CommandError({
      problem: `the format of ${options.input} cannot be told from its name`,
      remedy: "say it with --format ndjson, csv or eml"
    })
  }
  const bytes = Stream.mapError(fs.stream(options.input), (error) => unreadable(options.input, error))
  const folder = path.dirname(options.input)
  const size = info.type === "File" ? Number(info.size) : undefined
  return yield* fromBytes({ options, bytes, format, folder, size })
})

/** The format that a file's name tells. */
export const formatOf = (name: string): Format | undefined => {
  switch (/\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase()) {
    case "ndjson":
    case "jsonl":
    case "json":
      return "ndjson"
    case "csv":
    case "tsv":
      return "csv"
    case "eml":
      return "eml"
    default:
      return undefined
  }
}

interface Source {
  readonly options: Options
  readonly bytes: Stream.Stream<Uint8Array, CommandError>
  readonly format: Format
  /** The folder that relative paths in the input start from. */
  readonly folder: string
  readonly size: number | undefined
}

const fromBytes = Effect.fnUntraced(function* (source: Source) {
  const { options, bytes, format, size } = source
  switch (format) {
    case "ndjson": {
      const path = yield* Path.Path
      const ndjson = Ndjson.entries({
        defaults: yield* readDefaults(options),
        resolvePath: (file) => path.resolve(source.folder, file),
        onUnknownField: (line, field) => options.onWarning?.(unknownField(line, field))
      })
      return { entries: ndjson(bytes), size, unit: "bytes" } satisfies Input
    }
    case "csv":
      return {
        entries: Csv.entries({ defaults: yield* readDefaults(options) })(bytes),
        size,
        unit: "bytes"
      } satisfies Input
    case "eml": {
      const name = options.input === "-" ? "standard input" : (yield* Path.Path).basename(options.input)
      const eml = Eml.entriesFromBytes(name, { envelope: yield* envelopeOf(options) })
      return { entries: eml(bytes), size: 1, unit: "entries" } satisfies Input
    }
  }
})

const fromFolder = Effect.fnUntraced(function* (options: Options) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = yield* Effect.mapError(fs.readDirectory(options.input), (error) => unreadable(options.input, error))
  const files = names.filter((name) => formatOf(name) === "eml").sort()
  if (files.length === 0 || (options.format ?? "eml") !== "eml") {
    return yield* new CommandError({
      problem: files.length === 0 ? `the folder ${options.input} holds no .eml file` : `${options.input} is a folder`,
      remedy: "give a file, or a folder of .eml files"
    })
  }
  const entries = Eml.entriesFromFiles(
    files.map((name) => path.join(options.input, name)),
    { envelope: yield* envelopeOf(options) }
  ).pipe(Stream.provideService(FileSystem.FileSystem, fs), Stream.provideService(Path.Path, path))
  return { entries, size: files.length, unit: "entries" } satisfies Input
})

const readDefaults = Effect.fnUntraced(function* (options: Options) {
  const template = (file: string | undefined, place: Merge.Place) =>
    file === undefined
      ? Effect.succeed(undefined)
      : Effect.map(readText(file), (source) => Merge.compile(source, place))
  const defaults: Merge.Defaults = {
    from: options.from,
    to: options.to,
    subject: options.subject === undefined ? undefined : Merge.compile(options.subject, "header"),
    text: yield* template(options.textFile, "text"),
    html: yield* template(options.htmlFile, "html")
  }
  return defaults
})

const envelopeOf = Effect.fnUntraced(function* (options: Options) {
  if (options.subject !== undefined || options.textFile !== undefined || options.htmlFile !== undefined) {
    return yield* new CommandError({
      problem: "an .eml file is a whole message, nothing can be merged into it",
      remedy: "leave out --subject, --text-file and --html-file"
    })
  }
  const parse = (flag: string, value: string) =>
    Effect.fromResult(
      Result.mapError(
        Mailbox.parseList(value),
        (error) => new CommandError({ problem: `--${flag} is no mail address: ${error.problem}`, remedy: error.remedy })
      )
    )
  const from = options.from === undefined ? [] : yield* parse("from", options.from)
  const to = (yield* Effect.forEach(options.to ?? [], (value) => parse("to", value))).flat()
  const addresses: ReadonlyArray<Address.Address> = to.map((mailbox) => mailbox.address)
  return { from: from[0]?.address, to: addresses.length === 0 ? undefined : addresses }
})

const unknownField = (line: number, field: string): string => {
  const meant = Ndjson.nearestField(field)
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`
  return `line ${line}: the field "${field}" is not known and is ignored${hint}`
}
