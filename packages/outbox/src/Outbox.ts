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
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Sendable } from "mailrace/Mailer"
import type { MailTransport } from "mailrace/MailTransport"
import * as Dispatcher from "./Dispatcher.ts"
import type { EnqueueOptions } from "./EnqueueOptions.ts"
import * as Administration from "./internal/administer/administration.ts"
import type { Details, RetryOptions } from "./internal/administer/administration.ts"
import { EventHub } from "./internal/dispatch/eventHub.ts"
import { DispatchSignal } from "./internal/dispatch/dispatchSignal.ts"
import * as Intake from "./internal/enqueue/intake.ts"
import type { EnqueueAllOptions, Receipt, Refusal } from "./internal/enqueue/receipt.ts"
import type { Entry, Filter, StateCounts, Stats } from "./OutboxEntry.ts"
import type * as OutboxError from "./OutboxError.ts"
import type { OutboxEvent } from "./OutboxEvent.ts"
import type { KeyedMail, Occupancy, OutboxStore } from "./OutboxStore.ts"
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
 * The receipt of a stored message, the refusal of one that cannot be stored, and the options for a stream of messages.
 *
 * @since 0.1.0
 */
export type { EnqueueAllOptions, Receipt, Refusal }

/**
 * Options for `retry`, and a message with its history.
 *
 * @since 0.1.0
 */
export type { Details, RetryOptions }

/**
 * The durable queue.
 *
 * @since 0.1.0
 */
export class Outbox extends Context.Service<
  Outbox,
  {
    /** The file or server, as error texts name it. */
    readonly name: string
    readonly run: (options?: Dispatcher.Options) => Effect.Effect<void, OutboxError.OutboxError, MailTransport>
    readonly events: Stream.Stream<OutboxEvent>
  } & Intake.Intake &
    Administration.Administration
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
    const shared = { store, codec: Payload.make(), hub: new EventHub(), signal: new DispatchSignal() }
    const expiryMs = Duration.toMillis(options.expiry ?? "5 days")
    const intake = yield* Intake.make({
      ...shared,
      defaults: { expiryMs, laneBy: options.laneBy ?? "domain" },
      mailsPerCommit: options.mailsPerCommit
    })
    return Outbox.of({
      name: store.name,
      ...intake,
      ...Administration.make({ ...shared, expiryMs }),
      run: (options) => Dispatcher.run(shared, options),
      events: shared.hub.events
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
