/**
 * What several tries within one claim amount to: the quick retries, after a tenth of a second and not after minutes.
 */
import * as MailError from "mailrace/MailError"
import type * as Delivery from "mailrace/Delivery"
import type { ClaimedRow, Settlement } from "../../OutboxStore.ts"

/** A mail that was tried. */
export interface ClaimAttempts {
  readonly row: ClaimedRow
  /** The `id` that the mail itself had when it was enqueued. */
  readonly mailId: string | undefined
  /** How all its tries so far ended, as one. */
  readonly delivery: Delivery.Delivery
  /** What is recorded if there is no other. */
  readonly settlement: Settlement
  readonly tries: number
  /** When the first began. */
  readonly since: number
}

/** The end that earlier tries and the last one amount to. Who accepted or refused a mail was not asked again. */
export const mergeAttempts = (before: ClaimAttempts, last: Delivery.Delivery, now: number): Delivery.Delivery => {
  const outcomes = new Map(before.delivery.recipients.map((one) => [one.address, one]))
  for (const one of last.recipients) outcomes.set(one.address, one)
  const recipients = [...outcomes.values()]
  const common = {
    recipients,
    attempts: before.delivery.attempts + last.attempts,
    durationMs: Math.max(last.durationMs, now - before.since)
  }
  // Once a relay has taken it for some, a later refusal is about the others alone.
  if (before.delivery._tag === "Accepted") return { ...before.delivery, ...common }
  if (last._tag === "Accepted" || last.error.reason._tag !== "RecipientsRejected") return { ...last, ...common }
  const error = MailError.make(new MailError.RecipientsRejected({ recipients, reply: last.error.reason.reply }))
  return { ...last, ...common, error }
}
