/**
 * Whether a claimed mail may be begun now.
 *
 * A mail that is begun cannot be taken back, so whatever makes it doubtful that its end can be recorded, or that it is
 * this dispatcher's to send, holds back what is not begun yet. Each such doubt is a *condition*. All of them must hold, and
 * they are asked again for each mail: once when it leaves the queues of the `LaneScheduler`, and last by the transport, when
 * the mail's first command is about to be written (`MailTransport.SendOptions`).
 *
 * Conditions are asked and not told, because a process that was stopped for a minute must not act on what it was told
 * before; its timers come late, and its sockets may be first.
 */
import * as Effect from "effect/Effect"
import type { Gate } from "mailrace/MailTransport"

/** Holds mails back while one of its conditions does not hold. */
export class BeginGate implements Gate {
  private readonly conditions: Array<() => boolean> = []
  private readonly waiting = new Set<() => void>()

  /** Adds a condition. Whoever adds it calls `reconsider` when it holds again. */
  require(condition: () => boolean): void {
    this.conditions.push(condition)
  }

  /** Whether all conditions hold. */
  get isOpen(): boolean {
    return this.conditions.every((holds) => holds())
  }

  /** Lets go on who waits, if all conditions hold. */
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
    // Asked again when it resumes: another of those that waited may have closed it.
    const wake = (): void => resume(this.opened)
    this.waiting.add(wake)
    return Effect.sync(() => this.waiting.delete(wake))
  })
}
