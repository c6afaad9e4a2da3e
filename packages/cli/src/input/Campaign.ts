/**
 * What all mails of an input have in common: who sends, who receives, and the template that is filled in for each line.
 *
 * The flags `--subject`, `--text-file` and `--html-file` are a template of those parts that a line lacks: a line's own
 * subject goes before the flag's, and a line with a body of its own does not want half of the command's. A file given as
 * `--template` is all of each mail, and a line says only who it is for.
 */
import * as Result from "effect/Result"
import type * as Mail from "mailrace/Mail"
import type * as Template from "mailrace/Template"
import type { Line, MailFault } from "../internal/mailJson.ts"
import type { Filled, InputMail, Overrides } from "./Entry.ts"

/** What a line need not say itself. */
export interface Campaign {
  readonly from?: string | undefined
  readonly to?: ReadonlyArray<string> | undefined
  /** Fills in the recipients that `--to` gives with merge fields. */
  readonly recipients?: Filling | undefined
  /** The column of a CSV that holds the recipients. */
  readonly toColumn?: string | undefined
  /** The column of a CSV, or the field of a line, that holds the plain text. */
  readonly bodyField?: string | undefined
  readonly filling?: Filling | undefined
}

/** A template that is filled in for each line. */
export interface Filling {
  /** All that the flags and the file say. */
  readonly template: Template.Template
  /** The same as far as a line lacks it, when the flags give parts; `undefined` when the template is all of a mail. */
  readonly parts?: Parts | undefined
  /** Where a field of the template stands, as in `hello.html, line 3, column 14`. */
  readonly placeOf: (field: string) => string
}

/** Templates of parts of a mail. */
export interface Parts {
  /** For lines with a body; absent when the flags give no subject. */
  readonly subject: Template.Template | undefined
  /** For lines with a subject; absent when the flags give no body. */
  readonly body: Template.Template | undefined
  /** For lines with both; absent when the flags give nothing beside the two. */
  readonly neither?: Template.Template | undefined
}

/** What belongs to a template and not to who a mail is for. */
export const templateFields: ReadonlySet<string> = new Set([
  "subject",
  "text",
  "html",
  "headers",
  "listUnsubscribe",
  "priority"
] satisfies ReadonlyArray<keyof Overrides>)

/** Whether the template is all of each mail, so that a line says nothing of it. */
export const isWhole = ({ filling }: Campaign): boolean => filling !== undefined && filling.parts === undefined

/** The names that are looked up in what a line gives. */
export const fields = ({ filling, recipients }: Campaign): ReadonlyArray<string> => [
  ...(filling?.template.fields ?? []),
  ...(recipients?.template.fields ?? [])
]

/** Whether each line must say a field itself. */
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

/** Whether something else than a line says who its mail is for. */
export const saysRecipients = ({ filling, recipients, to }: Campaign): boolean =>
  to !== undefined || recipients !== undefined || filling?.template.source.to !== undefined

/** What a line lacks that nothing else says, `undefined` when it lacks nothing. */
export const lack = (line: object, campaign: Campaign): MailFault | undefined => {
  const field = needed.find((field) => (line as Line)[field] === undefined && mustSay(field, campaign))
  return field === undefined ? undefined : { field, problem: "it is missing" }
}

const needed = ["from", "to", "subject"] as const

/** Makes a line that lacks nothing into a letter; `data` is what it has to fill in. */
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

/** The recipients that a template gives for a line's values. */
const fill = (
  template: Template.Template,
  data: Template.Fields | undefined
): Result.Result<Mail.Mailboxes | undefined, MailFault> =>
  Result.mapError(template.to({ data }), ({ reason }) => ({ field: undefined, problem: reason.message }))

/** Who the mail is for. A field that is there hides the template's, so what a line does not say is left out. */
const recipientOf = (line: Line, data: Template.Fields | undefined): Template.Recipient => {
  const recipient: Record<string, unknown> = { data }
  for (const field in line)
    if (!templateFields.has(field) && field !== "data") recipient[field] = line[field as keyof Line]
  return recipient
}

/** The template of what a line lacks, `undefined` if it lacks nothing that is a template's. */
const templateFor = (line: Line, { parts, template }: Filling): Template.Template | undefined => {
  if (parts === undefined) return template
  const hasBody = line.text !== undefined || line.html !== undefined
  if (line.subject === undefined) return hasBody ? parts.subject : template
  return (hasBody ? undefined : parts.body) ?? parts.neither
}

/** What a line says itself; a text or an HTML alone is all of its body. */
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
