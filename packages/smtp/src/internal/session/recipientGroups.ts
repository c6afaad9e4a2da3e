/**
 * More recipients than the relay takes in one message (LIMITS RCPTMAX, RFC 9422 §5): one transaction a group, on the same
 * session, and one outcome for all.
 *
 * A group that fails says nothing of the others. What was not asked because the session ended is deferred, so that it is
 * asked again, and it alone.
 */
import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import type { Receipt } from "mailrace/MailTransport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as ReplyClassification from "../../ReplyClassification.ts"
import type { Sent } from "../../SmtpSession.ts"

/** One transaction, as `SmtpSession.send` makes it. */
export type SendOne = (message: Composed.Composed, onEnd: (sent: Sent) => void) => Effect.Effect<Sent>

/**
 * Sends in groups of at most `size` recipients. `onProgress` is called after each group with what gives all that is known by
 * then: putting it together takes as long as there are recipients, and is only wanted if the send is interrupted.
 */
export const send = (
  message: Composed.Composed,
  size: number,
  sendOne: SendOne,
  onProgress: (known: () => Sent) => void
): Effect.Effect<Sent> => {
  const { to } = message.envelope
  const outcomes: Array<MailError.RecipientOutcome> = []
  let receipt: Receipt | undefined
  let unknown: MailError.MailError | undefined
  let firstError: MailError.MailError | undefined

  const note = (group: Composed.Composed["envelope"]["to"], sent: Sent): void => {
    if (sent === undefined) return
    if (Result.isSuccess(sent)) {
      receipt ??= sent.success
      append(sent.success.recipients)
    } else {
      firstError ??= sent.failure
      if (sent.failure.reason._tag === "OutcomeUnknown") unknown ??= sent.failure
      append(outcomesOf(group, sent.failure))
    }
    onProgress(known)
  }

  // One by one: as arguments of one call, a hundred thousand are more than the stack holds.
  const append = (more: ReadonlyArray<MailError.RecipientOutcome>): void => {
    for (const outcome of more) outcomes.push(outcome)
  }

  const known = (): Sent => {
    const rest = to.slice(outcomes.length).map((address) => ({ address, outcome: "deferred" as const }))
    const recipients = [...outcomes, ...rest]
    if (receipt !== undefined) return Result.succeed({ ...receipt, recipients })
    if (unknown !== undefined) return Result.fail(unknown)
    return Result.fail(
      recipients.every((recipient) => "reply" in recipient)
        ? ReplyClassification.fromRecipients(recipients)
        : firstError!
    )
  }

  const next: Effect.Effect<Sent> = Effect.suspend(() => {
    const group = to.slice(outcomes.length, outcomes.length + size)
    if (group.length === 0) return Effect.sync(known)
    const part = { ...message, envelope: { ...message.envelope, to: group } }
    return Effect.flatMap(
      sendOne(part, (sent) => note(group, sent)),
      (sent) => (sent !== undefined ? next : outcomes.length === 0 ? Effect.undefined : Effect.sync(known))
    )
  })
  return next
}

const outcomesOf = (
  group: Composed.Composed["envelope"]["to"],
  error: MailError.MailError
): ReadonlyArray<MailError.RecipientOutcome> => {
  if (error.reason._tag === "RecipientsRejected") return error.reason.recipients
  const outcome = error.reason._tag === "OutcomeUnknown" ? "unknown" : error.isRetryable ? "deferred" : "rejected"
  const { reply } = error
  return group.map((address) => (reply === undefined ? { address, outcome } : { address, outcome, reply }))
}
