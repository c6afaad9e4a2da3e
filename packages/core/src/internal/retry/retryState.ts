/**
 * What is known about a mail between its attempts: which recipients are settled, which are still owed an attempt. `Mailer`
 * gives it the first attempt's end, and takes the `Delivery` that all attempts amount to.
 *
 * A relay that takes only so many recipients at once (452 4.5.3, RFC 5321 §4.5.3.1.10) gets the rest without a wait and
 * at no cost in retries: each such attempt settles at least one of them.
 *
 * Made only when the first attempt did not settle the mail, so that a mail that goes through at once pays nothing.
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
import type * as Reply from "../../Reply.ts"
import type * as RetryPolicy from "../../RetryPolicy.ts"

/** What stands for a reply that a transport did not pass on. */
const unsaid: Reply.Reply = { code: 450, text: "deferred" }

/** Whether a recipient was one too many (RFC 5321 §4.5.3.1.10, RFC 3463 §3.6). */
const isTooMany = ({ code, enhanced, text }: Reply.Reply): boolean =>
  code === 452 && (enhanced === undefined ? /too many recipients/i.test(text) : enhanced === "4.5.3")

/** An interrupt ends the mail with what is known, and itself goes on outside; a defect is nobody's outcome. */
const endOrDie = (cause: Cause.Cause<never>): Effect.Effect<void> =>
  Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.failCause(cause)

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
type Attempt = (message: Composed.Composed) => Effect.Effect<Receipt, MailError.MailError>

/** A mail between two attempts. */
export class RetryState {
  private readonly message: Composed.Composed
  private readonly isWorthRetrying: (error: MailError.MailError) => boolean
  private readonly outcomes = new Map<string, MailError.RecipientOutcome>()
  private attempts = 0
  private receipt: Receipt | undefined
  private lastError: MailError.MailError | undefined
  private unknown: MailError.MailError | undefined
  /** The relay took some and did not want to hear of more at once, so the rest goes on without a wait. */
  private isCutShort = false

  constructor(message: Composed.Composed, isWorthRetrying: (error: MailError.MailError) => boolean) {
    this.message = message
    this.isWorthRetrying = isWorthRetrying
  }

  /** An attempt that a relay took, perhaps not for every recipient. */
  accepted(receipt: Receipt): void {
    this.attempts++
    this.receipt ??= receipt
    for (const recipient of receipt.recipients) {
      // An address that is given twice and was accepted once has the mail.
      if (this.outcomes.get(recipient.address)?.outcome !== "accepted") this.outcomes.set(recipient.address, recipient)
    }
    const deferred = receipt.recipients.filter(
      (recipient) => recipient.outcome === "deferred" && this.outcomes.get(recipient.address) === recipient
    )
    this.isCutShort = deferred.length > 0 && deferred.every(({ reply }) => reply !== undefined && isTooMany(reply))
    this.lastError =
      deferred.length === 0
        ? undefined
        : MailError.make(
            new MailError.RecipientsRejected({ recipients: deferred, reply: deferred[0]!.reply ?? unsaid })
          )
  }

  /** An attempt that failed as a whole. */
  failed(error: MailError.MailError): void {
    this.attempts++
    this.lastError = error
    this.isCutShort = false
    if (error.reason._tag === "RecipientsRejected") {
      for (const recipient of error.reason.recipients) this.outcomes.set(recipient.address, recipient)
    } else if (error.reason._tag === "OutcomeUnknown") {
      this.unknown ??= error
      for (const address of this.owed()) this.outcomes.set(address, { address, outcome: "unknown" })
    } else if (this.receipt !== undefined) {
      // Others have the mail, so what was said of the mail now is about those who were still owed it.
      const outcome = error.isRetryable ? "deferred" : "rejected"
      const { reply } = error
      for (const address of this.owed())
        this.outcomes.set(address, reply === undefined ? { address, outcome } : { address, outcome, reply })
    }
  }

  /** Attempts what is owed, on the policy's times, until all is settled, the policy ends, or an interrupt comes. */
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

  /** The end that all attempts together amount to. */
  conclude(info: (attempts: number) => Delivery.Info): Delivery.Delivery {
    const recipients = this.message.envelope.to.flatMap((address) => this.outcomes.get(address) ?? [])
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
    // Once an end was unknown, a later refusal does not make it known: the first copy may have arrived.
    return Delivery.fromError(this.unknown ?? this.finalError(recipients), common)
  }

  private finalError(recipients: ReadonlyArray<MailError.RecipientOutcome>): MailError.MailError {
    const error = this.lastError!
    // Later attempts asked for fewer recipients; the error tells of all of them.
    return error.reason._tag === "RecipientsRejected"
      ? MailError.make(new MailError.RecipientsRejected({ recipients, reply: error.reason.reply }))
      : error
  }

  private owed(): ReadonlyArray<Composed.Composed["envelope"]["to"][number]> {
    return this.message.envelope.to.filter((address) => {
      const outcome = this.outcomes.get(address)?.outcome
      return outcome === undefined || outcome === "deferred" || outcome === "unknown"
    })
  }

  private remaining(): Composed.Composed {
    return { ...this.message, envelope: { ...this.message.envelope, to: this.owed() } }
  }
}
