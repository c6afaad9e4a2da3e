/**
 * The buckets that a dispatcher owns, and the claimed messages of each. `Ownership` decides which buckets it gets and
 * loses.
 *
 * A bucket may be given up only when no message of it is claimed here, or another dispatcher would send the same
 * messages. A claim counts from before its statement is sent until each of its rows is settled or given back: the
 * rows of an unanswered claim are claimed as much as any.
 *
 * - `take` makes this dispatcher the owner of buckets that no other can take at the same time: it increments the
 *   bucket's epoch and puts back the messages that an earlier owner had claimed.
 * - `leave` stops claiming, has the waiting messages given back, and ends when no message is claimed.
 * - `lose` is for buckets that another dispatcher owns already: the waiting messages are dropped, the messages on
 *   their way reach their end, and the fence of `settle` decides whether that outcome still counts.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Lane from "../../Lane.ts"
import type { OutboxError } from "../../OutboxError.ts"
import type {
  Claim,
  Claimed,
  ClaimedRow,
  ExpiredRow,
  Holding,
  HoldingListener,
  LaneQuota,
  DispatcherLease,
  TenantQuota
} from "../../OutboxStore.ts"
import { Confirmation, type Moment } from "./confirmation.ts"

/** The age in milliseconds from which a claim of an earlier owner, who may only be slow, counts as lost. */
const slowOwner = 600_000

/** An owned bucket: its number, and its epoch, which counts its owners. */
export interface OwnedBucket {
  readonly bucket: number
  readonly epoch: number
}

/** The operations of the database, each one statement. */
export interface BucketStore<Statements> extends Pick<DispatcherLease, "begin" | "settle" | "release"> {
  /** Becomes the owner of buckets; returns their new epochs. */
  readonly take: (
    buckets: ReadonlyArray<number>,
    owner: string,
    on: Statements | undefined
  ) => Effect.Effect<ReadonlyArray<OwnedBucket>, OutboxError>
  /** Puts back the messages that other dispatchers left claimed in buckets. */
  readonly recover: (
    buckets: ReadonlyArray<number>,
    now: number,
    maxCrashes: number,
    on: Statements | undefined
  ) => Effect.Effect<{ readonly recovered: number; readonly givenUp: ReadonlyArray<ExpiredRow> }, OutboxError>
  readonly dueLanes: (
    ...args: [...Parameters<DispatcherLease["dueLanes"]>, owned: ReadonlySet<number>]
  ) => ReturnType<DispatcherLease["dueLanes"]>
  readonly claim: (
    quotas: ReadonlyArray<LaneQuota>,
    now: number,
    owner: string,
    tenants?: ReadonlyArray<TenantQuota>
  ) => Effect.Effect<Claim, OutboxError>
  /** The claimed messages of buckets. */
  readonly claimed: (
    buckets: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyArray<Claimed & { readonly bucket: number; readonly updated_at: number }>, OutboxError>
}

/** The terms of ownership. */
export interface Terms<Database> {
  /** Names the dispatcher; no other ever has the same name. */
  readonly owner: string
  readonly database: Database
  readonly maxCrashes: number
  readonly onGivenUp: ((row: ExpiredRow, now: number) => void) | undefined
}

/** The ownership of one dispatcher. `Statements` is a connection that runs statements. */
export class Possession<Statements, Database extends { readonly leaseMs: number }> {
  /** Names the dispatcher: host, process and a random part. */
  readonly owner: string
  readonly database: Database
  private readonly confirmation: Confirmation
  /** Owned buckets and their epochs. */
  private readonly epochs = new Map<number, number>()
  /** Owned buckets that are being left. */
  private readonly leaving = new Set<number>()
  /** `kept`, as long as nothing was taken, left or lost since. */
  private keptNow: ReadonlySet<number> | undefined
  /** For each bucket, the number of claimed rows and of unanswered claims. */
  private readonly busy = new Map<number, number>()
  /** Claimed rows that are not settled or given back, and their buckets. */
  private readonly held = new Map<number, number>()
  /** Rows that may or may not be back in the database. */
  private readonly doubtful = new Set<number>()
  private readonly store: BucketStore<Statements>
  private readonly terms: Terms<Database>
  private listener: HoldingListener = silent
  /**
   * Completes when a message is settled or given back, or a bucket is given up; made only while a caller waits for
   * it.
   */
  private change: Deferred.Deferred<void> | undefined
  private recovered = 0
  private settling: Effect.Effect<boolean> = Effect.succeed(true)
  /** True if this dispatcher has its whole share. */
  hasShare = true
  /** Runs when a bucket that is being left is free. */
  onFree: () => void = () => {}

  constructor(store: BucketStore<Statements>, terms: Terms<Database>) {
    this.store = store
    this.terms = terms
    this.owner = terms.owner
    this.database = terms.database
    this.confirmation = new Confirmation(terms.database.leaseMs)
  }

  /** Owned buckets and their epochs, also of those that are being left. */
  get owned(): ReadonlyMap<number, number> {
    return this.epochs
  }

  /** Owned buckets that are claimed from. */
  get kept(): ReadonlySet<number> {
    return (this.keptNow ??= new Set([...this.epochs.keys()].filter((bucket) => !this.leaving.has(bucket))))
  }

  /** The number of claimed messages that are neither settled nor given back. */
  get inFlight(): number {
    return this.held.size
  }

  /**
   * Becomes the owner of buckets that no other dispatcher may take at the same time; `on` runs the statements. If it
   * lost such a bucket before, it first waits for the messages on their way: only messages without an owner can be
   * put back.
   */
  take(buckets: ReadonlyArray<number>, on?: Statements): Effect.Effect<void, OutboxError> {
    if (buckets.length === 0) return Effect.void
    return Effect.gen({ self: this }, function* () {
      while (true) {
        const change = this.nextChange
        if (!buckets.some((bucket) => this.busy.has(bucket))) break
        yield* Deferred.await(change)
      }
      yield* this.own(buckets, on)
    })
  }

  private own(buckets: ReadonlyArray<number>, on: Statements | undefined): Effect.Effect<void, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const taken = yield* this.store.take(buckets, this.owner, on)
      const now = yield* Clock.currentTimeMillis
      const { givenUp, recovered } = yield* this.store.recover(buckets, now, this.terms.maxCrashes, on)
      this.recovered += recovered
      for (const row of givenUp) this.terms.onGivenUp?.(row, now)
      for (const { bucket, epoch } of taken) {
        this.leaving.delete(bucket)
        this.epochs.set(bucket, epoch)
      }
      this.keptNow = undefined
      this.listener.onTaken()
    }).pipe(Effect.uninterruptible)
  }

  /** Begins to leave buckets: stops claiming from them and has their waiting messages given back. See `free`. */
  beginLeaving(buckets: ReadonlyArray<number>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const chosen = buckets.filter((bucket) => this.epochs.has(bucket) && !this.leaving.has(bucket))
      if (chosen.length === 0) return Effect.void
      for (const bucket of chosen) this.leaving.add(bucket)
      this.keptNow = undefined
      return this.listener.onLeave(new Set(chosen), false)
    })
  }

  /** The buckets that are being left and of which no message is claimed. */
  get free(): ReadonlyArray<number> {
    return [...this.leaving].filter((bucket) => !this.busy.has(bucket))
  }

  /** Gives up the ownership of left buckets. */
  forget(buckets: ReadonlyArray<number>): void {
    // `leave` waits for the next change, which must not be its own.
    if (buckets.length === 0) return
    for (const bucket of buckets) {
      this.leaving.delete(bucket)
      this.epochs.delete(bucket)
    }
    this.keptNow = undefined
    this.changed()
  }

  /**
   * Stops claiming from buckets, has their waiting messages given back, and ends when another dispatcher can own
   * them.
   */
  leave(buckets: ReadonlyArray<number>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* this.beginLeaving(buckets)
      while (true) {
        const change = this.nextChange
        this.forget(buckets.filter((bucket) => this.leaving.has(bucket) && !this.busy.has(bucket)))
        if (buckets.every((bucket) => !this.leaving.has(bucket))) return
        yield* Deferred.await(change)
      }
    })
  }

  /** Records that another dispatcher owns buckets by now: their waiting messages are dropped. */
  lose(buckets: ReadonlyArray<number>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const lost = buckets.filter((bucket) => this.epochs.has(bucket))
      if (lost.length === 0) return Effect.void
      this.forget(lost)
      return this.listener.onLeave(new Set(lost), true)
    })
  }

  /**
   * Confirms the ownership of all buckets: a question that was sent at `since` was answered. For `exclusiveMs` from
   * then on no other dispatcher takes an owned bucket, even if this one loses it at once.
   */
  confirmed(since: Moment, exclusiveMs = 0): void {
    this.confirmation.granted(since, exclusiveMs)
    this.listener.onConfirmed()
  }

  /** Puts ownership in doubt: nothing begins until it is confirmed. */
  revoke(): void {
    this.confirmation.revoke()
  }

  /** Sets the request for a confirmation, for when the last one is used up early. */
  onRenew(ask: () => void): void {
    this.confirmation.onRenew(ask)
  }

  /**
   * Sets the effect that takes all buckets without an owner, beyond the share as well; it succeeds with true if there
   * were none.
   */
  onSettle(settle: Effect.Effect<boolean>): void {
    this.settling = settle
  }

  /** True if a message of a bucket is claimed, as may be for a while after the bucket was lost. */
  isBusy(bucket: number): boolean {
    return this.busy.has(bucket)
  }

  /** The lease that the dispatcher works with. */
  get lease(): DispatcherLease {
    const { store } = this
    return {
      recovered: this.recovered,
      holding: this.holding,
      dueLanes: (after, limit, now) => store.dueLanes(after, limit, now, this.kept),
      claim: (quotas, now, tenants) => this.claim(quotas, now, tenants),
      begin: (rows) => store.begin(rows),
      settle: (batch) => Effect.tap(store.settle(batch), () => Effect.sync(() => this.release(batch))),
      release: (rows) => this.giveBack(rows),
      reclaim: (isKnown, before) =>
        Effect.flatMap(store.claimed([...this.kept]), (rows) => {
          const unknown = rows.filter(
            ({ bucket, epoch, seq, updated_at }) =>
              !isKnown(seq) && updated_at < (epoch === this.epochs.get(bucket) ? before : before - slowOwner)
          )
          return unknown.length === 0 ? Effect.succeed(0) : Effect.as(store.release(unknown), unknown.length)
        })
    }
  }

  private get holding(): Holding {
    return {
      isConfirmed: () => this.confirmation.isValid,
      isSettled: () => this.hasShare && this.leaving.size === 0,
      settle: Effect.suspend(() => this.settling),
      left: (worth) => this.confirmation.left(worth),
      spend: (count, worth) => this.confirmation.spend(count, worth),
      listen: (listener) => {
        this.listener = listener
      }
    }
  }

  private claim(...[quotas, now, tenants]: Parameters<DispatcherLease["claim"]>): Effect.Effect<Claim, OutboxError> {
    return Effect.suspend(() => {
      const { kept } = this
      const doubtful = this.doubtful.size === 0 ? none : new Set([...this.doubtful].map((seq) => this.held.get(seq)))
      const mine = quotas.filter(({ bucket }) => kept.has(bucket) && !doubtful.has(bucket))
      if (mine.length === 0) return Effect.succeed({ rows: [], expired: [] })
      const buckets = [...new Set(mine.map(({ bucket }) => bucket))]
      for (const bucket of buckets) this.count(bucket, 1)
      return this.store.claim(mine, now, this.owner, tenants).pipe(
        Effect.flatMap((claim) => this.receive(claim)),
        Effect.ensuring(
          Effect.sync(() => {
            for (const bucket of buckets) this.count(bucket, -1)
          })
        )
      )
    })
  }

  /** Records claimed rows. Rows of buckets that were left or lost in the meantime go back at once. */
  private receive(claim: Claim): Effect.Effect<Claim> {
    const rows: Array<ClaimedRow> = []
    const late: Array<ClaimedRow> = []
    let lane: string | undefined
    let bucket = 0
    for (const row of claim.rows) {
      // Computing a bucket reads each letter of the lane's name, and a long queue is mostly of one lane.
      if (row.lane !== lane) bucket = Lane.bucket((lane = row.lane))
      if (!this.held.has(row.seq)) this.count(bucket, 1)
      this.held.set(row.seq, bucket)
      const isMine = this.epochs.get(bucket) === row.epoch && !this.leaving.has(bucket)
      if (isMine) rows.push(row)
      else late.push(row)
    }
    if (late.length === 0) return Effect.succeed(claim)
    const back = Effect.retry(this.giveBack(late), {
      schedule: Schedule.spaced("200 millis"),
      while: (error: OutboxError) => error.isRetryable
    })
    return Effect.as(Effect.forkDetach(Effect.ignore(back)), { ...claim, rows })
  }

  /**
   * Gives rows back. Until an answer comes, the same rows are not claimed again: the statement may have run, and
   * repeated after a new claim it would put back messages that are being sent.
   */
  private giveBack(rows: ReadonlyArray<Claimed>): Effect.Effect<void, OutboxError> {
    return this.store.release(rows).pipe(
      Effect.tapError(() =>
        Effect.sync(() => {
          for (const { seq } of rows) this.doubtful.add(seq)
        })
      ),
      Effect.tap(() => Effect.sync(() => this.release(rows)))
    )
  }

  private release(rows: Iterable<{ readonly seq: number }>): void {
    for (const { seq } of rows) {
      const bucket = this.held.get(seq)
      if (bucket === undefined) continue
      this.held.delete(seq)
      if (this.doubtful.size > 0) this.doubtful.delete(seq)
      this.count(bucket, -1)
    }
  }

  private count(bucket: number, by: number): void {
    const count = (this.busy.get(bucket) ?? 0) + by
    if (count > 0) this.busy.set(bucket, count)
    else {
      this.busy.delete(bucket)
      if (this.leaving.has(bucket)) this.onFree()
      this.changed()
    }
  }

  private changed(): void {
    const { change } = this
    this.change = undefined
    if (change !== undefined) Deferred.doneUnsafe(change, Effect.void)
  }

  /** Completes when fewer messages are claimed, or fewer buckets owned, than now. */
  private get nextChange(): Deferred.Deferred<void> {
    return (this.change ??= Deferred.makeUnsafe())
  }
}

const none: ReadonlySet<number | undefined> = new Set()

const silent: HoldingListener = { onConfirmed: () => {}, onTaken: () => {}, onLeave: () => Effect.void }
