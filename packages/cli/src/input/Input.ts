/**
 * The source of messages: a file, a folder of `.eml` files, or standard input, in one of three formats.
 *
 * Everything that can be known before the first message is checked here, so that a misspelt path or a template that cannot be
 * read stops the command before it has sent anything.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Address from "mailrace/Address"
import type * as AttachmentFile from "mailrace/AttachmentFile"
import * as Mailbox from "mailrace/Mailbox"
import { CommandError } from "../CommandError.ts"
import { readBeginning, readStream, standardInput, unreadable } from "../internal/files.ts"
import * as AttachmentFolder from "./AttachmentFolder.ts"
import type { Campaign } from "./Campaign.ts"
import * as Csv from "./Csv.ts"
import * as Eml from "./Eml.ts"
import type { Entry } from "./Entry.ts"
import * as Ndjson from "./Ndjson.ts"
import * as ScreenedInput from "./ScreenedInput.ts"
import * as TemplateFile from "./TemplateFile.ts"
import * as Utf16 from "mailrace/Utf16"
import * as Printable from "../text/printable.ts"

/** The formats of messages. */
export type Format = "ndjson" | "csv" | "eml"

/** The options: the input, and the parts of all messages that flags set. */
export interface Options extends TemplateFile.Options, ScreenedInput.Options {
  /** A file, a folder of `.eml` files, or `-` for standard input. */
  readonly input: string
  /** Guessed from the name when left out; NDJSON on standard input. */
  readonly format?: Format | undefined
  /** The recipients of messages that name none. */
  readonly to?: ReadonlyArray<string> | undefined
  /** The column of a CSV that holds the recipients. */
  readonly toColumn?: string | undefined
  /** The column of a CSV, or the field of a line, that holds the plain text. */
  readonly bodyField?: string | undefined
  /** The folder that attachments given by a path come from. Defaults to the input's own. */
  readonly attachmentsFrom?: string | undefined
}

/** Messages to be read. */
export interface Input {
  readonly entries: Stream.Stream<Entry, CommandError>
  /** The value that the last entry's `end` will have, where it can be known. */
  readonly size: number | undefined
  /** The unit of `end`: bytes, from which the number of entries is estimated, or entries. */
  readonly unit: "bytes" | "entries"
  /** The folders of files that its messages may attach; provide it where they are composed or stored. */
  readonly attachmentsFrom: AttachmentFile.Policy
}

/** The input's name in sentences. */
export const nameOf = (input: string): string => (input === "-" ? "standard input" : input)

/** Opens the input without the recipients that the options drop. */
export const open = Effect.fnUntraced(function* (options: Options) {
  const screen = yield* ScreenedInput.open(options)
  const input = yield* openWhole(options)
  return screen === undefined ? input : ({ ...input, entries: screen(input.entries) } satisfies Input)
})

const openWhole = Effect.fnUntraced(function* (options: Options) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* AttachmentFolder.ofInput(options.input, options.attachmentsFrom)
  if (options.input === "-") {
    return yield* fromBytes({
      options,
      bytes: yield* standardInput,
      format: options.format ?? "ndjson",
      files,
      size: undefined
    })
  }
  const info = yield* Effect.mapError(fs.stat(options.input), (error) => unreadable(options.input, error))
  if (info.type === "Directory") return yield* fromFolder(options, files)
  if (/\.(?:xlsx?|xlsm|ods|numbers)$/i.test(options.input)) {
    return yield* new CommandError({
      problem: `${options.input} is a spreadsheet`,
      remedy: "save its sheet as CSV (UTF-8) and give that file"
    })
  }
  const format = options.format ?? formatOf(options.input)
  if (format === undefined) {
    return yield* new CommandError({
      problem: `the format of ${options.input} cannot be told from its name`,
      remedy: "say it with --format ndjson, csv or eml"
    })
  }
  const isUtf16 = info.type === "File" && Utf16.encodingOf(yield* readBeginning(options.input)) !== undefined
  // Entries count bytes of UTF-8.
  const size = info.type === "File" && !isUtf16 ? Number(info.size) : undefined
  return yield* fromBytes({ options, bytes: yield* readStream(options.input, info.type), format, files, size })
})

/** The format that a file's name tells. */
const formatOf = (name: string): Format | undefined => {
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
  /** The folder of files that the input names. */
  readonly files: AttachmentFolder.AttachmentFolder
  readonly size: number | undefined
}

const fromBytes = Effect.fnUntraced(function* (source: Source) {
  const { options, bytes, files, format, size } = source
  const attachmentsFrom = files.policy
  const name = nameOf(options.input)
  const text = Utf16.toUtf8((problem, remedy) => new CommandError({ problem: `${name} ${problem}`, remedy }))(bytes)
  switch (format) {
    case "ndjson": {
      if (options.toColumn !== undefined) {
        return yield* new CommandError({
          problem: "--to-column names a column, and the input is NDJSON, which has none",
          remedy: `say it with --to "{{${options.toColumn}}}", filled in from each line's data, or with --format csv`
        })
      }
      const path = yield* Path.Path
      const ndjson = Ndjson.entries({
        campaign: yield* readCampaign(options),
        resolvePath: (file) => path.resolve(files.base, file),
        onIgnoredField: (line, field, why) => options.onWarning?.(Printable.line(ignoredField(line, field, why)))
      })
      return { entries: ndjson(text), size, unit: "bytes", attachmentsFrom } satisfies Input
    }
    case "csv":
      return {
        entries: Csv.entries({
          campaign: yield* readCampaign(options),
          onRecipientColumn: (column) => options.onWarning?.(Printable.line(unusedTo(column)))
        })(text),
        size,
        unit: "bytes",
        attachmentsFrom
      } satisfies Input
    case "eml": {
      const name = options.input === "-" ? "standard input" : (yield* Path.Path).basename(options.input)
      const eml = Eml.entriesFromBytes(name, { envelope: yield* envelopeOf(options) })
      return { entries: eml(bytes), size: 1, unit: "entries", attachmentsFrom } satisfies Input
    }
  }
})

const fromFolder = Effect.fnUntraced(function* (options: Options, files: AttachmentFolder.AttachmentFolder) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = yield* Effect.mapError(fs.readDirectory(options.input), (error) => unreadable(options.input, error))
  const messages = names.filter((name) => formatOf(name) === "eml").sort()
  if (messages.length === 0 || (options.format ?? "eml") !== "eml") {
    return yield* new CommandError({
      problem:
        messages.length === 0 ? `the folder ${options.input} holds no .eml file` : `${options.input} is a folder`,
      remedy: "give a file, or a folder of .eml files"
    })
  }
  const entries = Eml.entriesFromFiles(
    messages.map((name) => path.join(options.input, name)),
    { envelope: yield* envelopeOf(options) }
  ).pipe(Stream.provideService(FileSystem.FileSystem, fs), Stream.provideService(Path.Path, path))
  return { entries, size: messages.length, unit: "entries", attachmentsFrom: files.policy } satisfies Input
})

const readCampaign = Effect.fnUntraced(function* (options: Options) {
  const { bodyField, from, toColumn } = options
  const to = noneAsAbsent(options.to)
  const fillsTo = to?.some((one) => one.includes("{{")) === true
  if (fillsTo && toColumn !== undefined) {
    return yield* new CommandError({
      problem: "--to and --to-column both say where the recipients are",
      remedy: "leave one of them out"
    })
  }
  if (bodyField !== undefined && options.template !== undefined) {
    return yield* new CommandError({
      problem: "--body-field names the text of each message, and --template gives it for all",
      remedy: "leave one of them out, or put the field into the template"
    })
  }
  const filling = yield* TemplateFile.open({ ...options, fillsTo })
  const campaign: Campaign = { from, filling, toColumn, bodyField }
  if (to === undefined || !fillsTo) return { ...campaign, to }
  return { ...campaign, recipients: yield* TemplateFile.compileRecipients(to, options) }
})

const noneAsAbsent = <A>(list: ReadonlyArray<A> | undefined): ReadonlyArray<A> | undefined =>
  list?.length === 0 ? undefined : list

const envelopeOf = Effect.fnUntraced(function* (options: Options) {
  const given = Object.entries(flagsOfParts).filter(([option]) => {
    const value = options[option as keyof typeof flagsOfParts]
    return value !== undefined && (!Array.isArray(value) || value.length > 0)
  })
  if (given.length > 0) {
    return yield* new CommandError({
      problem: `an .eml file as --input is a whole message, and ${given[0]![1]} cannot change it`,
      remedy: `leave out ${given.map(([, flag]) => flag).join(", ")}, or give people as --input and the .eml as --template`
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
  return { from: from[0]?.address, to: noneAsAbsent(addresses) }
})

/** The flags that say parts of a message. */
const flagsOfParts = {
  template: "--template",
  missing: "--missing",
  subject: "--subject",
  textFile: "--text-file",
  htmlFile: "--html-file",
  header: "--header",
  replyTo: "--reply-to",
  attach: "--attach",
  listUnsubscribe: "--list-unsubscribe",
  toColumn: "--to-column",
  bodyField: "--body-field"
} as const satisfies { readonly [option in keyof Options]?: string }

/** Otherwise a user who tries a list on himself by --to would send it to everybody. */
const unusedTo = (column: string): string =>
  `the column "${column}" says who receives each message; --to counts only where it is empty`

const ignoredField = (line: number, field: string, why: Ndjson.Ignored): string => {
  if (why === "template")
    return `line ${line}: the template says the "${field}" of all messages, the line's own is ignored; to fill it in, put it into the line's data`
  const meant = Ndjson.nearestField(field)
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`
  return `line ${line}: the field "${field}" is not known and is ignored${hint}`
}
