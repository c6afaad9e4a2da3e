/**
 * The elements of an input: messages, and places that are not valid messages.
 */
import * as Effect from "effect/Effect"
import { Composer } from "mailrace/Composer"
import type * as Screening from "mailrace/Screening"
import type * as Mail from "mailrace/Mail"
import type * as Mailer from "mailrace/Mailer"
import type * as MailError from "mailrace/MailError"
import type * as Template from "mailrace/Template"
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"

/** A position in the input. */
interface Found {
  /** The line on which it begins, from 1; for files of one message each the file's number. */
  readonly line: number
  /** Bytes of the input up to its end; for files of one message each the number of files so far. */
  readonly end: number
  /** A better name for the place than a line number, such as `file welcome.eml`. */
  readonly place?: string | undefined
}

/** A message that the input contains as a whole. */
export interface PlainMail {
  readonly mail: Mailer.Sendable
  readonly template?: undefined
}

/** A template with the values for one recipient. */
export interface Filled {
  /** The recipient and the values to fill in; `to` is always present. */
  readonly mail: Template.Recipient & Required<Pick<Template.Recipient, "to">>
  readonly template: Template.Template
  /** Template fields that the line sets itself; they override the template. */
  readonly own?: Overrides | undefined
}

/** Template fields that a line may set. */
export type Overrides = Partial<
  Pick<Mail.Mail, "subject" | "text" | "html" | "headers" | "listUnsubscribe" | "priority">
>

/** A message in either form. */
export type InputMail = PlainMail | Filled

/** A message and where it was found. */
export type MailEntry = InputMail &
  Found & {
    readonly _tag: "MailEntry"
    /** Finds a value beside the message's own fields, such as a column of a CSV. */
    readonly field?: ((name: string) => unknown) | undefined
    /** Finds the column and cell of a field such as `to.address` or `data.name`, if the input has columns. */
    readonly origin?: ((field: string) => Origin | undefined) | undefined
    /** The findings about its recipients, and the message before some of them were removed. */
    readonly screened?: Screened | undefined
  }

/** The result of screening. */
export interface Screened {
  readonly findings: ReadonlyArray<Screening.Finding>
  readonly before: InputMail
}

/** A message whose recipients were all dropped. */
export type DroppedEntry = InputMail & Found & { readonly _tag: "DroppedEntry"; readonly screened: Screened }

/** The cell or value that a field was read from. */
export interface Origin {
  /** The column's name as the header has it. */
  readonly column?: string | undefined
  readonly value?: string | undefined
}

/** A part of the input that is not a message. */
export interface BadEntry extends Found {
  readonly _tag: "BadEntry"
  /** The character in the line, from 1, where the parser gave up. */
  readonly column?: number | undefined
  /** The field at fault, as in `to` or `attachments[0].path`. */
  readonly field?: string | undefined
  /** The value at fault. */
  readonly origin?: Origin | undefined
  /** The intended recipient, if it could be read. */
  readonly to?: string | undefined
  /** The fault, in words. */
  readonly problem: string
  /** True if the text does not have the format; in the first line this means that the format is wrong. */
  readonly malformed: boolean
}

/** One element of an input. */
export type Entry = MailEntry | DroppedEntry | BadEntry

/** A message and its position in the input, from 0, bad lines counted too. */
export interface IndexedEntry {
  readonly entry: MailEntry
  readonly index: number
}

/** The name of a message in reports: its own id, else its position. */
export const idOf = ({ entry, index }: IndexedEntry): string => entry.mail.id ?? String(index)

/** The place of an entry, such as `line 3` or `file welcome.eml`. */
export const placeOf = (entry: Pick<Entry, "line" | "place">): string => entry.place ?? `line ${entry.line}`

/** Describes a bad entry, as in `line 3, column 17: a comma or "}" is expected`. */
export const describe = (entry: BadEntry): string => {
  const column = entry.column === undefined ? "" : `, column ${entry.column}`
  const field = entry.field === undefined ? "" : `, field "${entry.field}"`
  return Printable.line(
    `${placeOf(entry)}${column}${field}: ${entry.problem}${originInWords(entry.origin, entry.field, entry.problem)}`
  )
}

/** Describes why a message cannot be composed, as in `line 3, field to.address: … ("ann@")`. */
export const describeInvalid = (entry: MailEntry, { reason }: MailError.MailError): string => {
  const isInvalid = reason._tag === "InvalidMessage"
  const origin = isInvalid ? originOf(entry, reason.field) : undefined
  const suffix = isInvalid ? originInWords(origin, reason.field, reason.problem) : ""
  return `${placeOf(entry)}, ${isInvalid ? "field " : ""}${reason.message}${suffix}`
}

/** Finds the value of a field, and its column if the input has columns. */
export const originOf = (entry: MailEntry, field: string): Origin | undefined => {
  const origin = entry.origin?.(field)
  if (origin !== undefined) return origin
  const keys = field.split(/[.[\]]+/).filter((key) => key !== "")
  let value: unknown = entry.mail
  for (const key of keys) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) break
    value = (value as Record<string, unknown>)[key]
  }
  return typeof value === "string" ? { value } : undefined
}

/** The recipients of an entry as the input gives them, made printable and shortened. */
export const addressesOf = (entry: MailEntry | BadEntry): ReadonlyArray<string> => {
  if (entry._tag === "BadEntry") return entry.to === undefined ? [] : [shortened(entry.to)]
  const { mail } = entry
  const given = "to" in mail ? [mail.to].flat() : mail.envelope.to
  return given.map((one) => shortened(typeof one === "string" ? one : String(one?.address)))
}

const shortened = (text: string): string => Printable.line(Format.truncate(text.trim(), longestValue))

/** Adds column and value, as in ` (column "Email", "ann@")`, unless field and problem name them already. */
const originInWords = (origin: Origin | undefined, field: string | undefined, problem: string): string => {
  if (origin === undefined) return ""
  const { column, value } = origin
  const parts = [
    ...(column === undefined || column === field ? [] : [`column ${JSON.stringify(column)}`]),
    ...(!value || problem.includes(value) ? [] : [JSON.stringify(shortened(value))])
  ]
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`
}

/** In characters. */
const longestValue = 60

/** The message as the input contains it, before screening. */
export const unscreened = (entry: MailEntry | DroppedEntry): InputMail => entry.screened?.before ?? entry

/** The message to send; a template is filled in when it is sent. */
export const sourceOf = (inputMail: InputMail): Mailer.Source => {
  if (inputMail.template === undefined) return inputMail.mail
  const { mail, own, template } = inputMail
  if (own === undefined) return template.render(mail)
  const composing = Effect.flatMap(mailOf(inputMail), (whole) =>
    Effect.flatMap(Composer, (composer) => composer.compose(whole))
  )
  return Object.assign(composing, { id: mail.id })
}

/** Fills in a template. */
export const mailOf = ({ mail, own, template }: Filled): Effect.Effect<Mail.Mail, MailError.MailError> =>
  own === undefined ? template.mail(mail) : Effect.map(template.mail(mail), (filled) => overlaid(filled, own))

/** A line's own parts override the template's; headers do so name by name. */
const overlaid = (mail: Mail.Mail, own: Overrides): Mail.Mail => {
  const names = new Set(Object.keys(own.headers ?? {}).map((name) => name.toLowerCase()))
  const rest = Object.entries(mail.headers ?? {}).filter(([name]) => !names.has(name.toLowerCase()))
  return { ...mail, ...own, headers: { ...Object.fromEntries(rest), ...own.headers } }
}
