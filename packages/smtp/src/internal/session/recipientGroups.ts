/**
 * Sends a message with more recipients than the relay takes at once (LIMITS RCPTMAX, RFC 9422 §5): one transaction for each
 * group, on the same session, and one outcome for all.
 *
 * The failure of one group says nothing about the others. Recipients that were not asked because the session ended are
 * deferred, so that they, and they alone, are asked again.
 */

import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import type { Receipt } from "mailrace/MailTransport"
import * as RecipientLedger from "mailrace/RecipientLedger"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as ReplyClassification from "../../ReplyClassification.ts"
import type { SessionOutcome } from "../../SmtpSession.ts"

/** One transaction, as `SmtpSession.send` makes it. */
export type SendOne = (
  message: Composed.Composed,
  onEnd: (sent: SessionOutcome) => void
) => Effect.Effect<SessionOutcome>

/**
 * Sends in groups of at most `size` recipients. After each group it calls `onProgress` with a function that gives the
 * outcome so far. That takes time for every recipient and is needed only if the send is interrupted.
 */
export const send = (
  message: Composed.Composed,
  size: number,
  sendOne: SendOne,
  onProgress: (known: () => SessionOutcome) => void
): Effect.Effect<SessionOutcome> => {
  const { to } = message.envelope
  const ledger = RecipientLedger.make(to)
  let next = 0
  let receipt: Receipt | undefined
  let unknown: MailError.MailError | undefined
  let firstError: MailError.MailError | undefined

  const note = (group: Composed.Composed["envelope"]["to"], sent: SessionOutcome): void => {
    if (sent === undefined) return
    if (Result.isSuccess(sent)) {
      receipt ??= sent.success
      ledger.record(sent.success.recipients)
    } else {
      const error = sent.failure
      firstError ??= error
      if (error.reason._tag === "OutcomeUnknown") unknown ??= error
      if (error.reason._tag === "RecipientsRejected") ledger.record(error.reason.recipients)
      else ledger.answerOwed(RecipientLedger.answerOf(error), group)
    }
    onProgress(known)
  }

  const known = (): SessionOutcome => {
    const recipients = to.map((address) => ledger.get(address) ?? { address, outcome: "deferred" as const })
    if (receipt !== undefined) return Result.succeed({ ...receipt, recipients })
    if (unknown !== undefined) return Result.fail(unknown)
    return Result.fail(
      recipients.every((recipient) => "reply" in recipient)
        ? ReplyClassification.fromRecipients(recipients)
        : firstError!
    )
  }

  /** The next recipients without an answer; an address that is given twice is asked once. */
  const takeGroup = (): typeof to => {
    const group = new Set<(typeof to)[number]>()
    while (group.size < size && next < to.length) {
      const address = to[next++]!
      if (ledger.get(address) === undefined) group.add(address)
    }
    return [...group]
  }

  const sendNext: Effect.Effect<SessionOutcome> = Effect.suspend(() => {
    const group = takeGroup()
    if (group.length === 0) return Effect.sync(known)
    const part = { ...message, envelope: { ...message.envelope, to: group } }
    return Effect.flatMap(
      sendOne(part, (sent) => note(group, sent)),
      (sent) => (sent !== undefined ? sendNext : ledger.isEmpty ? Effect.undefined : Effect.sync(known))
    )
  })
  return sendNext
}
