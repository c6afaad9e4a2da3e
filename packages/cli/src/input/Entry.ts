/**
 * What a source of mails gives, one after the other: a mail, or a place in the input that is not one.
 */
import * as Effect from "effect/Effect"
import { Composer } from "mailrace/Composer"
import type * as Screening from "mailrace/Screening"
import type * as Mail from "mailrace/Mail"
import type * as Mailer from "mailrace/Mailer"
import type * as MailError from "mailrace/MailError"
import type * as Template from "mailrace/Template"
import * as Format from "../output/format.ts"
import * as Printable from "../output/printable.ts"

/** Where something was found. */
interface Found {
  /** The line on which it begins, from 1; for files of one mail each the file's number. */
  readonly line: number
  /** Bytes of the input up to its end; for files of one mail each the number of files so far. */
  readonly end: number
  /** What names its place better than a line's number, as `file welcome.eml`. */
  readonly place?: string | undefined
}

/** A mail as it was written down. */
export interface PlainMail {
  readonly mail: Mailer.Sendable
  readonly template?: undefined
}

/** A mail that is a template filled in for someone. */
export interface Filled {
  /** Who the mail is for, with the values to fill in; `to` is never missing. */
  readonly mail: Template.Recipient & Required<Pick<Template.Recipient, "to">>
  readonly template: Template.Template
  /** What the line says itself of what belongs to a template; goes before what the template says. */
  readonly own?: Overrides | undefined
}

/** Fields that belong to a template, said by a line. */
export type Overrides = Partial<
  Pick<Mail.Mail, "subject" | "text" | "html" | "headers" | "listUnsubscribe" | "priority">
>

/** A mail in the one form or the other. */
export type InputMail = PlainMail | Filled

/** A mail and where it was found. */
export type MailEntry = InputMail &
  Found & {
    readonly _tag: "MailEntry"
    /** Finds a value that came with the mail and is not part of it, as a column of a CSV. */
    readonly field?: ((name: string) => unknown) | undefined
    /** Where a field of the mail, as `to.address` or `data.name`, comes from, where the input has columns. */
    readonly origin?: ((field: string) => Origin | undefined) | undefined
    /** What was found about its recipients, and the letter before some of them were taken out. */
    readonly screened?: Screened | undefined
  }

/** What screening came to. */
export interface Screened {
  readonly findings: ReadonlyArray<Screening.Finding>
  readonly before: InputMail
}

/** A mail of which no recipient is left, since all were to be left out. */
export type DroppedEntry = InputMail & Found & { readonly _tag: "DroppedEntry"; readonly screened: Screened }

/** What the input says in a place. */
export interface Origin {
  /** The column's name as the header has it. */
  readonly column?: string | undefined
  readonly value?: string | undefined
}

/** A part of the input that is not a mail. */
export interface BadEntry extends Found {
  readonly _tag: "BadEntry"
  /** The character in the line, from 1, where the parser gave up. */
  readonly column?: number | undefined
  /** The field at fault, as in `to` or `attachments[0].path`. */
  readonly field?: string | undefined
  /** What the input has there. */
  readonly origin?: Origin | undefined
  /** Whom it was to go to, as far as that could be read. */
  readonly to?: string | undefined
  /** What is wrong, in words. */
  readonly problem: string
  /** Whether the text itself could not be read as the format, which in the first line means a wrong format. */
  readonly malformed: boolean
}

/** What a source of mails gives. */
export type Entry = MailEntry | DroppedEntry | BadEntry

/** A mail and its position in the input, from 0, bad lines counted too. */
export interface IndexedEntry {
  readonly entry: MailEntry
  readonly index: number
}

/** The name of a mail in reports: its own id, else its position. */
export const idOf = ({ entry, index }: IndexedEntry): string => entry.mail.id ?? String(index)

/** Where an entry was found, as in `line 3` or `file welcome.eml`. */
export const placeOf = (entry: Pick<Entry, "line" | "place">): string => entry.place ?? `line ${entry.line}`

/** Where a bad entry is and what is wrong with it, as in `line 3, column 17: a comma or "}" is expected`. */
export const describe = (entry: BadEntry): string => {
  const column = entry.column === undefined ? "" : `, column ${entry.column}`
  const field = entry.field === undefined ? "" : `, field "${entry.field}"`
  return Printable.line(
    `${placeOf(entry)}${column}${field}: ${entry.problem}${originInWords(entry.origin, entry.field, entry.problem)}`
  )
}

/** What is wrong with a mail that cannot be composed, and where, as in `line 3, field to.address: … ("ann@")`. */
export const describeInvalid = (entry: MailEntry, { reason }: MailError.MailError): string => {
  const isInvalid = reason._tag === "InvalidMessage"
  const origin = isInvalid ? originOf(entry, reason.field) : undefined
  const suffix = isInvalid ? originInWords(origin, reason.field, reason.problem) : ""
  return `${placeOf(entry)}, ${isInvalid ? "field " : ""}${reason.message}${suffix}`
}

/** Where a field of a mail comes from. */
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

/** Whom an entry is to go to, as the input has it and a person may read it. */
export const addressesOf = (entry: MailEntry | BadEntry): ReadonlyArray<string> => {
  if (entry._tag === "BadEntry") return entry.to === undefined ? [] : [shortened(entry.to)]
  const { mail } = entry
  const given = "to" in mail ? [mail.to].flat() : mail.envelope.to
  return given.map((one) => shortened(typeof one === "string" ? one : String(one?.address)))
}

const shortened = (text: string): string => Printable.line(Format.truncate(text.trim(), longestValue))

/** As in ` (column "Email", "ann@")`, as far as the field and the problem do not say it; a value is shortened. */
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

/** The letter as the input has it, whoever is left out. */
export const unscreened = (entry: MailEntry | DroppedEntry): InputMail => entry.screened?.before ?? entry

/** The letter as it is sent; a template is filled in when its turn comes. */
export const sourceOf = (inputMail: InputMail): Mailer.Source => {
  if (inputMail.template === undefined) return inputMail.mail
  const { mail, own, template } = inputMail
  if (own === undefined) return template.render(mail)
  const composing = Effect.flatMap(mailOf(inputMail), (whole) =>
    Effect.flatMap(Composer, (composer) => composer.compose(whole))
  )
  return Object.assign(composing, { id: mail.id })
}

/** A template filled in for someone, as a whole mail. */
export const mailOf = ({ mail, own, template }: Filled): Effect.Effect<Mail.Mail, MailError.MailError> =>
  own === undefined ? template.mail(mail) : Effect.map(template.mail(mail), (filled) => overlaid(filled, own))

/** What a line says itself goes before what the template says; of the headers, each by its name. */
const overlaid = (mail: Mail.Mail, own: Overrides): Mail.Mail => {
  const names = new Set(Object.keys(own.headers ?? {}).map((name) => name.toLowerCase()))
  const rest = Object.entries(mail.headers ?? {}).filter(([name]) => !names.has(name.toLowerCase()))
  return { ...mail, ...own, headers: { ...Object.fromEntries(rest), ...own.headers } }
}
