/**
 * What a database must do to hold the outbox.
 *
 * Times are milliseconds since 1970. Every method is one short transaction (or several, where it says so) and can be
 * called again when its answer was lost: accepting is keyed by the row's id, settling is fenced by what the claim wrote.
 *
 * A claim writes `attempts + 1` and the dispatcher's `epoch` before anything is sent, so that a dispatcher that lost its
 * place cannot settle what another one claimed since: it settles `(seq, epoch, attempts)` and nothing else. Adding the
 * state to that fence was measured on PostgreSQL to cost fifteen times as much, and adds nothing.
 *
 * **Crashes.** A mail that takes its process down must be given up some day, and one that merely waited in a process that
 * died must not. Most claimed mails wait, and to note which are begun would cost a write for each. So the first time it
 * is not known: whatever a dead process had claimed is due again as if it had not been claimed, and is *watched*. A
 * watched mail is noted (`begin`) before it is begun, which costs a write for those few alone; only if the process ends
 * then, is it counted. The first attempt that comes to an end clears the mail.
 *
 * @since 0.1.0
 */

import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Content, Shared } from "./internal/store/storedContent.ts"
import type { Attempt, Entry, Filter, Recipient, State, StateCounts, Stats } from "./OutboxEntry.ts"
import type { OutboxError } from "./OutboxError.ts"

/**
 * A mail to be stored.
 *
 * @since 0.1.0
 */
export interface NewRow {
  readonly id: string
  /** Empty for none. */
  readonly tenant: string
  readonly key: string | undefined
  readonly lane: string
  readonly bucket: number
  /** The place in `priorities`. */
  readonly priority: number
  readonly recipient: string
  readonly messageId: string
  readonly dueAt: number
  readonly expiresAt: number
  readonly createdAt: number
  /** The `traceparent` of the span that enqueued it (W3C Trace Context). */
  readonly trace: string | undefined
  readonly envelope: string | undefined
  readonly content: Content
  readonly shared: ReadonlyArray<Shared>
  readonly size: number
}

/**
 * What became of a row: stored, known already by its key, or refused by a cap.
 *
 * @since 0.1.0
 */
export type Accepted =
  | { readonly _tag: "Stored" }
  | { readonly _tag: "Duplicate"; readonly id: string; readonly messageId: string }
  | { readonly _tag: "Refused"; readonly error: OutboxError }

/**
 * Caps on what waits; none by default.
 *
 * @since 0.1.0
 */
export interface Caps {
  readonly maxPending: number
  readonly maxPendingBytes: number
  readonly maxPendingPerTenant: number
  readonly maxPendingBytesPerTenant: number
}

/**
 * A lane found to have something due.
 *
 * @since 0.1.0
 */
export interface DueLane {
  readonly bucket: number
  readonly lane: string
  /** Where its first mail that is due stands among all that were enqueued, where the store tells. */
  readonly first?: number | undefined
}

/**
 * A place in the order of lanes, to go on from.
 *
 * @since 0.1.0
 */
export type LaneCursor = DueLane | undefined

/**
 * Lanes with something due after a cursor.
 *
 * @since 0.1.0
 */
export interface DueLanes {
  readonly lanes: ReadonlyArray<DueLane>
  /** Where to go on; `undefined` when the last lane was reached. */
  readonly next: LaneCursor
  /** Of the lanes looked at: when the first mail that is not due yet will be. */
  readonly nextDueAt: number | undefined
}

/**
 * How many mails to claim from a lane at most.
 *
 * @since 0.1.0
 */
export interface LaneQuota extends DueLane {
  readonly limit: number
}

/**
 * A claimed mail.
 *
 * @since 0.1.0
 */
export interface ClaimedRow {
  readonly seq: number
  readonly id: string
  readonly tenant: string
  readonly lane: string
  readonly priority: number
  readonly recipient: string
  readonly messageId: string
  /** The idempotency key. */
  readonly key: string | undefined
  /** Counting this one. */
  readonly attempts: number
  /** How many attempts were behind it when somebody last asked to retry it. */
  readonly retriedAt: number
  /** Whether it was in hand when a process ended, so that it is to be noted before it is begun. */
  readonly isWatched: boolean
  readonly epoch: number
  readonly expiresAt: number
  readonly createdAt: number
  readonly trace: string | undefined
  /** JSON of each recipient's outcome so far, where there are several. */
  readonly recipients: string | undefined
  readonly envelope: string | undefined
  readonly content: Content
  readonly shared: ReadonlyArray<Shared>
}

/**
 * What names one claim of a mail.
 *
 * @since 0.1.0
 */
export type Claimed = Pick<ClaimedRow, "seq" | "epoch" | "attempts">

/**
 * A mail that is over without an attempt: its time was, or it is given up.
 *
 * @since 0.1.0
 */
export type ExpiredRow = Pick<ClaimedRow, "seq" | "id" | "tenant" | "lane" | "messageId" | "attempts">

/**
 * What a claim brought.
 *
 * @since 0.1.0
 */
export interface Claim {
  readonly rows: ReadonlyArray<ClaimedRow>
  readonly expired: ReadonlyArray<ExpiredRow>
}

/**
 * How an attempt ended.
 *
 * @since 0.1.0
 */
export interface Settlement {
  readonly seq: number
  readonly epoch: number
  readonly attempts: number
  readonly state: "due" | "accepted" | "rejected" | "expired" | "dead"
  readonly at: number
  /** When to try again, for `due`. */
  readonly dueAt: number | undefined
  /** `accepted`, or the tag of the error's reason. */
  readonly outcome: string
  readonly relay: string | undefined
  readonly code: number | undefined
  readonly enhanced: string | undefined
  readonly reply: string | undefined
  readonly recipients: string | undefined
}

/**
 * What the dispatcher owns while its scope is open.
 *
 * @since 0.1.0
 */
export interface DispatcherLease {
  /**
   * How many rows were found claimed by a process that is gone, and put back. Mails that a process ended on `maxCrashes`
   * times are given up instead.
   */
  readonly recovered: number
  /** Lanes with something due, at most `limit` of them, looking at a bounded number. */
  readonly dueLanes: (after: LaneCursor, limit: number, now: number) => Effect.Effect<DueLanes, OutboxError>
  /** Claims what is due. Mails whose time is over are settled as `expired`. */
  readonly claim: (quotas: ReadonlyArray<LaneQuota>, now: number) => Effect.Effect<Claim, OutboxError>
  /** Notes that watched mails are about to be begun. */
  readonly begin: (rows: ReadonlyArray<Claimed>) => Effect.Effect<void, OutboxError>
  /** Records ends. Returns the seqs whose fence held; the others belong to somebody else by now. */
  readonly settle: (batch: ReadonlyArray<Settlement>) => Effect.Effect<ReadonlyArray<number>, OutboxError>
  /** Puts claimed mails back that were not begun, as if they had not been claimed. */
  readonly release: (rows: ReadonlyArray<Claimed>) => Effect.Effect<void, OutboxError>
  /**
   * Puts rows back that are claimed by this tenure since before `before` and that `isKnown` does not know: a claim whose
   * answer was lost. Returns how many.
   */
  readonly reclaim: (isKnown: (seq: number) => boolean, before: number) => Effect.Effect<number, OutboxError>
  /** How ownership stands, where it comes and goes while the dispatcher runs. Absent where one dispatcher owns all. */
  readonly holding?: Holding | undefined
}

/**
 * Ownership as the dispatcher must heed it: it begins nothing that is not confirmed to be its own, and gives up what it is
 * told to.
 *
 * @since 0.1.0
 */
export interface Holding {
  /** Whether ownership was confirmed lately enough to begin what is claimed. */
  readonly isConfirmed: () => boolean
  /**
   * Whether this dispatcher has its share, and leaves nothing to others at the moment: what is not among its buckets is then
   * another's to send. Until then one that is to end when nothing is due does not know whether that is so.
   */
  readonly isSettled: () => boolean
  /** Takes what nobody owns, share or not; gives whether there was nothing to take. For one that is to end. */
  readonly settle: Effect.Effect<boolean>
  /** How many messages may still be begun on the last confirmation, when one is good for `worth` of them. */
  readonly left: (worth: number) => number
  /** Notes that messages are begun; asks for the next confirmation in time. */
  readonly spend: (count: number, worth: number) => void
  /** Sets who is told of changes. */
  readonly listen: (listener: HoldingListener) => void
}

/**
 * Hears how ownership changes.
 *
 * @since 0.1.0
 */
export interface HoldingListener {
  /** Ownership was confirmed: what waited for that may be begun. */
  readonly onConfirmed: () => void
  /** Buckets were taken: they may have something due. */
  readonly onTaken: () => void
  /**
   * Buckets are being left: what waits of them is to be given back. If they are lost, somebody else may send it by now, and
   * it is to be dropped.
   */
  readonly onLeave: (buckets: ReadonlySet<number>, isLost: boolean) => Effect.Effect<void>
}

/**
 * How mails are tried again.
 *
 * @since 0.1.0
 */
export interface RetryTerms {
  readonly now: number
  /** Until when mails that are over are given at least. */
  readonly expiresAt: number
  /** Whether mails that were never tried are due now as well; otherwise they keep their time. */
  readonly scheduled: boolean
}

/**
 * How long things are kept.
 *
 * @since 0.1.0
 */
export interface Retention {
  /** Bodies of accepted and cancelled mails, in milliseconds from their end. */
  readonly bodies: number
  /** Rows of settled mails, in milliseconds from their end. */
  readonly rows: number
}

/**
 * A mail as its idempotency key alone tells of it.
 *
 * @since 0.1.0
 */
export interface KeyedMail {
  readonly idempotencyKey: string
  readonly state: State
  /** As in `Entry`. */
  readonly recipients: ReadonlyArray<Recipient>
}

/**
 * What a store takes of its disk, in bytes.
 *
 * @since 0.1.0
 */
export interface Occupancy {
  readonly total: number
  /** What of it holds nothing, where that can be told. */
  readonly free: number | undefined
}

/**
 * What one step of `sweep` did; `done` when nothing is left for now.
 *
 * @since 0.1.0
 */
export interface Swept {
  /** Mails whose time was over while nobody claimed them. */
  readonly expired: ReadonlyArray<ExpiredRow>
  readonly bodies: number
  readonly rows: number
  readonly done: boolean
  /** Whether more of what deleted mails took is to be given back. */
  readonly isShrinking: boolean
}

/**
 * A transaction that the caller has open on the outbox's own database.
 *
 * @since 0.1.0
 */
export interface JoinedTransaction {
  /** Stores rows as part of it. */
  readonly accept: (rows: ReadonlyArray<NewRow>) => Effect.Effect<ReadonlyArray<Accepted>, OutboxError>
  /** Runs when it has committed, and not at all when it has not. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
}

/**
 * A database that holds the outbox.
 *
 * @since 0.1.0
 */
export interface OutboxStore {
  /** The file or the server, for messages; no secret is in it. */
  readonly name: string
  /** Stores rows, each with its own answer. Fails as a whole only when nothing of it was stored. */
  readonly accept: (rows: ReadonlyArray<NewRow>) => Effect.Effect<ReadonlyArray<Accepted>, OutboxError>
  /** The transaction that the calling fiber is in, if it is on this database. */
  readonly joined: Effect.Effect<JoinedTransaction | undefined>
  /** How many `accept` calls it takes at once. */
  readonly parallelAccepts: number
  /**
   * Becomes the dispatcher; fails with `AlreadyDispatching` where there can be one only. `onGivenUp` hears of mails that
   * processes ended on `maxCrashes` times, now and whenever it takes over from another.
   */
  readonly dispatch: (
    maxCrashes: number,
    onGivenUp?: (row: ExpiredRow, now: number) => void
  ) => Effect.Effect<DispatcherLease, OutboxError, Scope.Scope>
  /** Emits when somebody else may have made something due; a hint that may be lost. */
  readonly hints: Stream.Stream<void>
  readonly get: (id: string) => Effect.Effect<Entry | undefined, OutboxError>
  readonly attempts: (id: string) => Effect.Effect<ReadonlyArray<Attempt>, OutboxError>
  /** The stored mail; `undefined` when its body was purged. */
  readonly payload: (id: string) => Effect.Effect<ClaimedRow | undefined, OutboxError>
  /** Mails whose idempotency key begins so, in the order of enqueueing; at a tenth of what `list` costs. */
  readonly keyed: (prefix: string) => Stream.Stream<KeyedMail, OutboxError>
  readonly list: (filter: Filter) => Stream.Stream<Entry, OutboxError>
  /** How many mails of each state a filter chooses; one without more than states and a tenant costs nothing. */
  readonly count: (filter: Filter) => Effect.Effect<StateCounts, OutboxError>
  readonly stats: (now: number) => Effect.Effect<Stats, OutboxError>
  /** Makes settled mails due again if their body is still there, and deferred ones due now. In batches. */
  readonly retry: (filter: Filter, terms: RetryTerms) => Stream.Stream<Entry, OutboxError>
  /** Withdraws mails that are `due`. In batches. */
  readonly cancel: (filter: Filter, now: number) => Stream.Stream<Entry, OutboxError>
  /** Deletes settled mails with all that is known of them. In batches; returns how many. */
  readonly purge: (filter: Filter) => Effect.Effect<number, OutboxError>
  /** What it takes of its disk. */
  readonly occupancy: Effect.Effect<Occupancy, OutboxError>
  /** Gives back to the disk, or to what comes next, what deleted mails took; says how it stands after each step. */
  readonly vacuum: Stream.Stream<Occupancy, OutboxError>
  readonly pause: (lane: string, now: number) => Effect.Effect<void, OutboxError>
  readonly resume: (lane: string) => Effect.Effect<void, OutboxError>
  /** One bounded step of housekeeping. */
  readonly sweep: (retention: Retention, now: number) => Effect.Effect<Swept, OutboxError>
}
