/**
 * Reads a plain object as a message or a template with core's Schema, and describes faults in plain words.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Mail from "mailrace/Mail"

const { attachments, from, headers, html, listUnsubscribe, priority, replyTo, subject, text, to } = Mail.MailJson.fields

/** A message of which the flags may say what it does not. */
const LineJson = Schema.Struct({
  ...Mail.MailJson.fields,
  from: Schema.optionalKey(from),
  to: Schema.optionalKey(to),
  subject: Schema.optionalKey(subject)
})

/** A template's source, of which the flags may say what it does not. */
const TemplateJson = Schema.Struct({
  from: Schema.optionalKey(from),
  to: Schema.optionalKey(to),
  replyTo,
  subject: Schema.optionalKey(subject),
  text,
  html,
  headers,
  attachments,
  listUnsubscribe,
  priority
})

/** The content of a line. */
export type Line = typeof LineJson.Type

/** The content of a template's file. */
export type TemplateSource = typeof TemplateJson.Type

/** The fault of an object that is not a valid message. */
export interface MailFault {
  readonly field: string | undefined
  readonly problem: string
}

/** The fields that a message can have. */
export const knownFields: ReadonlySet<string> = new Set(Object.keys(Mail.MailJson.fields))

/** The fields that a template can have. */
export const templateFields: ReadonlySet<string> = new Set(Object.keys(TemplateJson.fields))

/** Reads an object as a message of which some may be missing. Fields that no mail has are left out. */
export const decodeLine = (json: object): Result.Result<Line, MailFault> => {
  const plain = plainLine(json)
  return plain === undefined ? decodeBy(decodeLineJson, json) : Result.succeed(plain)
}

/**
 * An object of nothing but texts, as most lines are, read without the Schema at a fifth of its cost; `undefined` for any
 * other. The fields have the Schema's order, because fingerprints of messages depend on it.
 */
const plainLine = (json: object): Line | undefined => {
  const texts = json as Readonly<Record<string, unknown>>
  for (const field in json)
    if (knownFields.has(field) && !(plainFields.has(field) && typeof texts[field] === "string")) return undefined
  const line: Record<string, unknown> = {}
  for (const field of plainFields) if (texts[field] !== undefined) line[field] = texts[field]
  return line as Line
}

/** Fields that are text as they stand. */
const plainFields: ReadonlySet<string> = new Set(["id", "from", "to", "subject", "text", "html"])

/** Reads an object as a template. */
export const decodeTemplate = (json: unknown): Result.Result<TemplateSource, MailFault> =>
  decodeBy(decodeTemplateJson, json)

/** The same with its attachments' paths resolved. */
export const withPaths = <A extends { readonly attachments?: ReadonlyArray<{ readonly path?: string }> }>(
  source: A,
  resolve: (path: string) => string
): A =>
  source.attachments === undefined
    ? source
    : {
        ...source,
        attachments: source.attachments.map((file) => {
          if (file.path === undefined) return file
          const resolved = { ...file, path: resolve(file.path) }
          written.set(resolved, file)
          return resolved
        })
      }

/** The same with its path as it was before `withPaths` resolved it. */
export const pathsAsWritten = <A>(attachment: A): A =>
  (written.get(attachment as object) as A | undefined) ?? attachment

/** Attachments as they were written, by what was made of them. */
const written = new WeakMap<object, object>()

/** A value's kind with its article, as in `a number`. */
export const kindOf = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "a list"
  switch (typeof value) {
    case "object":
      return "an object"
    case "string":
      return "text"
    default:
      return `a ${typeof value}`
  }
}

const decodeLineJson = Schema.decodeUnknownResult(LineJson)
const decodeTemplateJson = Schema.decodeUnknownResult(TemplateJson)

const decodeBy = <A>(
  decode: (json: unknown) => Result.Result<A, Schema.SchemaError>,
  json: unknown
): Result.Result<A, MailFault> => Result.mapError(decode(json), ({ issue }) => faultOf(json, issue))

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

const faultOf = (json: unknown, issue: SchemaIssue.Issue): MailFault => {
  const first = formatIssue(issue).issues[0]
  const path = (first?.path ?? []).map((key) => (typeof key === "object" ? key.key : key))
  const field = path.map((key, depth) =>
    typeof key === "number" ? `[${key}]` : `${depth > 0 ? "." : ""}${String(key)}`
  )
  const value = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], json)
  return { field: field.length === 0 ? undefined : field.join(""), problem: inWords(first?.message ?? "", value) }
}

const inWords = (message: string, value: unknown): string => {
  if (message === "Missing key") return "it is missing"
  const expected = /^Expected (.*)$/.exec(message)?.[1]
  if (expected === undefined) return message
  const kinds = expected
    .split(" | ")
    .map((kind) => kindNames[kind] ?? kind)
    .join(" or ")
  return `it must be ${kinds}, it is ${kindOf(value)}`
}

const kindNames: Readonly<Record<string, string>> = { string: "text", object: "an object", array: "a list" }
