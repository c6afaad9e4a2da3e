/**
 * Tells a dispatcher in the same process what changed, so that it need not wait for its next look.
 *
 * Everything said here could be lost without harm: the next look through the lanes finds it.
 */
import * as Effect from "effect/Effect"
import type { DueLane } from "../../OutboxStore.ts"

/** Wakes the dispatcher. */
export class DispatchSignal {
  private places = new Map<string, DueLane>()
  private earliest = Infinity
  private isPending = false
  private resume: (() => void) | undefined
  /** Whether a dispatcher listens; nothing is kept otherwise. */
  isHeard = false

  /** A lane has something due at `dueAt`. */
  noteDue(place: DueLane, dueAt: number, now: number): void {
    if (!this.isHeard) return
    if (dueAt <= now) {
      if (this.places.has(place.lane)) return
      this.places.set(place.lane, { bucket: place.bucket, lane: place.lane })
    } else if (dueAt < this.earliest) this.earliest = dueAt
    else return
    this.wake()
  }

  /** Something changed that may make room or work. */
  wake(): void {
    this.isPending = true
    const wake = this.resume
    this.resume = undefined
    wake?.()
  }

  /** Lanes with something due, and when the next mail will be due, since the last time. */
  drain(): { readonly places: ReadonlyArray<DueLane>; readonly dueAt: number } {
    const taken = { places: [...this.places.values()], dueAt: this.earliest }
    if (this.places.size > 0) this.places = new Map()
    this.earliest = Infinity
    this.isPending = false
    return taken
  }

  /** Waits for a beat since the last `take`, until `time` at most. */
  waitUntil(time: number): Effect.Effect<void> {
    return Effect.clockWith((clock) => {
      const ms = time - clock.currentTimeMillisUnsafe()
      return this.isPending || ms <= 0 ? Effect.void : Effect.asVoid(Effect.timeoutOption(this.nextWake, ms))
    })
  }

  private readonly nextWake = Effect.callback<void>((resume) => {
    // It may have come between the wish to wait and this.
    if (this.isPending) return resume(Effect.void)
    this.resume = () => resume(Effect.void)
    return Effect.sync(() => {
      this.resume = undefined
    })
  })
}
