/**
 * The template of a run: a file given as `--template`, or what `--subject`, `--text-file` and `--html-file` say.
 *
 * It is compiled once, before anything is sent. A fault is reported with the file, the line and the column; of a file that holds
 * several parts, as an `.eml`, line and column are those of the part.
 */
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import * as Template from "mailrace/Template"
import * as TemplateError from "mailrace/TemplateError"
import { CommandError } from "../CommandError.ts"
import { readBytes } from "../internal/files.ts"
import * as JsonFault from "../internal/jsonFault.ts"
import * as MailJson from "../internal/mailJson.ts"
import { nearest } from "mailrace/NearestName"
import * as Utf8 from "../internal/utf8.ts"
import * as Utf16 from "mailrace/Utf16"
import * as AddedParts from "./AddedParts.ts"
import * as AttachmentFolder from "./AttachmentFolder.ts"
import type { Filling, Parts } from "./Campaign.ts"

/** The template's flags. */
export interface Options extends AddedParts.Options {
  readonly from?: string | undefined
  readonly subject?: string | undefined
  /** A file with the plain text of all messages. */
  readonly textFile?: string | undefined
  /** A file with the HTML of all messages. */
  readonly htmlFile?: string | undefined
  /** A file with a whole template: `.json`, `.eml`, `.html`, `.htm` or `.txt`. */
  readonly template?: string | undefined
  /** The policy for a field that a line lacks. Defaults to `error`. */
  readonly missing?: Template.Options["missing"]
  /** True if `--to` holds merge fields, which are a template as well. Defaults to false. */
  readonly fillsTo?: boolean | undefined
}

/** Reads and compiles the template; `undefined` if the flags name none. Flags override the file. */
export const open = Effect.fnUntraced(function* (options: Options) {
  const { from, htmlFile, subject, template: file, textFile } = options
  const given: Partial<Template.Source> = {
    ...(from === undefined ? {} : { from }),
    ...(subject === undefined ? {} : { subject }),
    ...(textFile === undefined ? {} : { text: yield* readText(textFile) }),
    ...(htmlFile === undefined ? {} : { html: yield* readText(htmlFile) })
  }
  const added = yield* AddedParts.read(options)
  if (file !== undefined) return yield* openFile(file, { given, added, options, file })
  if (subject === undefined && textFile === undefined && htmlFile === undefined && AddedParts.areEmpty(added)) {
    if (options.missing === undefined || options.fillsTo === true) return undefined
    return yield* new CommandError({
      problem: "--missing says what becomes of a template's fields, and there is no template",
      remedy: "give one with --template, --subject, --text-file or --html-file, or leave --missing out"
    })
  }
  return yield* compileParts(given, { added, options })
})

/** Compiles recipients with merge fields, as `--to` gives them. */
export const compileRecipients = (to: ReadonlyArray<string>, options: Options) => {
  const origin: Origin = { given: { to }, added: {}, options }
  // A template must have a sender, so this one stands in.
  return Template.compile({ from: "nobody@example.org", subject: "", to }, { missing: options.missing }).pipe(
    Effect.mapBoth({ onFailure: toCommandError(origin), onSuccess: (template) => fillingOf(template, origin) })
  )
}

/** Makes a template of the parts that lines may lack. */
export const compileParts = Effect.fnUntraced(function* (
  given: Partial<Template.Source>,
  { added = {}, options = {} }: Partial<Origin> = {}
) {
  const origin: Origin = { given, added, options }
  const { html, subject, text } = given
  // Without --from each line names its sender, which overrides the template's.
  const from = given.from ?? "{{from}}"
  const compile = (source: Template.Source) =>
    Effect.mapError(
      Template.compile(AddedParts.addTo(source, added), { missing: options.missing }),
      toCommandError(origin)
    )
  const template = yield* compile({ from, subject: subject ?? "", text, html })
  const parts: Parts = {
    subject: subject === undefined ? undefined : yield* compile({ from, subject }),
    body: text === undefined && html === undefined ? undefined : yield* compile({ from, subject: "", text, html }),
    neither: AddedParts.areEmpty(added) ? undefined : yield* compile({ from, subject: "" })
  }
  return fillingOf(template, origin, parts)
})

const openFile = Effect.fnUntraced(function* (file: string, origin: Origin) {
  const { added, given, options } = origin
  const compiled = (source: Partial<Template.Source>) => {
    const { from, subject, ...rest } = AddedParts.addTo({ ...source, ...given }, added)
    return from === undefined || subject === undefined
      ? Effect.fail(incomplete(file, from, subject))
      : Effect.mapError(
          Template.compile({ ...rest, from, subject }, { missing: options.missing }),
          toCommandError(origin)
        )
  }
  const kind = kindOf(file)
  if ((kind === "html" && given.html !== undefined) || (kind === "text" && given.text !== undefined)) {
    return yield* new CommandError({
      problem: `the template ${file} and --${kind}-file say the same part`,
      remedy: "leave one of them out"
    })
  }
  switch (kind) {
    case "json": {
      const files = yield* AttachmentFolder.ofTemplate(file)
      const compiling = compiled(yield* readJson(file, files.base))
      return fillingOf(yield* Effect.provideService(compiling, AttachmentsFrom, files.policy), origin)
    }
    case "html":
      return fillingOf(yield* compiled({ html: yield* readText(file) }), origin)
    case "text":
      return fillingOf(yield* compiled({ text: yield* readText(file) }), origin)
    case "eml": {
      const message = Template.fromEml(yield* readBytes(file), { missing: options.missing, replace: given })
      const template = yield* Effect.mapError(message, toCommandError(origin))
      return fillingOf(AddedParts.areEmpty(added) ? template : yield* compiled(template.source), origin)
    }
    case undefined:
      return yield* new CommandError({
        problem: `the kind of the template ${file} cannot be told from its name`,
        remedy: "name it .json, .eml, .html or .txt; MJML and React Email are given as the HTML that they make"
      })
  }
})

const kindOf = (file: string): "json" | "eml" | "html" | "text" | undefined => {
  switch (/\.([^./\\]+)$/.exec(file)?.[1]?.toLowerCase()) {
    case "json":
      return "json"
    case "eml":
      return "eml"
    case "html":
    case "htm":
      return "html"
    case "txt":
      return "text"
    default:
      return undefined
  }
}

const incomplete = (file: string, from: unknown, subject: unknown): CommandError => {
  const lacks = [
    ...(from === undefined ? ["who sends (--from)"] : []),
    ...(subject === undefined ? ["the subject (--subject)"] : [])
  ]
  return new CommandError({
    problem: `the template ${file} does not say ${lacks.join(" nor ")}`,
    remedy: `add ${from === undefined ? '--from "News <news@example.org>"' : ""}${lacks.length === 2 ? " and " : ""}${subject === undefined ? '--subject "Hello {{name}}"' : ""}`
  })
}

/** A template as `Template.Source` has it; paths of attachments start at its folder. */
const readJson = Effect.fnUntraced(function* (file: string, folder: string) {
  const path = yield* Path.Path
  const text = yield* readText(file)
  const json = yield* Effect.try({ try: (): unknown => JSON.parse(text), catch: () => faultIn(file, text) })
  const remedy = `write it as {"from": "...", "subject": "Hello {{name}}", "html": "..."}`
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    const problem = `${file}: a template is one JSON object, this is ${MailJson.kindOf(json)}`
    return yield* new CommandError({ problem, remedy })
  }
  const unknown = Object.keys(json).find((field) => !MailJson.templateFields.has(field))
  if (unknown !== undefined) {
    const meant = nearest(unknown, MailJson.templateFields)
    return yield* new CommandError({
      problem: `${file}: a template has no field "${unknown}"`,
      remedy:
        meant === undefined ? `it has ${[...MailJson.templateFields].join(", ")}` : `write "${meant}" if that is meant`
    })
  }
  const source = yield* Effect.fromResult(
    Result.mapError(
      MailJson.decodeTemplate(json),
      ({ field, problem }) => new CommandError({ problem: `${file}, field "${field}": ${problem}`, remedy })
    )
  )
  return MailJson.withPaths(source, (attachment) => path.resolve(folder, attachment))
})

const faultIn = (file: string, text: string): CommandError => {
  const { column, problem } = JsonFault.locate(text, "file")
  const place = TemplateError.placeName({ field: file, ...TemplateError.position(text, column - 1) })
  return new CommandError({ problem: `${place}: ${problem}`, remedy: "correct the JSON" })
}

/** Reads a text, and refuses one that would be sent with its letters spoilt. */
const readText = Effect.fnUntraced(function* (file: string) {
  const bytes = yield* readBytes(file)
  const text = Utf8.decodeStart(bytes) ?? Utf16.decode(bytes)
  if (text !== undefined) return text
  const before = new TextDecoder().decode(bytes).slice(0, Utf8.firstBadColumn(bytes) - 1)
  const place = TemplateError.placeName({ field: file, ...TemplateError.position(before, before.length) })
  return yield* new CommandError({ problem: `${place}: ${Utf8.problemOf(bytes)}` })
})

/** The source of a template. */
interface Origin {
  readonly given: Partial<Template.Source>
  readonly added: AddedParts.AddedParts
  readonly options: Options
  readonly file?: string | undefined
}

const fillingOf = (template: Template.Template, origin: Origin, parts?: Parts): Filling => ({
  template,
  parts,
  placeOf: (field) => {
    const place = template.places.get(field)
    return place === undefined
      ? nameOf("", origin)
      : TemplateError.placeName({ ...place, field: nameOf(place.field, origin) })
  }
})

const toCommandError =
  (origin: Origin) =>
  ({ column, field, line, problem, remedy }: TemplateError.TemplateError): CommandError => {
    const name = nameOf(field, origin)
    if (line !== undefined && column !== undefined)
      return new CommandError({
        problem: `${TemplateError.placeName({ field: name, line, column })}: ${problem}`,
        remedy
      })
    // A fault of the whole template may be mended by a flag, or come from one.
    const isNobody = field === "from" && origin.given.from === undefined
    const mend = isNobody ? "say who sends with --from" : name.startsWith("--") ? `correct ${name}` : remedy
    return new CommandError({ problem: `${name}: ${problem}`, remedy: mend })
  }

/** The author's name for a part of a template: the flag or the file that it stands in. */
const nameOf = (part: string, { added, file, given, options }: Origin): string => {
  const [top = "", below = ""] = part.split(/[.[]/)
  if (top === "text" && options.textFile !== undefined) return options.textFile
  if (top === "html" && options.htmlFile !== undefined) return options.htmlFile
  if ((top === "from" || top === "subject" || top === "to") && given[top] !== undefined) return `--${top}`
  if (top === "headers" && added.headers?.[below] !== undefined) return `--header ${below}`
  if (top === "replyTo" && added.replyTo !== undefined) return "--reply-to"
  if (top === "listUnsubscribe" && added.listUnsubscribe !== undefined) return "--list-unsubscribe"
  if (file === undefined) return part
  const isAll = (top === "html" && kindOf(file) === "html") || (top === "text" && kindOf(file) === "text")
  return isAll || part === "" ? file : `${file}, ${part}`
}
