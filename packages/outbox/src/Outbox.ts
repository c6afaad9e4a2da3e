/**
 * A durable queue of mails: what was enqueued is sent, whatever dies.
 *
 * `enqueue` returns when the mail is on the disk. `run`, in this process or another one, sends what is due through the
 * `MailTransport` in place and records how each mail ended; what failed for now is tried again over days. Every attempt
 * of a mail carries the same Message-ID.
 *
 * Sending is *at least once*. A mail arrives twice only when its process died between the relay's answer and the record
 * of it, when the connection was lost between the content and the answer, when a caller repeated a lost `enqueue` without
 * an idempotency key, or, on several machines, when one stalled so long that another took its place.
 *
 * @example
 * ```ts
 * import * as Outbox from "@mailrace/outbox/Outbox"
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   yield* Outbox.enqueue(
 *     { from: "shop@example.com", to: "ann@example.org", subject: "Thank you", text: "…" },
 *     { idempotencyKey: "order 4711" }
 *   )
 *   yield* Outbox.run({ until: "idle" })
 * }).pipe(Effect.provide([Outbox.layerSqlite("outbox.db"), SmtpTransport.layerUrl("smtp://127.0.0.1:2525")]))
 *
 * await Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */

import type { PgClient, PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Sendable } from "mailrace/Mailer"
import type { MailTransport } from "mailrace/MailTransport"
import * as Dispatcher from "./Dispatcher.ts"
import type { EnqueueOptions } from "./EnqueueOptions.ts"
import * as GroupCommit from "./GroupCommit.ts"
import * as AttemptTrace from "./internal/dispatch/attemptTrace.ts"
import { EventHub } from "./internal/dispatch/eventHub.ts"
import { DispatchSignal } from "./internal/dispatch/dispatchSignal.ts"
import * as newRow from "./internal/enqueue/newRow.ts"
import * as Lane from "./Lane.ts"
import type { Attempt, Entry, Filter, StateCounts, Stats } from "./OutboxEntry.ts"
import type * as OutboxError from "./OutboxError.ts"
import type { Change, OutboxEvent } from "./OutboxEvent.ts"
import type { Accepted, JoinedTransaction, KeyedMail, NewRow, Occupancy, OutboxStore } from "./OutboxStore.ts"
import * as Payload from "./Payload.ts"
import type * as PostgresStore from "./PostgresStore.ts"
import * as SqliteStore from "./SqliteStore.ts"

/**
 * How the outbox accepts mails.
 *
 * @since 0.1.0
 */
export interface Options {
  /** How long a mail is tried when `expiresAt` does not say. Defaults to 5 days. */
  readonly expiry?: Duration.Input | undefined
  /**
   * What waits in one line when `lane` does not say: mails to one `domain`, or of one `tenant` (mails without one share
   * a line). Defaults to `domain`.
   */
  readonly laneBy?: "domain" | "tenant" | undefined
  /**
   * How many mails that are enqueued at the same time share one commit at most, from 1. More of them cost less each, and
   * fail together when the store does. Defaults to 250.
   */
  readonly mailsPerCommit?: number | undefined
}

/**
 * A mail that is on the disk.
 *
 * @since 0.1.0
 */
export interface Receipt {
  readonly _tag: "Receipt"
  readonly id: string
  readonly messageId: string
  /** Whether it was there already under its idempotency key; then nothing was stored. */
  readonly duplicate: boolean
}

/**
 * A mail of a stream that cannot be stored; the others are.
 *
 * @since 0.1.0
 */
export interface Refusal {
  readonly _tag: "Refusal"
  /** The mail's place in the stream, from 0. */
  readonly index: number
  readonly error: OutboxError.OutboxError
}

/**
 * How a stream of mails is enqueued: the same for all, or decided for each.
 *
 * @since 0.1.0
 */
export type EnqueueAllOptions = EnqueueOptions | ((mail: Sendable, index: number) => EnqueueOptions)

/**
 * How mails are tried again.
 *
 * @since 0.1.0
 */
export interface RetryOptions {
  /**
   * Whether mails that were never tried, because their `sendAt` is yet to come, are sent now as well. Defaults to true for
   * a filter with `ids`, else to false: then those that are cancelled wait for their time again.
   */
  readonly scheduled?: boolean | undefined
}

/**
 * A mail with its history and, as long as it is kept, its body.
 *
 * @since 0.1.0
 */
export interface Details {
  readonly entry: Entry
  /** The attempts that are over, oldest first. */
  readonly attempts: ReadonlyArray<Attempt>
  /** As it is sent: the fields of a mail that is a template of itself are filled in. Absent when it cannot be read. */
  readonly mail: Sendable | undefined
}

/**
 * The durable queue.
 *
 * @since 0.1.0
 */
export class Outbox extends Context.Service<
  Outbox,
  {
    /** The file or server, for messages. */
    readonly name: string
    readonly enqueue: (mail: Sendable, options?: EnqueueOptions) => Effect.Effect<Receipt, OutboxError.OutboxError>
    readonly enqueueAll: <E, R>(
      mails: Stream.Stream<Sendable, E, R>,
      options?: EnqueueAllOptions
    ) => Stream.Stream<Receipt | Refusal, E | OutboxError.OutboxError, R>
    readonly run: (options?: Dispatcher.Options) => Effect.Effect<void, OutboxError.OutboxError, MailTransport>
    readonly get: (id: string) => Effect.Effect<Details | undefined, OutboxError.OutboxError>
    readonly list: (filter?: Filter) => Stream.Stream<Entry, OutboxError.OutboxError>
    readonly keyed: (prefix: string) => Stream.Stream<KeyedMail, OutboxError.OutboxError>
    readonly count: (filter?: Filter) => Effect.Effect<StateCounts, OutboxError.OutboxError>
    readonly stats: Effect.Effect<Stats, OutboxError.OutboxError>
    readonly retry: (filter: Filter, options?: RetryOptions) => Stream.Stream<Entry, OutboxError.OutboxError>
    readonly cancel: (filter: Filter) => Stream.Stream<Entry, OutboxError.OutboxError>
    readonly purge: (filter: Filter) => Effect.Effect<number, OutboxError.OutboxError>
    readonly occupancy: Effect.Effect<Occupancy, OutboxError.OutboxError>
    readonly vacuum: Stream.Stream<Occupancy, OutboxError.OutboxError>
    readonly pause: (lane: string) => Effect.Effect<void, OutboxError.OutboxError>
    readonly resume: (lane: string) => Effect.Effect<void, OutboxError.OutboxError>
    readonly events: Stream.Stream<OutboxEvent>
  }
>()("mailrace/Outbox") {}

/**
 * Stores a mail; returns when it is on the disk.
 *
 * Fails with `Busy` when a cap is reached, with `InvalidMail` when it could never be sent. Its recipients' addresses are
 * checked when it is sent. What it points at (files, streams) is read now.
 *
 * The mail is composed when it is sent, by the composer of the process that sends it, so `Dkim.layer` belongs there. One
 * that is composed already goes out as it is. From a template, enqueue what `template.mail(recipient)` gives, or the
 * template itself with `render`.
 *
 * Under PostgreSQL, within `sql.withTransaction` of the client that the outbox was made from, the mail is part of that
 * transaction: it exists if and when the transaction commits.
 *
 * @since 0.1.0
 */
export const enqueue = (
  mail: Sendable,
  options?: EnqueueOptions
): Effect.Effect<Receipt, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.enqueue(mail, options))

/**
 * Stores a stream of mails and gives a `Receipt` for each when it is on the disk, in order.
 *
 * A mail that cannot be stored is a `Refusal` among the others. While a cap is reached, the stream waits; while another
 * process keeps the database locked, it waits up to five minutes.
 *
 * @since 0.1.0
 */
export const enqueueAll: {
  (
    options?: EnqueueAllOptions
  ): <E, R>(
    mails: Stream.Stream<Sendable, E, R>
  ) => Stream.Stream<Receipt | Refusal, E | OutboxError.OutboxError, R | Outbox>
  <E, R>(
    mails: Stream.Stream<Sendable, E, R>,
    options?: EnqueueAllOptions
  ): Stream.Stream<Receipt | Refusal, E | OutboxError.OutboxError, R | Outbox>
} = dual(
  (args) => Stream.isStream(args[0]),
  <E, R>(mails: Stream.Stream<Sendable, E, R>, options?: EnqueueAllOptions) =>
    Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.enqueueAll(mails, options)))
)

/**
 * Sends what is due, until interrupted unless `until` says otherwise. See `Dispatcher`.
 *
 * @since 0.1.0
 */
export const run = (
  options?: Dispatcher.Options
): Effect.Effect<void, OutboxError.OutboxError, Outbox | MailTransport> =>
  Effect.flatMap(Outbox, (outbox) => outbox.run(options))

/**
 * A mail by its id with its history; `undefined` when there is none.
 *
 * @since 0.1.0
 */
export const get = (id: string): Effect.Effect<Details | undefined, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.get(id))

/**
 * Mails that a filter chooses, in the order of enqueueing; of settling, when only settled states are asked for, and of
 * their turn, when only mails of one lane that are due are.
 *
 * Those states and that lane are found by an index. All else is looked for in every mail that is kept, at about half a
 * microsecond each.
 *
 * @since 0.1.0
 */
export const list = (filter?: Filter): Stream.Stream<Entry, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.list(filter)))

/**
 * Mails whose idempotency key begins so, in the order of enqueueing: what is in of millions that a program makes again.
 * It reads every mail that is kept, at a tenth of what `list` costs.
 *
 * @since 0.1.0
 */
export const keyed = (prefix: string): Stream.Stream<KeyedMail, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.keyed(prefix)))

/**
 * How many mails of each state a filter chooses. One without more than states and a tenant costs nothing.
 *
 * @since 0.1.0
 */
export const count = (filter?: Filter): Effect.Effect<StateCounts, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.count(filter))

/**
 * How many mails are in which state and lane.
 *
 * @since 0.1.0
 */
export const stats: Effect.Effect<Stats, OutboxError.OutboxError, Outbox> = Effect.flatMap(
  Outbox,
  (outbox) => outbox.stats
)

/**
 * Makes mails due again: deferred ones at once, and rejected, expired, dead or cancelled ones whose body is still kept,
 * with their backoff from its beginning and their expiry renewed. Gives the mails as they are then.
 *
 * A mail that was never tried keeps its `sendAt`, unless it is named by its id or `scheduled` says so.
 *
 * @since 0.1.0
 */
export const retry = (filter: Filter, options?: RetryOptions): Stream.Stream<Entry, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.retry(filter, options)))

/**
 * Withdraws mails that wait; those on their way are not stopped. Gives the mails withdrawn.
 *
 * @since 0.1.0
 */
export const cancel = (filter: Filter): Stream.Stream<Entry, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.cancel(filter)))

/**
 * Deletes settled mails, their history and their idempotency keys; returns how many.
 *
 * @since 0.1.0
 */
export const purge = (filter: Filter): Effect.Effect<number, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.purge(filter))

/**
 * What the outbox takes of its disk, and how much of that is free for new mails.
 *
 * @since 0.1.0
 */
export const occupancy: Effect.Effect<Occupancy, OutboxError.OutboxError, Outbox> = Effect.flatMap(
  Outbox,
  (outbox) => outbox.occupancy
)

/**
 * Gives back what deleted mails took, beside all that goes on: a SQLite file gets smaller, in PostgreSQL the space is that
 * of new mails. Says how it stands after each step. A dispatcher gives back by itself what is more than a quarter.
 *
 * @since 0.1.0
 */
export const vacuum: Stream.Stream<Occupancy, OutboxError.OutboxError, Outbox> = Stream.unwrap(
  Effect.map(Outbox, (outbox) => outbox.vacuum)
)

/**
 * Stops claiming from a lane, here and in every process, over restarts, until `resume`.
 *
 * @since 0.1.0
 */
export const pause = (lane: string): Effect.Effect<void, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.pause(lane))

/**
 * Lets a paused lane go on.
 *
 * @since 0.1.0
 */
export const resume = (lane: string): Effect.Effect<void, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.resume(lane))

/**
 * What this process does with mails from now on, each after its commit. A listener that is 16,384 events behind loses
 * the oldest.
 *
 * @since 0.1.0
 */
export const events: Stream.Stream<OutboxEvent, never, Outbox> = Stream.unwrap(
  Effect.map(Outbox, (outbox) => outbox.events)
)

/**
 * An outbox over a store.
 *
 * @since 0.1.0
 */
export const make = (store: OutboxStore, options: Options = {}): Effect.Effect<Outbox["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const codec = Payload.make()
    const hub = new EventHub()
    const signal = new DispatchSignal()
    const expiryMs = Duration.toMillis(options.expiry ?? "5 days")
    const intake = yield* GroupCommit.make<NewRow, Accepted, OutboxError.OutboxError>({
      write: store.accept,
      maxRows: options.mailsPerCommit,
      parallel: store.parallelAccepts
    })
    const makeRow = newRow.make(codec, { expiryMs, laneBy: options.laneBy ?? "domain" })

    /** Said once the row is committed. */
    const announce = (row: NewRow): void => {
      signal.addDue(row, row.dueAt, row.createdAt)
      if (!hub.isHeard) return
      hub.emit({
        _tag: "Enqueued",
        id: row.id,
        messageId: row.messageId,
        tenant: row.tenant || undefined,
        lane: row.lane,
        attempts: 0,
        at: new Date(row.createdAt),
        dueAt: new Date(row.dueAt)
      })
    }
    const receipt = (row: NewRow, accepted: Accepted): Effect.Effect<Receipt, OutboxError.OutboxError> => {
      switch (accepted._tag) {
        case "Stored":
          return Effect.succeed({ _tag: "Receipt", id: row.id, messageId: row.messageId, duplicate: false })
        case "Duplicate":
          return Effect.succeed({ _tag: "Receipt", id: accepted.id, messageId: accepted.messageId, duplicate: true })
        case "Refused":
          return Effect.fail(accepted.error)
      }
    }
    const commit = (row: NewRow): Effect.Effect<Receipt, OutboxError.OutboxError> =>
      Effect.flatMap(intake.submit(row), (accepted) => {
        if (accepted._tag === "Stored") announce(row)
        return receipt(row, accepted)
      })
    /** Within the caller's own transaction there is nothing to group, and nothing to say before it commits. */
    const join = (joined: JoinedTransaction, row: NewRow): Effect.Effect<Receipt, OutboxError.OutboxError> =>
      Effect.flatMap(joined.accept([row]), ([accepted]) =>
        accepted!._tag === "Stored"
          ? Effect.andThen(joined.afterCommit(Effect.sync(() => announce(row))), receipt(row, accepted!))
          : receipt(row, accepted!)
      )
    const enqueue = (mail: Sendable, options?: EnqueueOptions) =>
      AttemptTrace.enqueueing(
        Effect.flatMap(makeRow(mail, options), (row) =>
          Effect.flatMap(store.joined, (joined) => (joined === undefined ? commit(row) : join(joined, row)))
        )
      )
    const enqueueOfMany = (mail: Sendable, index: number, options?: EnqueueAllOptions) =>
      Effect.matchEffect(
        Effect.retry(enqueue(mail, typeof options === "function" ? options(mail, index) : options), waitsFor),
        {
          onSuccess: (receipt) => Effect.succeed<Receipt | Refusal>(receipt),
          onFailure: (error) =>
            error.reason._tag === "InvalidMail"
              ? Effect.succeed<Receipt | Refusal>({ _tag: "Refusal", index, error })
              : Effect.fail(error)
        }
      )

    const addDue = (lane: string, dueAt: number, now: number) =>
      signal.addDue({ bucket: Lane.bucket(lane), lane }, dueAt, now)
    const changed = (change: Change) => (entry: Entry) =>
      Effect.sync(() => {
        if (change === "Retried") addDue(entry.lane, entry.dueAt.getTime(), entry.updatedAt.getTime())
        hub.emit({
          _tag: change,
          id: entry.id,
          messageId: entry.messageId,
          tenant: entry.tenant,
          lane: entry.lane,
          attempts: entry.attempts,
          at: entry.updatedAt,
          dueAt: change === "Retried" ? entry.dueAt : undefined
        })
      })
    return Outbox.of({
      name: store.name,
      enqueue,
      enqueueAll: (mails, options) =>
        Stream.mapEffect(Stream.zipWithIndex(mails), ([mail, index]) => enqueueOfMany(mail, index, options), {
          concurrency: enqueuedAtOnce
        }),
      run: (options) => Dispatcher.run({ store, codec, hub, signal }, options),
      get: (id) =>
        Effect.gen(function* () {
          const entry = yield* store.get(id)
          if (entry === undefined) return undefined
          const attempts = yield* store.attempts(id)
          const payload = yield* store.payload(id)
          // What cannot be read must not hide how it stands: that is where its owner finds out.
          const mail = payload && (yield* Effect.catchDefect(codec.filled(payload), () => Effect.succeed(undefined)))
          return { entry, attempts, mail }
        }),
      list: (filter = {}) => store.list(filter),
      keyed: store.keyed,
      count: (filter = {}) => store.count(filter),
      stats: Effect.flatMap(Clock.currentTimeMillis, store.stats),
      retry: (filter, options) =>
        Stream.unwrap(
          Effect.map(Clock.currentTimeMillis, (now) =>
            store.retry(filter, {
              now,
              expiresAt: now + expiryMs,
              scheduled: options?.scheduled ?? filter.ids !== undefined
            })
          )
        ).pipe(Stream.tap(changed("Retried"))),
      cancel: (filter) =>
        Stream.unwrap(Effect.map(Clock.currentTimeMillis, (now) => store.cancel(filter, now))).pipe(
          Stream.tap(changed("Cancelled"))
        ),
      purge: store.purge,
      occupancy: store.occupancy,
      vacuum: store.vacuum,
      pause: (lane) => Effect.flatMap(Clock.currentTimeMillis, (now) => store.pause(lane, now)),
      resume: (lane) => Effect.map(store.resume(lane), () => addDue(lane, 0, 0)),
      events: hub.events
    })
  })

/**
 * An outbox over a store that a layer makes.
 *
 * @since 0.1.0
 */
export const layerStore = <E, R>(
  store: Effect.Effect<OutboxStore, E, R>,
  options?: Options
): Layer.Layer<Outbox, E, Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Outbox,
    Effect.flatMap(store, (store) => make(store, options))
  )

/**
 * An outbox in a SQLite file, made when it is not there. See `SqliteStore`.
 *
 * @since 0.1.0
 */
export const layerSqlite: {
  (file: string, options?: Omit<SqliteStore.Options, "path"> & Options): Layer.Layer<Outbox, OutboxError.OutboxError>
  (options: SqliteStore.Options & Options): Layer.Layer<Outbox, OutboxError.OutboxError>
} = (file: string | (SqliteStore.Options & Options), options?: Omit<SqliteStore.Options, "path"> & Options) => {
  const all = typeof file === "string" ? { ...options, path: file } : file
  return layerStore(SqliteStore.make(all), all)
}

/**
 * An outbox in PostgreSQL, on a pool of its own; its tables are made when they are not there. See `PostgresStore`.
 * Programs that do not use it load nothing of it.
 *
 * @since 0.1.0
 */
export const layerPostgres = (
  config: PgPoolConfig & PostgresStore.Options & Options
): Layer.Layer<Outbox, OutboxError.OutboxError> =>
  Layer.unwrap(Effect.map(loadPostgres, ({ makeClient }) => layerStore(makeClient(config), config)))

/**
 * An outbox in PostgreSQL on the client in place, whose transactions `enqueue` can join.
 *
 * @since 0.1.0
 */
export const layerPostgresClient = (
  options?: PostgresStore.Options & Options
): Layer.Layer<Outbox, OutboxError.OutboxError, PgClient> =>
  Layer.unwrap(Effect.map(loadPostgres, ({ make }) => layerStore(make(options), options)))

const loadPostgres = Effect.promise(() => import("./PostgresStore.ts"))

/**
 * Mails of a stream on their way into the store at once. One batch and a little: with two batches the next is always
 * full when one is done, and what is sent beside them was seen to fall to a tenth.
 */
const enqueuedAtOnce = 256

/** How long a stream waits while the database is locked, in milliseconds. */
const longestLock = 300_000

/** What a stream of mails waits for: room for ever, and the end of somebody's long transaction within a bound. */
const waitsFor = {
  schedule: Schedule.spaced("250 millis").pipe(
    Schedule.setInputType<OutboxError.OutboxError>(),
    Schedule.while(({ elapsed, input }) => input.reason._tag === "Busy" || elapsed < longestLock)
  ),
  while: ({ reason }: OutboxError.OutboxError) => reason._tag === "Busy" || reason._tag === "Locked"
}
