/**
 * Looks through all lanes for what is due, a part at a time, round and round.
 *
 * A round begins when a mail that waited becomes due, when somebody says that something changed, and at least once a
 * poll interval. It is the truth about what is due; all else only saves time.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { OutboxError } from "../../OutboxError.ts"
import type { DueLane, LaneCursor, DispatcherLease } from "../../OutboxStore.ts"

const lanesAtOnce = 256

/** Walks the lanes. */
export class LaneScanner {
  private readonly lease: DispatcherLease
  private readonly pollMs: number
  private cursor: LaneCursor
  private nextRoundAt = 0
  /** When the next mail will be due, as far as the last round and what was noted since tell. */
  private nextDueAt = Infinity
  private nextDueAtOfRound = Infinity
  isRunning = false
  /** Rounds completed. */
  rounds = 0

  constructor(lease: DispatcherLease, pollMs: number) {
    this.lease = lease
    this.pollMs = pollMs
  }

  /** Whether nothing waits, as far as known. */
  get isEmpty(): boolean {
    return this.nextDueAt === Infinity
  }

  addDueAt(dueAt: number): void {
    if (dueAt < this.nextDueAt) this.nextDueAt = dueAt
    if (dueAt < this.nextDueAtOfRound) this.nextDueAtOfRound = dueAt
  }

  /** Begins a round as soon as possible. */
  want(): void {
    this.nextRoundAt = 0
  }

  /** When the next step is to be taken. */
  get nextStepAt(): number {
    return this.isRunning ? 0 : Math.min(this.nextRoundAt, this.nextDueAt)
  }

  /** Takes the next step of a round; begins one. */
  step(now: number): Effect.Effect<ReadonlyArray<DueLane>, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      if (!this.isRunning) {
        this.isRunning = true
        this.cursor = undefined
        this.nextDueAtOfRound = Infinity
        // Drawn anew, so that several processes do not look in step.
        this.nextRoundAt = now + Math.ceil(this.pollMs * (0.25 + 0.75 * (yield* Random.next)))
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
