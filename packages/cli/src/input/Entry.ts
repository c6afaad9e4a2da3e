/**
 * What a source of mails gives, one after the other: a mail, or a place in the input that is not one.
 */
import type * as Mailer from "mailrace/Mailer"

/** A mail and where it was found. */
export interface MailEntry {
  readonly _tag: "MailEntry"
  readonly mail: Mailer.Sendable
  /** The line on which it begins, from 1; for files of one mail each the file's number. */
  readonly line: number
  /** Bytes of the input up to its end; for files of one mail each the number of files so far. */
  readonly end: number
  /** What names its place better than a line's number, as `file welcome.eml`. */
  readonly place?: string | undefined
  /** Finds a value that came with the mail and is not part of it, as a column of a CSV. */
  readonly field?: ((name: string) => unknown) | undefined
}

/** A part of the input that is not a mail. */
export interface BadEntry {
  readonly _tag: "BadEntry"
  readonly line: number
  readonly end: number
  readonly place?: string | undefined
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
export type Entry = MailEntry | BadEntry

/** Where an entry was found, as in `line 3` or `file welcome.eml`. */
export const placeOf = (entry: Pick<Entry, "line" | "place">): string => entry.place ?? `line ${entry.line}`

/** Where a bad entry is and what is wrong with it, as in `line 3, column 17: a comma or "}" is expected`. */
export const describe = (entry: BadEntry): string => {
  const column = entry.column === undefined ? "" : `, column ${entry.column}`
  const field = entry.field === undefined ? "" : `, field "${entry.field}"`
  return `${placeOf(entry)}${column}${field}: ${entry.problem}`
}
