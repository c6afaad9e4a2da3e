/**
 * Tells a dispatcher in the same process about changes, so that it need not wait for its next scan.
 *
 * Every signal may be lost without harm: the next scan of the lanes finds the change.
 */
import * as Effect from "effect/Effect"
import type { DueLane } from "../../OutboxStore.ts"

/** Wakes the dispatcher. */
export class DispatchSignal {
  private dueLanes = new Map<string, DueLane>()
  private earliest = Infinity
  private isPending = false
  private resume: (() => void) | undefined
  /** True if a dispatcher listens; nothing is kept otherwise. */
  isHeard = false

  /** Records that a lane has a message due at `dueAt`. */
  addDue(dueLane: DueLane, dueAt: number, now: number): void {
    if (!this.isHeard) return
    if (dueAt <= now) {
      if (this.dueLanes.has(dueLane.lane)) return
      this.dueLanes.set(dueLane.lane, { bucket: dueLane.bucket, lane: dueLane.lane })
    } else if (dueAt < this.earliest) this.earliest = dueAt
    else return
    this.wake()
  }

  /** Wakes the dispatcher: there may be room or work. */
  wake(): void {
    this.isPending = true
    const wake = this.resume
    this.resume = undefined
    // A batch of messages ends in one turn of the event loop, and each of them wakes the dispatcher. If it resumed
    // within the first call, it would look for work once for each message.
    if (wake !== undefined) queueMicrotask(wake)
  }

  /** Takes the lanes with due messages, and the time at which the next message becomes due, since the last call. */
  drain(): { readonly dueLanes: ReadonlyArray<DueLane>; readonly dueAt: number } {
    const taken = { dueLanes: [...this.dueLanes.values()], dueAt: this.earliest }
    if (this.dueLanes.size > 0) this.dueLanes = new Map()
    this.earliest = Infinity
    this.isPending = false
    return taken
  }

  /** Waits for a wake-up since the last `drain`, until `time` at most. */
  waitUntil(time: number): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const ms = time - clock.currentTimeMillisUnsafe()
      return this.isPending || ms <= 0 ? Effect.void : Effect.asVoid(Effect.timeoutOption(this.nextWake, ms))
    })
  }

  private readonly nextWake = Effect.callback<void>((resume) => {
    // A wake-up may have come since the caller decided to wait.
    if (this.isPending) return resume(Effect.void)
    this.resume = () => resume(Effect.void)
    return Effect.sync(() => {
      this.resume = undefined
    })
  })
}
