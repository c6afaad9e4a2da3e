/**
 * Scans all lanes for due messages, in parts, again and again.
 *
 * A round begins when a waiting message becomes due, when a change is signalled, and at least once in each poll
 * interval. The scan is authoritative; all other signals only save time.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { OutboxError } from "../../OutboxError.ts"
import type { DueLane, LaneCursor, DispatcherLease } from "../../OutboxStore.ts"

const lanesAtOnce = 512

/** Scans the lanes. */
export class LaneScanner {
  private readonly lease: DispatcherLease
  private readonly pollMs: number
  private cursor: LaneCursor
  private nextRoundAt = 0
  /** The time at which the next message becomes due, as far as the last round and later signals show. */
  private nextDueAt = Infinity
  private nextDueAtOfRound = Infinity
  isRunning = false
  /** The number of completed rounds. */
  rounds = 0

  constructor(lease: DispatcherLease, pollMs: number) {
    this.lease = lease
    this.pollMs = pollMs
  }

  /** True if nothing waits, as far as is known. */
  get isEmpty(): boolean {
    return this.nextDueAt === Infinity
  }

  addDueAt(dueAt: number): void {
    if (dueAt < this.nextDueAt) this.nextDueAt = dueAt
    if (dueAt < this.nextDueAtOfRound) this.nextDueAtOfRound = dueAt
  }

  /** Requests a round as soon as possible. */
  want(): void {
    this.nextRoundAt = 0
  }

  /** The time of the next step. */
  get nextStepAt(): number {
    return this.isRunning ? 0 : Math.min(this.nextRoundAt, this.nextDueAt)
  }

  /** Takes the next step of a round, or begins one. */
  step(now: number): Effect.Effect<ReadonlyArray<DueLane>, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      if (!this.isRunning) {
        this.isRunning = true
        this.cursor = undefined
        this.nextDueAtOfRound = Infinity
        // Drawn anew, so that several processes do not scan in step.
        this.nextRoundAt = now + Math.ceil(this.pollMs * (0.5 + 0.5 * (yield* Random.next)))
      }
      const { lanes, next, nextDueAt } = yield* this.lease.dueLanes(this.cursor, lanesAtOnce, now)
      if (nextDueAt !== undefined && nextDueAt < this.nextDueAtOfRound) this.nextDueAtOfRound = nextDueAt
      this.cursor = next
      if (next === undefined) {
        this.isRunning = false
        this.nextDueAt = this.nextDueAtOfRound
        this.rounds++
      }
      return lanes
    })
  }
}
