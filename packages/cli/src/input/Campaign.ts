/**
 * The parts that all messages of an input share: sender, recipients, and the template that each line fills in.
 *
 * The flags `--subject`, `--text-file` and `--html-file` form a template for the parts that a line lacks: a line's own
 * subject overrides the flag's, and a line's own body replaces both texts. A `--template` file is the whole message, and a
 * line only names the recipient and the values.
 */
import * as Result from "effect/Result"
import type * as Mail from "mailrace/Mail"
import type * as Template from "mailrace/Template"
import type { Line, MailFault } from "../internal/mailJson.ts"
import type { Filled, InputMail, Overrides } from "./Entry.ts"

/** The parts that lines may omit. */
export interface Campaign {
  readonly from?: string | undefined
  readonly to?: ReadonlyArray<string> | undefined
  /** Recipients with merge fields, from `--to`. */
  readonly recipients?: Filling | undefined
  /** The column of a CSV that holds the recipients. */
  readonly toColumn?: string | undefined
  /** The column of a CSV, or the field of a line, that holds the plain text. */
  readonly bodyField?: string | undefined
  readonly filling?: Filling | undefined
}

/** A template that is filled in for each line. */
export interface Filling {
  /** The template of all parts. */
  readonly template: Template.Template
  /** Templates for lines that have some parts themselves; `undefined` if the template is the whole message. */
  readonly parts?: Parts | undefined
  /** The place of a merge field, such as `hello.html, line 3, column 14`. */
  readonly placeOf: (field: string) => string
}

/** Templates of parts of a message. */
export interface Parts {
  /** For lines with a body; absent if the flags give no subject. */
  readonly subject: Template.Template | undefined
  /** For lines with a subject; absent if the flags give no body. */
  readonly body: Template.Template | undefined
  /** For lines with both; absent if the flags add no other part. */
  readonly neither?: Template.Template | undefined
}

/** Fields of a template, as opposed to a recipient. */
export const templateFields: ReadonlySet<string> = new Set([
  "subject",
  "text",
  "html",
  "headers",
  "listUnsubscribe",
  "priority"
] satisfies ReadonlyArray<keyof Overrides>)

/** Returns true if the template is the whole message. */
export const isWhole = ({ filling }: Campaign): boolean => filling !== undefined && filling.parts === undefined

/** The merge fields that a line has to provide. */
export const fields = ({ filling, recipients }: Campaign): ReadonlyArray<string> => [
  ...(filling?.template.fields ?? []),
  ...(recipients?.template.fields ?? [])
]

/** Returns true if each line must contain a field. */
export const mustSay = (field: "from" | "to" | "subject", campaign: Campaign): boolean => {
  const { filling, from } = campaign
  switch (field) {
    case "from":
      return from === undefined && !isWhole(campaign)
    case "to":
      return !saysRecipients(campaign)
    case "subject":
      return !isWhole(campaign) && filling?.parts?.subject === undefined
  }
}

/** Returns true if a flag or the template names the recipients. */
export const saysRecipients = ({ filling, recipients, to }: Campaign): boolean =>
  to !== undefined || recipients !== undefined || filling?.template.source.to !== undefined

/** Finds a required field that a line lacks. */
export const lack = (line: object, campaign: Campaign): MailFault | undefined => {
  const field = needed.find((field) => (line as Line)[field] === undefined && mustSay(field, campaign))
  return field === undefined ? undefined : { field, problem: "it is missing" }
}

const needed = ["from", "to", "subject"] as const

/** Makes a complete line into a message; `data` holds the values of the merge fields. */
export const complete = (
  line: Line,
  data: Template.Fields | undefined,
  campaign: Campaign
): Result.Result<InputMail, MailFault> => {
  const { filling, recipients } = campaign
  const template = filling && templateFor(line, filling)
  const flagged = line.to ?? (recipients === undefined ? campaign.to : fill(recipients.template, data))
  if (Result.isResult(flagged) && Result.isFailure(flagged)) return Result.fail(flagged.failure)
  const to = Result.isResult(flagged) ? flagged.success : flagged
  if (filling === undefined || template === undefined) {
    const { from } = line.from === undefined ? campaign : line
    return Result.succeed({ mail: { ...line, from, to } as Mail.Mail })
  }
  const recipient = recipientOf(line, data)
  const own = filling.parts && ownOf(line)
  if (to !== undefined) return Result.succeed<Filled>({ mail: { ...recipient, to }, template, own })
  return Result.map(fill(template, data), (filled): Filled => ({
    mail: { ...recipient, to: filled ?? [] },
    template,
    own
  }))
}

/** Fills in the recipients of a template. */
const fill = (
  template: Template.Template,
  data: Template.Fields | undefined
): Result.Result<Mail.Mailboxes | undefined, MailFault> =>
  Result.mapError(template.to({ data }), ({ reason }) => ({ field: undefined, problem: reason.message }))

/** The recipient's fields. Absent fields are left out, because a present one would hide the template's. */
const recipientOf = (line: Line, data: Template.Fields | undefined): Template.Recipient => {
  const recipient: Record<string, unknown> = { data }
  for (const field in line)
    if (!templateFields.has(field) && field !== "data") recipient[field] = line[field as keyof Line]
  return recipient
}

/** The template for the parts that a line lacks, `undefined` if it lacks none. */
const templateFor = (line: Line, { parts, template }: Filling): Template.Template | undefined => {
  if (parts === undefined) return template
  const hasBody = line.text !== undefined || line.html !== undefined
  if (line.subject === undefined) return hasBody ? parts.subject : template
  return (hasBody ? undefined : parts.body) ?? parts.neither
}

/** The template fields that a line sets itself; text or HTML alone is its whole body. */
const ownOf = ({ headers, html, listUnsubscribe, priority, subject, text }: Line): Overrides | undefined => {
  const hasBody = text !== undefined || html !== undefined
  const own: Overrides = {
    ...(subject === undefined ? {} : { subject }),
    ...(hasBody ? { text, html } : {}),
    ...(headers === undefined ? {} : { headers }),
    ...(listUnsubscribe === undefined ? {} : { listUnsubscribe }),
    ...(priority === undefined ? {} : { priority })
  }
  return Object.keys(own).length === 0 ? undefined : own
}
