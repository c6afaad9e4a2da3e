/**
 * Drains the outbox: claims what is due, sends it through `Mailer.sendAll`, settles how it ended.
 *
 * Four things run beside each other, and each is simple. The *claimer* keeps a short queue for each lane filled, woken
 * by what is enqueued here, by what ends, and by a poll for what others did. The *pipeline* is `sendAll` over a stream
 * that takes one mail from each lane in turn. *Settling* is a group commit: at once while little happens, in batches
 * under load, and again and again while the store cannot be written, because a mail that was sent must not be sent
 * twice for want of a row; meanwhile no more is claimed. The *sweeper* keeps house once a minute.
 *
 * What is claimed is bounded by `concurrency` and a fixed prefetch, counting what is sent but not yet settled.
 *
 * When it is interrupted, mails that were begun end first, within the transport's bound; then all ends are settled, and
 * what was not begun is given back as if it had never been claimed.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import type * as RetryPolicy from "mailrace/RetryPolicy"
import * as Backoff from "./Backoff.ts"
import * as GroupCommit from "./GroupCommit.ts"
import * as AttemptTrace from "./internal/attemptTrace.ts"
import * as Ending from "./internal/ending.ts"
import type { EventHub } from "./internal/eventHub.ts"
import { guarded } from "./internal/guardedSending.ts"
import { LaneBook, type Begun } from "./internal/laneBook.ts"
import { LaneLook } from "./internal/laneLook.ts"
import type { Pulse } from "./internal/pulse.ts"
import type { Change } from "./OutboxEvent.ts"
import type { OutboxError } from "./OutboxError.ts"
import type { ClaimedRow, ExpiredRow, LaneQuota, OutboxStore, Settlement, Tenure } from "./OutboxStore.ts"
import type * as Payload from "./Payload.ts"

/** How the outbox is drained. */
export interface Options {
  /** Mails on their way at once. Defaults to what keeps the transport busy (`MailTransport.concurrency`), or 10. */
  readonly concurrency?: number | undefined
  /** The quick retries within one claim. Defaults to `RetryPolicy.defaultPolicy`: 100, 200, 400 ms. */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /** When to try again later. Defaults to `Backoff.defaultBackoff`: 1, 5, 15 minutes, 1 hour, then every 4 hours. */
  readonly backoff?: Backoff.Backoff | undefined
  /**
   * What to do when the final reply was lost: `resend` (at least once, under the same Message-ID) or `giveUp` (at most
   * once; the mail is `dead` and may have arrived). Defaults to `resend`.
   */
  readonly onUnknown?: "resend" | "giveUp" | undefined
  /** How many mails of a lane may be claimed now, as from a rate limiter's free tokens. Defaults to no limit. */
  readonly quota?: ((lane: string) => number) | undefined
  /**
   * When to end: `never`, when nothing is due now and nothing is on its way (`idle`), or when nothing waits at all but in
   * paused lanes (`empty`). A function is asked whenever there is nothing to do, so that it may change. Defaults to
   * `never`.
   */
  readonly until?: Until | (() => Until) | undefined
  /** Runs once this process is the dispatcher and before it claims; `recovered` mails were put back. */
  readonly onStart?: ((recovered: number) => Effect.Effect<void>) | undefined
  /**
   * Runs when an attempt ended, while its end is being recorded. It cannot be interrupted, and holds up what is sent
   * next while it runs. Mails that end without an attempt (expired, unreadable) are seen in `events` alone.
   */
  readonly onDelivery?: ((delivery: Delivery.Delivery, attempt: Attempted) => Effect.Effect<void>) | undefined
  /** The longest time between two looks for what other processes did. Defaults to 1 second, and a quarter at least. */
  readonly poll?: Duration.Input | undefined
  /** How often to keep house. Defaults to 1 minute. */
  readonly sweepInterval?: Duration.Input | undefined
  /** How long the bodies of accepted and cancelled mails are kept. Defaults to 1 minute. */
  readonly keepBodies?: Duration.Input | undefined
  /** How long the rows of settled mails are kept. Defaults to 30 days. */
  readonly keepRows?: Duration.Input | undefined
  /**
   * How often the process may end while a mail is on its way before the mail is given up. Mails that only waited to be
   * sent are not counted; to tell them apart, the first end is not counted either. Defaults to 5.
   */
  readonly maxCrashes?: number | undefined
}

/** When a dispatcher ends. */
export type Until = "never" | "idle" | "empty"

/** A mail whose attempt ended, and what becomes of it. */
export interface Attempted {
  readonly id: string
  /** The `id` that the mail itself had when it was enqueued. */
  readonly mailId: string | undefined
  readonly idempotencyKey: string | undefined
  readonly tenant: string | undefined
  readonly lane: string
  /** Counting this one. */
  readonly attempts: number
  readonly state: Settlement["state"]
  /** When it is tried again, for `due`. */
  readonly dueAt: Date | undefined
}

/** What the dispatcher shares with the service. */
export interface Parts {
  readonly store: OutboxStore
  readonly codec: Payload.PayloadCodec
  readonly hub: EventHub
  readonly pulse: Pulse
}

/** Claimed mails kept ready beside those on their way. */
const prefetch = 500
const claimBatch = 250
const lanesInClaim = 64

/**
 * Runs until `until`, an interrupt, or an error that waiting does not mend. Fails with `AlreadyDispatching` when another
 * process sends from the same file.
 */
export const run = (parts: Parts, options: Options = {}): Effect.Effect<void, OutboxError, MailTransport> =>
  Effect.scoped(
    Effect.gen(function* () {
      const transport = yield* MailTransport
      const tenure = yield* parts.store.dispatch(options.maxCrashes ?? 5)
      if (tenure.recovered > 0) {
        yield* Effect.logInfo(`put back ${tenure.recovered} mails that were on their way when a process ended`)
      }
      if (options.onStart !== undefined) yield* options.onStart(tenure.recovered)
      const dispatch = new Dispatch(parts, options, tenure, options.concurrency ?? transport.concurrency ?? 10)
      yield* dispatch.start
      yield* dispatch.drain
    })
  )

class Dispatch {
  private readonly parts: Parts
  private readonly options: Options
  private readonly tenure: Tenure
  private readonly concurrency: number
  private readonly rules: Ending.Rules
  private readonly book: LaneBook
  /** Mails on their way by their id. */
  private readonly begun = new Map<string, { readonly begun: Begun; readonly mailId: string | undefined }>()
  /** All that is claimed and not settled, by its seq. */
  private readonly held = new Map<number, ClaimedRow>()
  private settling!: GroupCommit.GroupCommit<Settlement, boolean, OutboxError>
  private wantMails: (() => void) | undefined
  private readonly look: LaneLook
  private ended = false
  /** Set when the answer to a claim was lost: what it claimed is found and put back before the next. */
  private claimIsInDoubt = false
  /** The look's round in which nothing was held any more. */
  private idleRound = 0
  /** From when on a store that cannot be written no longer holds up the end. */
  private patience = Infinity

  constructor(parts: Parts, options: Options, tenure: Tenure, concurrency: number) {
    this.parts = parts
    this.options = options
    this.tenure = tenure
    this.concurrency = concurrency
    this.rules = { backoff: options.backoff ?? Backoff.defaultBackoff, onUnknown: options.onUnknown ?? "resend" }
    this.book = new LaneBook(concurrency, prefetch)
    this.look = new LaneLook(tenure, Duration.toMillis(options.poll ?? "1 second"))
  }

  /** Begins settling and sees to it that at the end all is settled and the rest given back. */
  readonly start = Effect.gen({ self: this }, function* () {
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => (this.held.size === 0 ? Effect.void : this.giveBack([...this.held.values()])))
    )
    this.settling = yield* GroupCommit.make<Settlement, boolean, OutboxError>({
      write: (batch) =>
        Effect.map(this.persist(this.tenure.settle(batch)), (seqs) => {
          const settled = new Set(seqs)
          return batch.map(({ seq }) => settled.has(seq))
        })
    })
    yield* Effect.addFinalizer(() =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        this.parts.pulse.isHeard = false
        this.patience = now + patienceMs
      })
    )
    this.parts.pulse.isHeard = true
  })

  /** Sends until the claimer sees the end, or something fails. */
  readonly drain = Effect.gen({ self: this }, function* () {
    const send = this.mails.pipe(
      Mailer.sendAll({
        concurrency: this.concurrency,
        retry: this.options.retry,
        onUnknown: "report",
        onDelivery: (delivery) => this.end(delivery)
      }),
      Stream.runDrain,
      guarded
    )
    const helpers = yield* Effect.forkScoped(
      Effect.all([this.claim, this.sweep, this.listen], { concurrency: "unbounded", discard: true })
    )
    // The first failure of either ends both; the end of the claimer is the end of the stream.
    yield* Effect.raceFirst(send, Effect.andThen(Fiber.join(helpers), Effect.never))
    yield* this.settling.settled
  })

  /** The mails in the order in which they are to be sent. Ends when the claimer says so. */
  private readonly mails: Stream.Stream<Mailer.Source, OutboxError> = Stream.fromPull(
    Effect.succeed(
      Effect.gen({ self: this }, function* () {
        while (true) {
          const now = yield* Clock.currentTimeMillis
          const begun = this.book.take(Math.max(1, this.concurrency - this.book.sending), now)
          const watched = begun.flatMap(({ row }) => (row.isWatched ? [row] : []))
          if (watched.length > 0) yield* this.persist(this.tenure.begin(watched))
          const mails = begun.flatMap((one) => this.decode(one, now) ?? [])
          if (mails.length > 0) {
            this.beatIfLow()
            return mails as [Mailer.Source, ...Array<Mailer.Source>]
          }
          if (begun.length > 0) continue
          if (this.ended) return yield* Cause.done()
          yield* this.waitForMails
        }
      })
    )
  )

  private readonly waitForMails = Effect.callback<void>((resume) => {
    this.wantMails = () => resume(Effect.void)
    return Effect.sync(() => {
      this.wantMails = undefined
    })
  })

  /** Wakes the claimer when it may claim again, and not for each mail. */
  private beatIfLow(): void {
    if (this.book.queued <= prefetch / 2) this.parts.pulse.beat()
  }

  private offerMails(): void {
    const want = this.wantMails
    this.wantMails = undefined
    want?.()
  }

  private decode(begun: Begun, now: number): Mailer.Source | undefined {
    const { row } = begun
    try {
      const { mailId, source } = this.parts.codec.sourceUnsafe(row, row.id, Ending.owed(row))
      this.begun.set(row.id, { begun, mailId })
      return source
    } catch (error) {
      this.book.end(begun, { _tag: "Neutral" }, now)
      this.settle(row, {
        ...unreadable,
        seq: row.seq,
        epoch: row.epoch,
        attempts: row.attempts,
        at: now,
        reply: `the stored mail cannot be read: ${(error as Error).message}`
      })
      return undefined
    }
  }

  private end(delivery: Delivery.Delivery): Effect.Effect<void> {
    const { begun, mailId } = this.begun.get(delivery.id)!
    this.begun.delete(delivery.id)
    return Effect.clockWith((clock) => {
      const now = clock.currentTimeMillisUnsafe()
      const closed = this.book.end(begun, Ending.feedback(delivery), now)
      this.offerMails()
      const settled = Effect.flatMap(Ending.settlement(this.rules, begun.row, delivery, now), (end) => {
        this.settle(begun.row, end)
        const { onDelivery } = this.options
        return onDelivery === undefined ? Effect.void : onDelivery(delivery, attempted(begun.row, mailId, end))
      })
      const traced =
        begun.row.trace === undefined
          ? settled
          : Effect.andThen(AttemptTrace.record(begun.row.trace, begun.row.id, delivery), settled)
      return closed.length === 0 ? traced : Effect.andThen(traced, this.giveBack(closed))
    })
  }

  private settle(row: ClaimedRow, end: Settlement): void {
    this.settling.addUnsafe(end, (exit) => {
      this.held.delete(row.seq)
      if (Exit.isSuccess(exit) && exit.value) {
        if (end.dueAt !== undefined) this.look.noteDueAt(end.dueAt)
        this.tell(changes[end.state], row, end.at, end)
      }
      // Last, because the claimer goes on within this call.
      this.beatIfLow()
    })
  }

  /** Gives back what was claimed and not begun: its lane is closed for a while, or this dispatcher ends. */
  private giveBack(rows: ReadonlyArray<ClaimedRow>): Effect.Effect<void> {
    return Effect.matchEffect(this.persist(this.tenure.release(rows)), {
      // They stay claimed until the next start puts them back.
      onFailure: (error) => Effect.logWarning(`could not give back ${rows.length} claimed mails: ${error.message}`),
      onSuccess: () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          for (const row of rows) {
            this.held.delete(row.seq)
            this.tell("Returned", { ...row, attempts: row.attempts - 1 }, now)
          }
          this.parts.pulse.beat()
        })
    })
  }

  /** Keeps the queues filled. Ends when `until` says so. */
  private readonly claim = Effect.gen({ self: this }, function* () {
    const { pulse } = this.parts
    while (true) {
      const now = yield* Clock.currentTimeMillis
      const { dueAt, places } = pulse.take()
      for (const place of places) this.book.noteDue(place)
      this.look.noteDueAt(dueAt)
      if (this.look.nextStepAt <= now && this.book.dueLanes < lanesInClaim) {
        for (const place of yield* this.persist(this.look.step(now))) this.book.noteDue(place)
      }
      const room = this.book.queued > prefetch / 2 ? 0 : prefetch + this.concurrency - this.held.size
      const quotas = this.book.quotas(Math.min(claimBatch, room), now, this.options.quota ?? noLimit)
      if (quotas.length > 0) yield* this.claimFrom(quotas, now)
      else if (this.isOver()) break
      else {
        this.offerMails()
        const nextStepAt = this.book.dueLanes < lanesInClaim ? this.look.nextStepAt : now + shortestRest
        yield* pulse.waitUntil(Math.min(nextStepAt, this.book.opensAt(now) ?? Infinity))
      }
    }
    this.ended = true
    this.offerMails()
  })

  private readonly claimFrom = (quotas: ReadonlyArray<LaneQuota>, now: number) =>
    Effect.gen({ self: this }, function* () {
      if (this.claimIsInDoubt) {
        yield* this.persist(this.tenure.reclaim((seq) => this.held.has(seq), Infinity))
        this.claimIsInDoubt = false
      }
      // An interrupt between the claim and its rows being known would leave them claimed by nobody.
      yield* Effect.uninterruptible(
        Effect.map(this.tenure.claim(quotas, now), ({ expired, rows }) => {
          for (const row of rows) this.held.set(row.seq, row)
          this.book.add(quotas, rows, expired)
          if (this.parts.hub.isHeard) {
            for (const row of rows) this.tell("Claimed", row, now)
            for (const row of expired) this.tell("Expired", row, now)
          }
          this.offerMails()
        })
      ).pipe(
        Effect.catchIf(
          (error) => error.isRetryable,
          (error) => {
            this.claimIsInDoubt = true
            return Effect.andThen(Effect.logWarning(`could not claim: ${error.message}`), Effect.sleep("1 second"))
          }
        )
      )
    })

  /** Whether `until` is reached. A round of looking must have ended since the last mail did. */
  private isOver(): boolean {
    const { until: option = "never" } = this.options
    const until = typeof option === "function" ? option() : option
    if (until === "never") return false
    if (this.held.size > 0 || this.book.dueLanes > 0 || this.look.isRunning) {
      this.idleRound = 0
      return false
    }
    if (this.idleRound === 0) {
      this.idleRound = this.look.rounds + 1
      this.look.want()
    }
    return this.look.rounds >= this.idleRound && (until === "idle" || this.look.isEmpty)
  }

  /** Keeps house, and puts back what is claimed by nobody. */
  private readonly sweep = Effect.gen({ self: this }, function* () {
    const { keepBodies = "1 minute", keepRows = "30 days", sweepInterval = "1 minute" } = this.options
    const retention = { bodies: Duration.toMillis(keepBodies), rows: Duration.toMillis(keepRows) }
    while (true) {
      yield* Effect.sleep(sweepInterval)
      const now = yield* Clock.currentTimeMillis
      const reclaimed = yield* this.persist(this.tenure.reclaim((seq) => this.held.has(seq), now - 60_000))
      if (reclaimed > 0) yield* Effect.logWarning(`put back ${reclaimed} mails that were claimed by nobody`)
      for (let done = false; !done;) {
        const swept = yield* this.persist(this.parts.store.sweep(retention, now))
        for (const row of swept.expired) this.tell("Expired", row, now)
        done = swept.done
        yield* Effect.yieldNow
      }
    }
  })

  private readonly listen = Stream.runForEach(
    Stream.suspend(() => this.parts.store.hints),
    () =>
      Effect.sync(() => {
        this.look.want()
        this.parts.pulse.beat()
      })
  )

  /** Tries until the store takes it, or waiting mends nothing, or the end has been held up long enough. */
  private persist<A>(effect: Effect.Effect<A, OutboxError>): Effect.Effect<A, OutboxError> {
    return effect.pipe(
      Effect.tapError((error) => Effect.logWarning(`the outbox cannot be used: ${error.message}; ${error.remedy}`)),
      Effect.retry({
        schedule: Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]),
        while: (error: OutboxError) =>
          Effect.map(Clock.currentTimeMillis, (now) => error.isRetryable && now < this.patience)
      })
    )
  }

  private tell(change: Change, row: ExpiredRow, now: number, end?: Settlement): void {
    if (!this.parts.hub.isHeard) return
    this.parts.hub.tell({
      _tag: change,
      id: row.id,
      messageId: row.messageId,
      tenant: row.tenant || undefined,
      lane: row.lane,
      attempts: row.attempts,
      at: new Date(now),
      dueAt: end?.dueAt === undefined ? undefined : new Date(end.dueAt),
      reason: end === undefined || end.outcome === "accepted" ? undefined : end.outcome,
      reply: end?.reply
    })
  }
}

const attempted = (row: ClaimedRow, mailId: string | undefined, end: Settlement): Attempted => ({
  id: row.id,
  mailId,
  idempotencyKey: row.key,
  tenant: row.tenant || undefined,
  lane: row.lane,
  attempts: row.attempts,
  state: end.state,
  dueAt: end.dueAt === undefined ? undefined : new Date(end.dueAt)
})

const noLimit = () => Infinity

/** How long an unwritable store may hold up the end. */
const patienceMs = 10_000

/** How long to rest when the lanes known are enough and none of them may be claimed from. */
const shortestRest = 250

const changes: { readonly [S in Settlement["state"]]: Change } = {
  due: "Deferred",
  accepted: "Accepted",
  rejected: "Rejected",
  expired: "Expired",
  dead: "Dead"
}

const unreadable = {
  state: "dead",
  outcome: "Unreadable",
  dueAt: undefined,
  relay: undefined,
  code: undefined,
  enhanced: undefined,
  recipients: undefined
} as const
