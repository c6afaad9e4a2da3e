/**
 * Decides what a `Delivery` means for the message's row.
 */

import * as Feedback from "@mailrace/flow/Feedback"
import * as Effect from "effect/Effect"
import type * as Delivery from "mailrace/Delivery"
import * as MailError from "mailrace/MailError"
import * as RecipientLedger from "mailrace/RecipientLedger"
import * as Reply from "mailrace/Reply"
import * as Backoff from "../../Backoff.ts"
import type { Recipient } from "../../OutboxEntry.ts"
import type { ClaimedRow, Settlement } from "../../OutboxStore.ts"
import { answerOf } from "./claimAttempts.ts"
import type { Feedback as LaneFeedback } from "./laneScheduler.ts"

/** The dispatcher's rules for retries. */
export interface Rules {
  readonly backoff: Backoff.Backoff
  /** The policy for a lost final reply. */
  readonly onUnknown: "resend" | "giveUp"
}

/** The recipients that are still owed an attempt; `undefined` for all. */
export const owed = (row: ClaimedRow): ReadonlyArray<string> | undefined =>
  row.recipients === undefined ? undefined : ledgerOf(row).owed

/** The record of an outcome, and the error because of which some recipient does not have the message. */
export interface Settled {
  readonly settlement: Settlement
  readonly error: MailError.MailError | undefined
}

/**
 * The record of a message whose only recipient has it, `undefined` for any other. It equals the record of `end`, at a
 * fraction of the cost, because most messages end like this.
 */
export const accepted = (row: ClaimedRow, delivery: Delivery.Delivery, now: number): Settlement | undefined => {
  if (delivery._tag !== "Accepted" || delivery.recipients.length > 1 || row.recipients !== undefined) return undefined
  const { code, enhanced, text } = delivery.reply
  return {
    seq: row.seq,
    epoch: row.epoch,
    attempts: row.attempts,
    state: "accepted",
    at: now,
    dueAt: undefined,
    outcome: "accepted",
    relay: delivery.relay,
    code,
    enhanced,
    reply: text,
    recipients: undefined
  }
}

/** The row's next state, at `now`. */
export const end = (
  rules: Rules,
  row: ClaimedRow,
  delivery: Delivery.Delivery,
  now: number
): Effect.Effect<Settled> => {
  const recipients = merge(row, delivery)
  const error = delivery._tag === "Accepted" ? remainder(rules, recipients, delivery) : delivery.error
  const fenced = {
    seq: row.seq,
    epoch: row.epoch,
    attempts: row.attempts,
    at: now,
    dueAt: undefined,
    relay: delivery.relay,
    recipients: recipients.length > 1 ? JSON.stringify(recipients) : undefined
  }
  if (error === undefined) {
    const { reply } = delivery as Delivery.Accepted
    return Effect.succeed({
      settlement: { ...fenced, ...words(reply), state: "accepted", outcome: "accepted" },
      error
    })
  }
  const failed = {
    ...fenced,
    ...(error.reply === undefined ? { ...noWords, reply: error.message } : words(error.reply)),
    outcome: error.reason._tag
  }
  if (!isWorthAnother(rules, error)) {
    // Some recipients have the message, and nothing more can be done for the others; each has an outcome of its own.
    const state =
      error.reason._tag === "OutcomeUnknown"
        ? "dead"
        : recipients.some(({ outcome }) => outcome === "accepted")
          ? "accepted"
          : "rejected"
    return Effect.succeed({ settlement: { ...failed, state }, error })
  }
  return Effect.map(Backoff.delay(rules.backoff, row.attempts - row.retriedAt, error), (wait): Settled => {
    if (wait === undefined) return { settlement: { ...failed, state: "dead" }, error }
    const dueAt = Math.ceil(now + wait)
    // No other attempt would follow, so the owner learns of it now instead of days later.
    const isTooLate = dueAt >= row.expiresAt
    return { settlement: isTooLate ? { ...failed, state: "expired" } : { ...failed, state: "due", dueAt }, error }
  })
}

/** The outcome of a stored message that cannot be read. */
export const unreadableOutcome = "Unreadable"

/** The settlement of a stored message that cannot be read. */
export const unreadable = ({ attempts, epoch, seq }: ClaimedRow, error: Error, now: number): Settlement => ({
  seq,
  epoch,
  attempts,
  at: now,
  state: "dead",
  outcome: unreadableOutcome,
  dueAt: undefined,
  relay: undefined,
  ...noWords,
  reply: `the stored mail cannot be read: ${error.message}`,
  recipients: undefined
})

/** The meaning of an attempt for its lane and for the relay; `meaning` is its meaning for the flow. */
export const feedback = (
  delivery: Delivery.Delivery,
  lane?: string,
  meaning = Feedback.fromDelivery(delivery)
): LaneFeedback => {
  const { lanePause, relayPauseMs } = meaning
  if (relayPauseMs !== undefined) return { _tag: "Pause", about: "relay", ms: relayPauseMs }
  // A lane may be a tenant's, with mail to domains that the rule does not leave alone.
  if (lanePause !== undefined && lanePause.lane === lane) return { _tag: "Pause", about: "lane", ms: lanePause.ms }
  switch (meaning._tag) {
    case "RelayFailure":
      return { _tag: "Complaint", about: "relay", askedMs: meaning.askedMs }
    case "Complaint":
      return { _tag: "Complaint", about: "lane", askedMs: meaning.askedMs }
    default:
      return meaning
  }
}

/** A wrong password or certificate is not the fault of the message, however final the relay sounds. */
const isWorthAnother = (rules: Rules, error: MailError.MailError): boolean =>
  error.reason._tag === "OutcomeUnknown"
    ? rules.onUnknown === "resend"
    : error.isRetryable || MailError.isAboutRelay(error)

const ledgerOf = ({ recipients }: ClaimedRow): RecipientLedger.RecipientLedger<Recipient> =>
  RecipientLedger.fromAnswers(recipients === undefined ? [] : (JSON.parse(recipients) as ReadonlyArray<Recipient>))

const stored = ({ address, outcome, reply }: MailError.RecipientOutcome): Recipient => ({
  address,
  outcome,
  reply: reply && Reply.format(reply)
})

/** The recipients' answers over all attempts; empty as long as every attempt failed as a whole. */
const merge = (row: ClaimedRow, delivery: Delivery.Delivery): ReadonlyArray<Recipient> => {
  const ledger = ledgerOf(row)
  ledger.record(delivery.recipients.map(stored))
  if (delivery._tag !== "Accepted" && !ledger.isEmpty) {
    const answer = answerOf(delivery.error)
    ledger.answerOwed((address) => stored(answer(address)))
  }
  return ledger.answers
}

/** A relay accepted the message for some recipients: the error of the others that are owed another attempt. */
const remainder = (
  rules: Rules,
  recipients: ReadonlyArray<Recipient>,
  delivery: Delivery.Accepted
): MailError.MailError | undefined => {
  const isLeft = ({ outcome }: { readonly outcome: Recipient["outcome"] }) =>
    outcome === "deferred" || (outcome === "unknown" && rules.onUnknown === "resend")
  if (recipients.length < 2 || !recipients.some(isLeft)) return undefined
  const left = delivery.recipients.filter(isLeft)
  const reply = left.find((recipient) => recipient.reply !== undefined)?.reply ?? delivery.reply
  return MailError.make(
    new MailError.RecipientsRejected({
      recipients: left.map((one) => ({ ...one, outcome: "deferred" })),
      reply,
      retryAfter: RecipientLedger.retryAfterOf(left)
    })
  )
}

const words = (reply: Reply.Reply) => ({ code: reply.code, enhanced: reply.enhanced, reply: reply.text })

const noWords = { code: undefined, enhanced: undefined }
