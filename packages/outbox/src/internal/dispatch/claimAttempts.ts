/**
 * Joins the attempts within one claim: the first and its quick retries, which follow after a tenth of a second instead of
 * after minutes.
 */

import * as MailError from "mailrace/MailError"
import type * as Delivery from "mailrace/Delivery"
import * as RecipientLedger from "mailrace/RecipientLedger"
import type { ClaimedRow, Settlement } from "../../OutboxStore.ts"

/** A message that was attempted in this claim. */
export interface ClaimAttempts {
  readonly row: ClaimedRow
  /** The `id` that the message itself had when it was enqueued. */
  readonly mailId: string | undefined
  /** The outcome of all attempts so far, as one. */
  readonly delivery: Delivery.Delivery
  /** The settlement to record if no other attempt follows. */
  readonly settlement: Settlement
  /** The number of attempts in this claim. */
  readonly attempts: number
  /** The time at which the first attempt began. */
  readonly since: number
}

/** The outcome of earlier attempts and the last one. The last one asked only the recipients that were still owed it. */
export const mergeAttempts = (before: ClaimAttempts, last: Delivery.Delivery, now: number): Delivery.Delivery => {
  const ledger = RecipientLedger.fromAnswers(before.delivery.recipients)
  ledger.record(last.recipients)
  if (last._tag !== "Accepted" && !ledger.isEmpty) ledger.answerOwed(answerOf(last.error))
  const recipients = ledger.answers
  const common = {
    recipients,
    attempts: before.delivery.attempts + last.attempts,
    durationMs: Math.max(last.durationMs, now - before.since)
  }
  // Once a relay has accepted the message for some recipients, a later refusal concerns only the others.
  if (before.delivery._tag === "Accepted") return { ...before.delivery, ...common }
  if (last._tag === "Accepted" || last.error.reason._tag !== "RecipientsRejected") return { ...last, ...common }
  const { reply, retryAfter } = last.error.reason
  const error = MailError.make(new MailError.RecipientsRejected({ recipients, reply, retryAfter }))
  return { ...last, ...common, error }
}

/** The answer for an owed recipient after a failure. A wrong password or certificate is not the recipient's fault. */
export const answerOf = (error: MailError.MailError): ((address: string) => MailError.RecipientOutcome) =>
  MailError.isAboutRelay(error)
    ? (address) => ({
        address,
        outcome: "deferred",
        ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter })
      })
    : RecipientLedger.answerOf(error)
