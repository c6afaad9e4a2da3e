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

/** A part of the input that is not a mail. */
export interface BadEntry extends Found {
  readonly _tag: "BadEntry"
  /** The character in the line, from 1, where the parser gave up. */
  readonly column?: number | undefined
  /** The field at fault, as in `to` or `attachments[0].path`. */
  readonly field?: string | undefined
  /** What is wrong, in words. */
  readonly problem: string
  /** Whether the text itself could not be read as the format, which in the first line means a wrong format. */
  readonly malformed: boolean
}

/** What a source of mails gives. */
export type Entry = MailEntry | DroppedEntry | BadEntry

/** Where an entry was found, as in `line 3` or `file welcome.eml`. */
export const placeOf = (entry: Pick<Entry, "line" | "place">): string => entry.place ?? `line ${entry.line}`

/** Where a bad entry is and what is wrong with it, as in `line 3, column 17: a comma or "}" is expected`. */
export const describe = (entry: BadEntry): string => {
  const column = entry.column === undefined ? "" : `, column ${entry.column}`
  const field = entry.field === undefined ? "" : `, field "${entry.field}"`
  return Printable.line(`${placeOf(entry)}${column}${field}: ${entry.problem}`)
}

/** The letter as the input has it, whoever is left out. */
export const unscreened = (entry: MailEntry | DroppedEntry): InputMail => entry.screened?.before ?? entry

/** The letter as it is sent; a template is filled in when its turn comes. */
export const sourceOf = (letter: InputMail): Mailer.Source => {
  if (letter.template === undefined) return letter.mail
  const { mail, own, template } = letter
  if (own === undefined) return template.render(mail)
  const composing = Effect.flatMap(mailOf(letter), (whole) =>
    Effect.flatMap(Composer, (composer) => composer.compose(whole))
  )
  return Object.assign(composing, { id: mail.id })
}

/** A template filled in for someone, as a whole mail. */
export const mailOf = ({ mail, own, template }: Filled): Effect.Effect<Mail.Mail, MailError.MailError> =>
  own === undefined ? template.mail(mail) : Effect.map(template.mail(mail), (filled) => ({ ...filled, ...own }))
