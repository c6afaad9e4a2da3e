/**
 * Decides whether a claimed message may begin now.
 *
 * A message that has begun cannot be taken back. So it must not begin while there is doubt that its outcome can be
 * recorded, or that it is this dispatcher's to send. Each such doubt is a *condition*. All conditions must hold, and
 * each message checks them twice: when it leaves the queues of the `LaneScheduler`, and in the transport just before
 * its first command is written (`MailTransport.SendOptions`).
 *
 * The gate asks its conditions and does not cache their answers: a process that was stopped for a minute must not act
 * on an old answer; its timers come late, and its sockets may be first.
 */
import * as Effect from "effect/Effect"
import type { Gate } from "mailrace/MailTransport"

/** Holds messages back while one of its conditions does not hold. */
export class BeginGate implements Gate {
  private readonly conditions: Array<() => boolean> = []
  private readonly waiting = new Set<() => void>()

  /** Adds a condition. Its owner must call `reconsider` when it holds again. */
  require(condition: () => boolean): void {
    this.conditions.push(condition)
  }

  /** True if all conditions hold. */
  get isOpen(): boolean {
    for (const holds of this.conditions) if (!holds()) return false
    return true
  }

  /** Resumes the waiting fibers if all conditions hold. */
  reconsider(): void {
    if (this.waiting.size === 0 || !this.isOpen) return
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const resume of waiting) resume()
  }

  /** Resumes when all conditions hold. */
  readonly opened: Effect.Effect<void> = Effect.suspend(() => (this.isOpen ? Effect.void : this.nextOpening))

  private readonly nextOpening: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.isOpen) return resume(Effect.void)
    // Checks again on resuming: another waiting fiber may have closed the gate.
    const wake = (): void => resume(this.opened)
    this.waiting.add(wake)
    return Effect.sync(() => this.waiting.delete(wake))
  })
}
