/**
 * The contract of a database that holds the outbox.
 *
 * Times are milliseconds since 1970. Every method is one short transaction (or several, where it says so) and can be
 * called again if its answer was lost: the row's id makes accepting idempotent, and the values that the claim wrote
 * fence settling.
 *
 * A claim writes `attempts + 1` and the dispatcher's `epoch` before anything is sent. A dispatcher that lost its
 * lease therefore cannot settle a message that another one has claimed since: it settles `(seq, epoch, attempts)` and
 * nothing else. Adding the state to that fence was measured on PostgreSQL to cost fifteen times as much, and adds
 * nothing.
 *
 * **Crashes.** A message that crashes its process must be given up some day; one that merely waited in a process that
 * died must not. Most claimed messages wait, and recording which of them are begun would cost a write for each. So
 * the first crash proves nothing: all messages that a dead process had claimed become due again as if they had not
 * been claimed, and are *watched*. The dispatcher records (`begin`) a watched message before its attempt begins,
 * which costs a write for those few alone; only if the process ends after that does the crash count. The first
 * attempt that ends clears the message.
 *
 * @since 0.1.0
 */

import type { Ledgers as FlowLedgers } from "@mailrace/flow/Ledgers"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Content, Shared } from "./internal/store/storedContent.ts"
import type { Attempt, Entry, Filter, Recipient, State, StateCounts, Stats } from "./OutboxEntry.ts"
import type { OutboxError } from "./OutboxError.ts"

/**
 * A message to be stored.
 *
 * @since 0.1.0
 */
export interface NewRow {
  readonly id: string
  /** Empty if there is no tenant. */
  readonly tenant: string
  readonly key: string | undefined
  readonly lane: string
  readonly bucket: number
  /** The index in `priorities`. */
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
 * The answer for a row: stored, known already by its key, or refused by a cap.
 *
 * @since 0.1.0
 */
export type Accepted =
  | { readonly _tag: "Stored" }
  | { readonly _tag: "Duplicate"; readonly id: string; readonly messageId: string }
  | { readonly _tag: "Refused"; readonly error: OutboxError }

/**
 * Caps on waiting messages; none by default.
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
 * A lane with a due message.
 *
 * @since 0.1.0
 */
export interface DueLane {
  readonly bucket: number
  readonly lane: string
  /** The position of its first due message among all that were enqueued, if the store knows it. */
  readonly first?: number | undefined
}

/**
 * A position in the order of lanes, from which to go on.
 *
 * @since 0.1.0
 */
export type LaneCursor = DueLane | undefined

/**
 * Lanes with a due message, after a cursor.
 *
 * @since 0.1.0
 */
export interface DueLanes {
  readonly lanes: ReadonlyArray<DueLane>
  /** The cursor for the next call; `undefined` after the last lane. */
  readonly next: LaneCursor
  /** The next due time among the examined lanes without a due message. */
  readonly nextDueAt: number | undefined
}

/**
 * The largest number of messages to claim from a lane.
 *
 * @since 0.1.0
 */
export interface LaneQuota extends DueLane {
  readonly limit: number
}

/**
 * The largest number of a tenant's messages to claim, over all lanes, and its share of a lane's quota beside other tenants.
 *
 * @since 0.2.0
 */
export interface TenantQuota {
  readonly tenant: string
  /** From 0. */
  readonly limit: number
  /** More than 0; 1 for tenants without a quota. */
  readonly weight: number
}

/**
 * A tenant whose quota left some of its due messages in a lane unclaimed.
 *
 * @since 0.2.0
 */
export interface HeldTenant {
  readonly lane: string
  readonly tenant: string
}

/**
 * A claimed message.
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
  /** The number of attempts, including this one. */
  readonly attempts: number
  /** Attempts already made when a retry was last requested. */
  readonly retriedAt: number
  /** True if a process ended while it held the message: its next attempt must be recorded before it begins. */
  readonly isWatched: boolean
  readonly epoch: number
  readonly expiresAt: number
  readonly createdAt: number
  readonly trace: string | undefined
  /** JSON of each recipient's outcome so far, if there are several recipients. */
  readonly recipients: string | undefined
  readonly envelope: string | undefined
  readonly content: Content
  readonly shared: ReadonlyArray<Shared>
}

/**
 * Identifies one claim of a message.
 *
 * @since 0.1.0
 */
export type Claimed = Pick<ClaimedRow, "seq" | "epoch" | "attempts">

/**
 * A ledger of limits as it is stored.
 *
 * @since 0.1.0
 */
export type { StoredLedger } from "@mailrace/flow/Ledgers"

/**
 * Ledgers of limits that all dispatchers of an outbox share and that survive restarts (`LeasedRate`).
 *
 * @since 0.1.0
 */
export type Ledgers = FlowLedgers<OutboxError>

/**
 * A message that ended without an attempt, because its time ran out or it was given up.
 *
 * @since 0.1.0
 */
export type ExpiredRow = Pick<ClaimedRow, "seq" | "id" | "tenant" | "lane" | "messageId" | "attempts">

/**
 * The result of a claim.
 *
 * @since 0.1.0
 */
export interface Claim {
  readonly rows: ReadonlyArray<ClaimedRow>
  readonly expired: ReadonlyArray<ExpiredRow>
  /** Defaults to none. */
  readonly held?: ReadonlyArray<HeldTenant> | undefined
}

/**
 * The outcome of an attempt.
 *
 * @since 0.1.0
 */
export interface Settlement {
  readonly seq: number
  readonly epoch: number
  readonly attempts: number
  readonly state: "due" | "accepted" | "rejected" | "expired" | "dead"
  readonly at: number
  /** The time of the next attempt, for `due`. */
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
 * The dispatcher's ownership while its scope is open.
 *
 * @since 0.1.0
 */
export interface DispatcherLease {
  /**
   * The number of rows that a dead process had claimed and that were put back. Messages on which `maxCrashes`
   * processes ended are given up instead.
   */
  readonly recovered: number
  /** At most `limit` lanes with a due message. The call examines a bounded number of lanes. */
  readonly dueLanes: (after: LaneCursor, limit: number, now: number) => Effect.Effect<DueLanes, OutboxError>
  /**
   * Claims due messages. Messages whose time ran out are settled as `expired`. With `tenants`, the tenants of a lane share its
   * quota by their weights, and each keeps to its own quota. Without, a lane's messages are claimed in their order.
   */
  readonly claim: (
    quotas: ReadonlyArray<LaneQuota>,
    now: number,
    tenants?: ReadonlyArray<TenantQuota>
  ) => Effect.Effect<Claim, OutboxError>
  /** Records that attempts of watched messages are about to begin. */
  readonly begin: (rows: ReadonlyArray<Claimed>) => Effect.Effect<void, OutboxError>
  /** Records outcomes. Returns the seqs whose fence held; the others belong to another dispatcher by now. */
  readonly settle: (batch: ReadonlyArray<Settlement>) => Effect.Effect<ReadonlyArray<number>, OutboxError>
  /** Puts claimed messages back that were not begun, as if they had not been claimed. */
  readonly release: (rows: ReadonlyArray<Claimed>) => Effect.Effect<void, OutboxError>
  /**
   * Puts rows back that this lease claimed before `before` and that `isKnown` does not know: a claim whose answer was
   * lost. Returns the number of rows.
   */
  readonly reclaim: (isKnown: (seq: number) => boolean, before: number) => Effect.Effect<number, OutboxError>
  /** The ownership of buckets, if it changes while the dispatcher runs. Absent if one dispatcher owns all. */
  readonly holding?: Holding | undefined
}

/**
 * Ownership as the dispatcher must respect it: it begins only messages that are confirmed to be its own, and gives up buckets on
 * demand.
 *
 * @since 0.1.0
 */
export interface Holding {
  /** True if ownership was confirmed recently enough to begin claimed messages. */
  readonly isConfirmed: () => boolean
  /**
   * True if this dispatcher has its whole share and is leaving no bucket to others, so that others send from all other
   * buckets. Until then, a dispatcher that ends when nothing is due cannot know whether something is.
   */
  readonly isSettled: () => boolean
  /**
   * Takes all buckets without an owner, whether or not they belong to its share; succeeds with true if there were
   * none. For a dispatcher that is about to end.
   */
  readonly settle: Effect.Effect<boolean>
  /** The number of messages that may still be begun on the last confirmation, if one is good for `worth` messages. */
  readonly left: (worth: number) => number
  /** Records that messages are begun, and asks for the next confirmation in time. */
  readonly spend: (count: number, worth: number) => void
  /** Sets the listener for changes. */
  readonly listen: (listener: HoldingListener) => void
}

/**
 * Receives changes of ownership.
 *
 * @since 0.1.0
 */
export interface HoldingListener {
  /** Ownership was confirmed: messages that waited for it may begin. */
  readonly onConfirmed: () => void
  /** Buckets were taken; they may have due messages. */
  readonly onTaken: () => void
  /**
   * Buckets are being left: give their waiting messages back. If the buckets are lost, another dispatcher may already
   * send the messages: drop them.
   */
  readonly onLeave: (buckets: ReadonlySet<number>, isLost: boolean) => Effect.Effect<void>
}

/**
 * The terms of a retry.
 *
 * @since 0.1.0
 */
export interface RetryTerms {
  readonly now: number
  /** The earliest expiry that settled messages get. */
  readonly expiresAt: number
  /** True if messages that were never tried become due now as well; otherwise they keep their time. */
  readonly scheduled: boolean
}

/**
 * The retention of bodies and rows.
 *
 * @since 0.1.0
 */
export interface Retention {
  /** Bodies of accepted and cancelled messages, in milliseconds from their end. */
  readonly bodies: number
  /** Rows of settled messages, in milliseconds from their end. */
  readonly rows: number
}

/**
 * A message as found by its idempotency key.
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
 * The disk space that a store uses, in bytes.
 *
 * @since 0.1.0
 */
export interface Occupancy {
  readonly total: number
  /** The unused part of it, if the store can tell. */
  readonly free: number | undefined
}

/**
 * The result of one step of `sweep`; `done` if nothing is left for now.
 *
 * @since 0.1.0
 */
export interface Swept {
  /** Messages whose time ran out while nobody claimed them. */
  readonly expired: ReadonlyArray<ExpiredRow>
  readonly bodies: number
  readonly rows: number
  readonly done: boolean
  /** True if there is more space of deleted messages to give back. */
  readonly isShrinking: boolean
}

/**
 * A transaction that the caller has open on the outbox's own database.
 *
 * @since 0.1.0
 */
export interface JoinedTransaction {
  /** Stores rows as part of the transaction. */
  readonly accept: (rows: ReadonlyArray<NewRow>) => Effect.Effect<ReadonlyArray<Accepted>, OutboxError>
  /** Runs after the commit, and never if the transaction does not commit. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
}

/**
 * A database that holds the outbox.
 *
 * @since 0.1.0
 */
export interface OutboxStore {
  /** The file or the server, as error texts name it, without secrets. */
  readonly name: string
  /** Stores rows, each with an answer of its own. Fails as a whole only if nothing was stored. */
  readonly accept: (rows: ReadonlyArray<NewRow>) => Effect.Effect<ReadonlyArray<Accepted>, OutboxError>
  /** The transaction that the calling fiber is in, if it is on this database. */
  readonly joined: Effect.Effect<JoinedTransaction | undefined>
  /** The number of `accept` calls that it takes at once. */
  readonly parallelAccepts: number
  /**
   * Becomes the dispatcher; fails with `AlreadyDispatching` if the store allows only one. `onGivenUp` receives
   * messages on which `maxCrashes` processes ended, now and whenever it takes over from another dispatcher.
   */
  readonly dispatch: (
    maxCrashes: number,
    onGivenUp?: (row: ExpiredRow, now: number) => void
  ) => Effect.Effect<DispatcherLease, OutboxError, Scope.Scope>
  /** Emits when another process may have made something due. A hint may be lost. */
  readonly hints: Stream.Stream<void>
  readonly get: (id: string) => Effect.Effect<Entry | undefined, OutboxError>
  readonly attempts: (id: string) => Effect.Effect<ReadonlyArray<Attempt>, OutboxError>
  /** The stored mail; `undefined` when its body was purged. */
  readonly payload: (id: string) => Effect.Effect<ClaimedRow | undefined, OutboxError>
  /**
   * Messages whose idempotency key begins with a prefix, in the order of enqueueing; at a tenth of the cost of
   * `list`.
   */
  readonly keyed: (prefix: string) => Stream.Stream<KeyedMail, OutboxError>
  readonly list: (filter: Filter) => Stream.Stream<Entry, OutboxError>
  /** Counts the messages that match a filter, by state. A filter with nothing but states and a tenant costs nothing. */
  readonly count: (filter: Filter) => Effect.Effect<StateCounts, OutboxError>
  /** The state of the outbox. The call reads every waiting message. */
  readonly stats: (now: number) => Effect.Effect<Stats, OutboxError>
  readonly pausedLanes: Effect.Effect<ReadonlyArray<string>, OutboxError>
  /** Makes settled messages due again if their body is still there, and deferred ones due now. In batches. */
  readonly retry: (filter: Filter, terms: RetryTerms) => Stream.Stream<Entry, OutboxError>
  /** Withdraws messages that are `due`. In batches. */
  readonly cancel: (filter: Filter, now: number) => Stream.Stream<Entry, OutboxError>
  /** Deletes settled messages with their bodies and attempts. In batches; returns the number of messages. */
  readonly purge: (filter: Filter) => Effect.Effect<number, OutboxError>
  /** The disk space that it uses. */
  readonly occupancy: Effect.Effect<Occupancy, OutboxError>
  /** Gives the space of deleted messages back to the disk or to new messages. Emits the occupancy after each step. */
  readonly vacuum: Stream.Stream<Occupancy, OutboxError>
  readonly pause: (lane: string, now: number) => Effect.Effect<void, OutboxError>
  readonly resume: (lane: string) => Effect.Effect<void, OutboxError>
  /** Ledgers of limits. Defaults to none: limits are then kept by the dispatcher, and forgotten when it ends. */
  readonly ledgers?: Ledgers | undefined
  /** One bounded step of housekeeping. */
  readonly sweep: (retention: Retention, now: number) => Effect.Effect<Swept, OutboxError>
}
