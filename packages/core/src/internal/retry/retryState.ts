/**
 * Holds a message between its attempts: which recipients are settled, and which are still owed an attempt. `Mailer` passes
 * in the outcome of the first attempt and gets back the `Delivery` that all attempts amount to.
 *
 * A relay that takes only so many recipients at once (452 4.5.3, RFC 5321 §4.5.3.1.10) gets the rest without a wait and
 * without using up a retry, because each such attempt settles at least one recipient.
 *
 * It is made only when the first attempt did not settle the message, so a message that goes through at once pays nothing.
 */

import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Composed from "../../Composed.ts"
import * as Delivery from "../../Delivery.ts"
import * as MailError from "../../MailError.ts"
import type { Receipt } from "../../MailTransport.ts"
import * as RecipientLedger from "../../RecipientLedger.ts"
import type * as Reply from "../../Reply.ts"
import * as ReplyMeaning from "../../ReplyMeaning.ts"
import type * as RetryPolicy from "../../RetryPolicy.ts"

/** Stands in for a reply that a transport did not pass on. */
const unsaid: Reply.Reply = { code: 450, text: "deferred" }

/** True if the message had one recipient too many for the relay (RFC 5321 §4.5.3.1.10, RFC 3463 §3.6). */
const isTooMany = (reply: Reply.Reply): boolean =>
  ReplyMeaning.of(reply, "rcpt", { hasAccepted: true }).about === "recipients"

/** After an interrupt the message ends with what is known, and the interrupt continues outside. A defect is no outcome. */
const endOrDie = (cause: Cause.Cause<never>): Effect.Effect<void> =>
  Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.failCause(cause)

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
type Attempt = (message: Composed.Composed) => Effect.Effect<Receipt, MailError.MailError>

/** A message between two attempts. */
export class RetryState {
  private readonly message: Composed.Composed
  private readonly isWorthRetrying: (error: MailError.MailError) => boolean
  private readonly ledger: RecipientLedger.RecipientLedger<MailError.RecipientOutcome>
  private attempts = 0
  private receipt: Receipt | undefined
  private lastError: MailError.MailError | undefined
  private unknown: MailError.MailError | undefined
  /** The relay took some recipients and refused more at once, so the rest follows without a wait. */
  private isCutShort = false

  constructor(message: Composed.Composed, isWorthRetrying: (error: MailError.MailError) => boolean) {
    this.message = message
    this.ledger = RecipientLedger.make(message.envelope.to)
    this.isWorthRetrying = isWorthRetrying
  }

  /** Takes in an attempt that a relay accepted, perhaps not for every recipient. */
  accepted(receipt: Receipt): void {
    this.attempts++
    this.receipt ??= receipt
    this.ledger.record(receipt.recipients)
    // Not those that were accepted elsewhere: an address that is given twice and was accepted once has the message.
    const deferred = receipt.recipients.filter(
      (recipient) => recipient.outcome === "deferred" && this.ledger.get(recipient.address) === recipient
    )
    this.isCutShort = deferred.length > 0 && deferred.every(({ reply }) => reply !== undefined && isTooMany(reply))
    this.lastError =
      deferred.length === 0
        ? undefined
        : MailError.make(
            new MailError.RecipientsRejected({
              recipients: deferred,
              reply: deferred[0]!.reply ?? unsaid,
              retryAfter: RecipientLedger.retryAfterOf(deferred)
            })
          )
  }

  /** Takes in an attempt that failed as a whole. */
  failed(error: MailError.MailError): void {
    this.attempts++
    this.lastError = error
    this.isCutShort = false
    const isUnknown = error.reason._tag === "OutcomeUnknown"
    if (isUnknown) this.unknown ??= error
    if (error.reason._tag === "RecipientsRejected") this.ledger.record(error.reason.recipients)
    // Once recipients have answers of their own, an error of the whole is about those that it was still to reach.
    else if (isUnknown || !this.ledger.isEmpty) this.ledger.answerOwed(RecipientLedger.answerOf(error))
  }

  /** Retries for the owed recipients at the policy's times, until all are settled, the policy ends, or an interrupt comes. */
  run(policy: RetryPolicy.RetryPolicy, restore: Restore, attempt: Attempt): Effect.Effect<void> {
    return Effect.flatMap(Schedule.toStepWithSleep(policy), (step) => {
      const again: Effect.Effect<void> = Effect.suspend(() =>
        Effect.matchCauseEffect(attempt(this.remaining()), {
          onSuccess: (receipt) => {
            this.accepted(receipt)
            return loop
          },
          onFailure: (cause) => {
            const failure = Cause.findErrorOption(cause)
            if (Option.isNone(failure)) return endOrDie(cause as Cause.Cause<never>)
            this.failed(failure.value)
            return loop
          }
        })
      )
      const loop: Effect.Effect<void> = Effect.suspend(() => {
        const error = this.lastError
        if (error === undefined || !this.isWorthRetrying(error)) return Effect.void
        if (this.isCutShort) return again
        return Pull.matchEffect(restore(step(error)), {
          onSuccess: () => again,
          onDone: () => Effect.void,
          onFailure: endOrDie
        })
      })
      return loop
    })
  }

  /** The `Delivery` that all attempts together amount to. */
  conclude(info: (attempts: number) => Delivery.Info): Delivery.Delivery {
    const recipients = this.message.envelope.to.flatMap((address) => this.ledger.get(address) ?? [])
    const common = { ...info(this.attempts), recipients }
    if (this.receipt !== undefined) {
      return {
        ...common,
        _tag: "Accepted",
        messageId: this.message.messageId,
        relay: this.receipt.relay,
        reply: this.receipt.reply
      }
    }
    // A later refusal does not make an unknown outcome known, because the first copy may have arrived.
    return Delivery.fromError(this.unknown ?? this.finalError(recipients), common)
  }

  private finalError(recipients: ReadonlyArray<MailError.RecipientOutcome>): MailError.MailError {
    const error = this.lastError!
    const { reason } = error
    if (reason._tag !== "RecipientsRejected" || this.attempts === 1) return error
    // Later attempts asked fewer recipients, but the error names all of them.
    const { reply, retryAfter } = reason
    return MailError.make(new MailError.RecipientsRejected({ recipients, reply, retryAfter }))
  }

  private owed(): ReadonlyArray<Composed.Composed["envelope"]["to"][number]> {
    return this.message.envelope.to.filter((address) => this.ledger.isOwed(address))
  }

  private remaining(): Composed.Composed {
    return { ...this.message, envelope: { ...this.message.envelope, to: this.owed() } }
  }
}
