/**
 * Keeps a short queue of claimed mails for each lane filled.
 *
 * It is woken by what is enqueued here, by what ends, and by a poll for what others did, and it knows when a dispatcher
 * that is to end has come to its end.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type { LaneQuota, DispatcherLease } from "../../OutboxStore.ts"
import type { BeginGate } from "./beginGate.ts"
import type { ClaimedMails } from "./claimedMails.ts"
import type { LaneScheduler } from "./laneScheduler.ts"
import type { LaneScanner } from "./laneScanner.ts"
import type { DispatchSignal } from "./dispatchSignal.ts"

/** When a dispatcher ends: never, when nothing is due now, or when nothing waits at all. */
export type Until = "never" | "idle" | "empty"

/** What it works with. */
export interface Dependencies {
  readonly tenure: DispatcherLease
  readonly hand: ClaimedMails
  readonly book: LaneScheduler
  readonly gate: BeginGate
  readonly look: LaneScanner
  readonly pulse: DispatchSignal
  /** Mails that may be on their way at once. */
  readonly concurrency: number
  /** How many mails of a lane may be claimed now. */
  readonly quota: (lane: string) => number
  readonly until: Until | (() => Until)
  /** Runs when there may be something to send. */
  readonly onClaimed: () => void
}

const claimBatch = 250

/** How long to rest when the lanes known are enough and none of them may be claimed from. */
const shortestRest = 250

/** Claims. */
export class Claiming {
  private readonly it: Dependencies
  /** Set when the answer to a claim was lost: what it claimed is found and put back before the next. */
  private isInDoubt = false
  /** The look's round in which nothing was held any more. */
  private idleRound = 0

  constructor(surroundings: Dependencies) {
    this.it = surroundings
  }

  /** Claims whenever there is room. Ends when `until` says so. */
  readonly run: Effect.Effect<void, OutboxError> = Effect.gen({ self: this }, function* () {
    const { book, concurrency, gate, hand, look, onClaimed, pulse, quota } = this.it
    while (true) {
      // What could not be begun is better left where others can claim it.
      yield* gate.opened
      const now = yield* Clock.currentTimeMillis
      const { dueAt, places } = pulse.drain()
      for (const place of places) book.noteDue(place)
      look.noteDueAt(dueAt)
      if (look.nextStepAt <= now && book.wantsLanes) {
        for (const place of yield* hand.persist(look.step(now))) book.noteFound(place)
        book.lineUp(!look.isRunning)
      }
      const room = book.isLow ? book.prefetch + concurrency - hand.size : 0
      const quotas = book.quotas(Math.min(claimBatch, room), now, quota)
      if (quotas.length > 0) yield* this.claim(quotas, now)
      else if (this.isOver()) {
        // Asking takes a while, in which others may leave this dispatcher what they have not sent.
        if ((yield* this.settle) && this.isOver()) return
        this.startOver()
      } else {
        onClaimed()
        const nextStepAt = book.wantsLanes ? look.nextStepAt : now + shortestRest
        yield* pulse.waitUntil(Math.min(nextStepAt, book.opensAt(now) ?? Infinity))
      }
    }
  })

  /** What nobody owns may have something due as well. */
  private readonly settle = Effect.suspend(() => this.it.tenure.holding?.settle ?? Effect.succeed(true))

  /** There may be more lanes than were looked at: `until` is reached only when they have been, from now on. */
  startOver(): void {
    this.idleRound = 0
    this.it.look.want()
  }

  private readonly claim = (quotas: ReadonlyArray<LaneQuota>, now: number) =>
    Effect.gen({ self: this }, function* () {
      const { book, hand, onClaimed, tenure } = this.it
      if (this.isInDoubt) {
        yield* hand.persist(tenure.reclaim((seq) => hand.has(seq), Infinity))
        this.isInDoubt = false
      }
      // An interrupt between the claim and its rows being known would leave them claimed by nobody.
      yield* Effect.uninterruptible(
        Effect.map(hand.bounded(tenure.claim(quotas, now)), ({ expired, rows }) => {
          hand.take(rows)
          book.add(quotas, rows, expired)
          for (const row of rows) hand.tell("Claimed", row, now)
          for (const row of expired) hand.tell("Expired", row, now)
          onClaimed()
        })
      ).pipe(
        Effect.catchIf(
          (error) => error.isRetryable,
          (error) => {
            this.isInDoubt = true
            return Effect.andThen(Effect.logWarning(`could not claim: ${error.message}`), Effect.sleep("1 second"))
          }
        )
      )
    })

  /** Whether `until` is reached. A round of looking must have ended since the last mail did. */
  private isOver(): boolean {
    const { book, hand, look } = this.it
    const until = typeof this.it.until === "function" ? this.it.until() : this.it.until
    if (until === "never") return false
    if (hand.size > 0 || book.dueLanes > 0 || look.isRunning || this.it.tenure.holding?.isSettled() === false) {
      this.idleRound = 0
      return false
    }
    if (this.idleRound === 0) {
      this.idleRound = look.rounds + 1
      look.want()
    }
    return look.rounds >= this.idleRound && (until === "idle" || look.isEmpty)
  }
}
