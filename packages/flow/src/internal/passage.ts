/**
 * A message on its way through a transport, from its admission to its end.
 *
 * It is the gate that the transport asks before the message's first command, and the handler of its outcome. One object for
 * both, because each message of a stream pays for it.
 */
import type * as MailError from "mailrace/MailError"
import type { Gate, Receipt } from "mailrace/MailTransport"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Feedback from "../Feedback.ts"
import type { Admission, FlowControl } from "../FlowControl.ts"

/** Records the end of a message. Returns what is to run before its outcome is passed on, if anything is. */
export type Ended = (admission: Admission, feedback: Feedback.Feedback | undefined) => Effect.Effect<void> | undefined

/** A message on its way. */
export class Passage implements Gate {
  private readonly control: FlowControl
  private readonly admission: Admission
  private readonly now: () => number
  /** The caller's gate. */
  private readonly outer: Gate | undefined
  private readonly ended: Ended
  /** The time of the last look at the limits. A message begins in the same turn, so that it is read once for both. */
  private lookedAt: number

  constructor(control: FlowControl, admission: Admission, now: () => number, outer: Gate | undefined, ended: Ended) {
    this.control = control
    this.admission = admission
    this.now = now
    this.outer = outer
    this.ended = ended
    this.lookedAt = admission.admittedAt
  }

  get isOpen(): boolean {
    return this.outer?.isOpen !== false && this.waitMs <= 0
  }

  get opened(): Effect.Effect<void, MailError.MailError> {
    return this.untilOpen()
  }

  private untilOpen(): Effect.Effect<void, MailError.MailError> {
    const { waitMs } = this
    if (waitMs <= 0) return this.outer?.opened ?? Effect.void
    return Effect.andThen(
      Effect.sleep(Math.ceil(waitMs)),
      Effect.suspend(() => this.untilOpen())
    )
  }

  begun(): void {
    this.control.begin(this.admission, this.lookedAt)
    this.outer?.begun?.()
  }

  readonly onSuccess = (receipt: Receipt): Effect.Effect<Receipt> => {
    const before = this.ended(this.admission, Feedback.fromRecipients(receipt.recipients))
    const result = Effect.succeed(receipt)
    return before === undefined ? result : Effect.andThen(before, result)
  }

  readonly onFailure = (cause: Cause.Cause<MailError.MailError>): Effect.Effect<never, MailError.MailError> => {
    const error = Cause.findErrorOption(cause)
    const before = this.ended(this.admission, Option.isSome(error) ? Feedback.fromError(error.value) : undefined)
    const result = Effect.failCause(cause)
    return before === undefined ? result : Effect.andThen(before, result)
  }

  private get waitMs(): number {
    const now = this.now()
    this.lookedAt = now
    return this.control.beginsAt(this.admission, now) - now
  }
}
