/**
 * Keeps a short queue of claimed messages for each lane filled.
 *
 * Local enqueues, ended attempts, and a poll for the work of other processes wake it. It also decides when a
 * dispatcher with an `until` condition is done.
 */
import * as LogEvent from "mailrace/LogEvent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type { LaneQuota, DispatcherLease } from "../../OutboxStore.ts"
import type { BeginGate } from "./beginGate.ts"
import type { ClaimedMails } from "./claimedMails.ts"
import type { LaneScheduler } from "./laneScheduler.ts"
import type { LaneScanner } from "./laneScanner.ts"
import type { DispatchSignal } from "./dispatchSignal.ts"

/** The condition for ending: never, when nothing is due now, or when nothing waits at all. */
export type Until = "never" | "idle" | "empty"

/** The collaborators and settings of `Claiming`. */
export interface Dependencies {
  readonly lease: DispatcherLease
  readonly claimedMails: ClaimedMails
  readonly scheduler: LaneScheduler
  readonly gate: BeginGate
  readonly scanner: LaneScanner
  readonly signal: DispatchSignal
  /** The number of messages that may be on their way at once. */
  readonly concurrency: number
  /** The number of messages of a lane that may be claimed now. */
  readonly quota: (lane: string) => number
  readonly until: Until | (() => Until)
  /** Runs when there may be messages to send. */
  readonly onClaimed: () => void
}

/** The pause if enough lanes are known and none of them may be claimed from, in milliseconds. */
const shortestRest = 250

/** The claim loop of a dispatcher. */
export class Claiming {
  private readonly lease: Dependencies["lease"]
  private readonly claimedMails: Dependencies["claimedMails"]
  private readonly scheduler: Dependencies["scheduler"]
  private readonly gate: Dependencies["gate"]
  private readonly scanner: Dependencies["scanner"]
  private readonly signal: Dependencies["signal"]
  private readonly concurrency: Dependencies["concurrency"]
  private readonly quota: Dependencies["quota"]
  private readonly until: Dependencies["until"]
  private readonly onClaimed: Dependencies["onClaimed"]
  /** True after the answer to a claim was lost. Its rows are found and put back before the next claim. */
  private isInDoubt = false
  /**
   * The scanner's round that must end, with nothing left to send, before the condition in `until` holds; 0 if none.
   */
  private idleRound = 0

  constructor(dependencies: Dependencies) {
    this.lease = dependencies.lease
    this.claimedMails = dependencies.claimedMails
    this.scheduler = dependencies.scheduler
    this.gate = dependencies.gate
    this.scanner = dependencies.scanner
    this.signal = dependencies.signal
    this.concurrency = dependencies.concurrency
    this.quota = dependencies.quota
    this.until = dependencies.until
    this.onClaimed = dependencies.onClaimed
  }

  /** Claims whenever there is room. Ends when the condition in `until` holds. */
  readonly run: Effect.Effect<void, OutboxError> = Effect.gen({ self: this }, function* () {
    const { scheduler, concurrency, gate, claimedMails, scanner, onClaimed, signal, quota } = this
    while (true) {
      // While nothing may begin, due messages stay where others can claim them.
      yield* gate.opened
      const now = yield* Clock.currentTimeMillis
      const { dueAt, dueLanes } = signal.drain()
      for (const dueLane of dueLanes) scheduler.addDue(dueLane)
      scanner.addDueAt(dueAt)
      if (scanner.nextStepAt <= now && scheduler.wantsLanes) {
        for (const dueLane of yield* claimedMails.persist(scanner.step(now))) scheduler.addFound(dueLane)
        scheduler.lineUp(!scanner.isRunning)
      }
      const { least, most, ready } = scheduler.claimSize
      const room = scheduler.isLow ? ready + concurrency - claimedMails.size : 0
      const quotas = room < least ? [] : scheduler.quotas(Math.min(most, room), now, quota)
      if (quotas.length > 0) yield* this.claim(quotas, now)
      else if (this.isOver()) {
        // Settling takes a while, in which other dispatchers may leave unsent messages to this one.
        if ((yield* this.settle) && this.isOver()) return
        this.startOver()
      } else {
        onClaimed()
        const isLimited = scheduler.limitsOpenAt(now) !== undefined
        const rested = now + shortestRest
        // A round that stopped half-way because enough lanes are known counts as due at once, and must not wake the
        // claimer.
        const nextStepAt = !scheduler.wantsLanes
          ? rested
          : isLimited
            ? Math.min(scanner.nextStepAt, rested)
            : scanner.nextStepAt
        const claimsOpenAt = Math.max(rested, scheduler.claimsOpenAt)
        yield* signal.waitUntil(Math.min(nextStepAt, scheduler.opensAt(now) ?? Infinity, claimsOpenAt))
      }
    }
  })

  /** Takes buckets without an owner, which may hold due messages as well. */
  private readonly settle = Effect.suspend(() => this.lease.holding?.settle ?? Effect.succeed(true))

  /** Requires another full scan before the condition in `until` can hold, because new lanes may have come. */
  startOver(): void {
    this.idleRound = 0
    this.scanner.want()
  }

  private readonly claim = (quotas: ReadonlyArray<LaneQuota>, now: number) =>
    Effect.gen({ self: this }, function* () {
      const { scheduler, claimedMails, onClaimed, lease } = this
      if (this.isInDoubt) {
        yield* claimedMails.persist(lease.reclaim((seq) => claimedMails.has(seq), Infinity))
        this.isInDoubt = false
      }
      const tenants = scheduler.tenantQuotas(quotas, now)
      // An interrupt before the rows are known would leave them claimed without an owner.
      yield* Effect.uninterruptible(
        Effect.flatMap(claimedMails.bounded(lease.claim(quotas, now, tenants)), ({ expired, held, rows }) => {
          claimedMails.take(rows)
          const over = scheduler.add(quotas, rows, expired, held)
          for (const row of rows) claimedMails.emit("Claimed", row, now)
          for (const row of expired) claimedMails.emit("Expired", row, now)
          onClaimed()
          return over.length === 0 ? Effect.void : claimedMails.giveBack(over)
        })
      ).pipe(
        Effect.catchIf(
          (error) => error.isRetryable,
          (error) => {
            this.isInDoubt = true
            return Effect.andThen(
              LogEvent.warning("outbox.unavailable", `could not claim: ${error.message}`),
              Effect.sleep("1 second")
            )
          }
        )
      )
    })

  /** True if the condition in `until` holds. A full scan must have ended since the last message ended. */
  private isOver(): boolean {
    const { scheduler, claimedMails, scanner } = this
    const until = typeof this.until === "function" ? this.until() : this.until
    if (until === "never") return false
    // A limit may hold back, for a day, a lane that has no messages left.
    if (claimedMails.size === 0 && scheduler.forgetUnsure()) scanner.want()
    if (
      claimedMails.size > 0 ||
      scheduler.dueLanes > 0 ||
      scanner.isRunning ||
      this.lease.holding?.isSettled() === false
    ) {
      this.idleRound = 0
      return false
    }
    if (this.idleRound === 0) {
      this.idleRound = scanner.rounds + 1
      scanner.want()
    }
    return scanner.rounds >= this.idleRound && (until === "idle" || scanner.isEmpty)
  }
}
