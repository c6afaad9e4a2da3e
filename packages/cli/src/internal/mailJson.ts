/**
 * A plain object as a `Mail`, by core's Schema, with what is wrong said in plain words.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Mail from "mailrace/Mail"

/** What is wrong with an object that is no mail. */
export interface MailFault {
  readonly field: string | undefined
  readonly problem: string
}

/** The fields that a mail can have. */
export const knownFields: ReadonlySet<string> = new Set(Object.keys(Mail.MailJson.fields))

/** Reads an object as a mail. Fields that no mail has are left out. */
export const decode = (json: unknown): Result.Result<Mail.Mail, MailFault> => {
  const mail = decodeMail(json)
  return Result.isSuccess(mail) ? Result.succeed(mail.success) : Result.fail(explain(json, mail.failure.issue))
}

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

const decodeMail = Schema.decodeUnknownResult(Mail.MailJson)
const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

const explain = (json: unknown, issue: SchemaIssue.Issue): MailFault => {
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
