/**
 * A durable queue of messages: an enqueued message is sent, whatever crashes.
 *
 * `enqueue` returns when the message is on the disk. `run`, in this process or another, sends the due messages
 * through the provided `MailTransport` and records each outcome. It retries a message that failed temporarily over
 * days. Every attempt of a message carries the same Message-ID.
 *
 * Sending is *at least once*. A message arrives twice only if its process died between the relay's answer and the
 * record of it, if the connection was lost between the content and the answer, if a caller repeated a lost `enqueue`
 * without an idempotency key, or, on several machines, if one stalled so long that another took over its lanes.
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
 * Options for enqueueing.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The time for which a message is tried, unless `expiresAt` is given. Defaults to 5 days. */
  readonly expiry?: Duration.Input | undefined
  /**
   * The default lane of a message: its recipient's `domain`, or its `tenant` (messages without a tenant share one
   * lane). Defaults to `domain`.
   */
  readonly laneBy?: "domain" | "tenant" | undefined
  /**
   * The largest number of messages in one commit, at least 1. A larger commit costs less for each message; if it
   * fails, it fails for all of them. Defaults to 250.
   */
  readonly mailsPerCommit?: number | undefined
  /**
   * The longest time that the end of the outbox waits for messages that are being stored. If the store is silent for longer, the
   * callers of `enqueue` that still wait fail with `OutcomeUnknown`, or with `Unavailable` if the store has nothing of their
   * message. Defaults to 15 seconds, within which PostgreSQL may restart.
   */
  readonly closeTimeout?: Duration.Input | undefined
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
 * Stores a message and returns when it is on the disk.
 *
 * Fails with `Busy` if a cap is reached, and with `InvalidMail` if the message could never be sent. The recipients'
 * addresses are checked when the message is sent. Files and streams that the message refers to are read now.
 *
 * The process that sends the message composes it, so provide `Dkim.layer` there. A `Composed` message goes out
 * unchanged. From a template, enqueue what `template.mail(recipient)` returns, or the template itself with `render`.
 *
 * With PostgreSQL, inside `sql.withTransaction` of the client that the outbox was made from, the message becomes part
 * of that transaction: it exists if and when the transaction commits.
 *
 * @since 0.1.0
 */
export const enqueue = (
  mail: Sendable,
  options?: EnqueueOptions
): Effect.Effect<Receipt, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.enqueue(mail, options))

/**
 * Stores a stream of messages and emits a `Receipt` for each once it is on the disk, in order.
 *
 * A message that cannot be stored becomes a `Refusal`; the others are stored. While a cap is reached, the stream
 * waits; while another process keeps the database locked, it waits for up to five minutes.
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
 * Sends the due messages until interrupted, or until the condition in `until` holds. See `Dispatcher`.
 *
 * @since 0.1.0
 */
export const run = (
  options?: Dispatcher.Options
): Effect.Effect<void, OutboxError.OutboxError, Outbox | MailTransport> =>
  Effect.flatMap(Outbox, (outbox) => outbox.run(options))

/**
 * A message and its history by its id; `undefined` if there is no such message.
 *
 * @since 0.1.0
 */
export const get = (id: string): Effect.Effect<Details | undefined, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.get(id))

/**
 * The messages that match a filter. They come in the order of enqueueing; in the order of settling, if the filter
 * asks for settled states alone; and in the order in which they will be claimed, if it asks for the due messages of
 * one lane.
 *
 * An index finds those states and that lane. All other conditions are checked on every stored message, at about half
 * a microsecond each.
 *
 * @since 0.1.0
 */
export const list = (filter?: Filter): Stream.Stream<Entry, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.list(filter)))

/**
 * The messages whose idempotency key begins with a prefix, in the order of enqueueing. A program that produces
 * millions of messages again learns from it which of them are stored. It reads every stored message, at a tenth of
 * the cost of `list`.
 *
 * @since 0.1.0
 */
export const keyed = (prefix: string): Stream.Stream<KeyedMail, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.keyed(prefix)))

/**
 * Counts the messages that match a filter, by state. A filter with nothing but states and a tenant is answered from
 * tallies, at no cost.
 *
 * @since 0.1.0
 */
export const count = (filter?: Filter): Effect.Effect<StateCounts, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.count(filter))

/**
 * The number of messages in each state, the lanes with waiting messages, and the dispatchers. It reads an index of every
 * waiting message: a fifth of a second for a million.
 *
 * @since 0.1.0
 */
export const stats: Effect.Effect<Stats, OutboxError.OutboxError, Outbox> = Effect.flatMap(
  Outbox,
  (outbox) => outbox.stats
)

/**
 * The paused lanes, in the order of their names.
 *
 * @since 0.1.0
 */
export const pausedLanes: Effect.Effect<ReadonlyArray<string>, OutboxError.OutboxError, Outbox> = Effect.flatMap(
  Outbox,
  (outbox) => outbox.pausedLanes
)

/**
 * Makes messages due again: deferred ones at once, and rejected, expired, dead or cancelled ones if their body is
 * still stored. Their backoff starts over and their expiry is renewed. Emits the messages in their new state.
 *
 * A message that was never tried keeps its `sendAt`, unless the filter names its id or `scheduled` is true.
 *
 * @since 0.1.0
 */
export const retry = (filter: Filter, options?: RetryOptions): Stream.Stream<Entry, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.retry(filter, options)))

/**
 * Withdraws waiting messages and emits them. It does not stop messages that are on their way.
 *
 * @since 0.1.0
 */
export const cancel = (filter: Filter): Stream.Stream<Entry, OutboxError.OutboxError, Outbox> =>
  Stream.unwrap(Effect.map(Outbox, (outbox) => outbox.cancel(filter)))

/**
 * Deletes settled messages, their history and their idempotency keys; returns the number of messages.
 *
 * @since 0.1.0
 */
export const purge = (filter: Filter): Effect.Effect<number, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.purge(filter))

/**
 * The disk space that the outbox uses, and the part of it that is free for new messages.
 *
 * @since 0.1.0
 */
export const occupancy: Effect.Effect<Occupancy, OutboxError.OutboxError, Outbox> = Effect.flatMap(
  Outbox,
  (outbox) => outbox.occupancy
)

/**
 * Gives back the space of deleted messages while sending and enqueueing go on: a SQLite file shrinks; PostgreSQL
 * reuses the space for new messages. Emits the occupancy after each step. A dispatcher does this by itself when more
 * than a quarter of the file is free.
 *
 * @since 0.1.0
 */
export const vacuum: Stream.Stream<Occupancy, OutboxError.OutboxError, Outbox> = Stream.unwrap(
  Effect.map(Outbox, (outbox) => outbox.vacuum)
)

/**
 * Stops claiming from a lane, in every process and across restarts, until `resume`.
 *
 * @since 0.1.0
 */
export const pause = (lane: string): Effect.Effect<void, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.pause(lane))

/**
 * Resumes a paused lane.
 *
 * @since 0.1.0
 */
export const resume = (lane: string): Effect.Effect<void, OutboxError.OutboxError, Outbox> =>
  Effect.flatMap(Outbox, (outbox) => outbox.resume(lane))

/**
 * The changes that this process makes to messages from now on, each after its commit. A listener that falls 16,384
 * events behind loses the oldest.
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
      mailsPerCommit: options.mailsPerCommit,
      closeTimeout: Duration.fromInputUnsafe(options.closeTimeout ?? "15 seconds")
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
 * An outbox over a store that an effect provides.
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
 * An outbox in a SQLite file, which is created if it is missing. See `SqliteStore`.
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
 * An outbox in PostgreSQL with a connection pool of its own; it creates its tables if they are missing. See
 * `PostgresStore`. Programs that do not use it load nothing of it.
 *
 * @since 0.1.0
 */
export const layerPostgres = (
  config: PgPoolConfig & PostgresStore.Options & Options
): Layer.Layer<Outbox, OutboxError.OutboxError> =>
  Layer.unwrap(Effect.map(loadPostgres, ({ makeClient }) => layerStore(makeClient(config), config)))

/**
 * An outbox in PostgreSQL on the provided client, whose transactions `enqueue` can join.
 *
 * @since 0.1.0
 */
export const layerPostgresClient = (
  options?: PostgresStore.Options & Options
): Layer.Layer<Outbox, OutboxError.OutboxError, PgClient> =>
  Layer.unwrap(Effect.map(loadPostgres, ({ make }) => layerStore(make(options), options)))

const loadPostgres = Effect.promise(() => import("./PostgresStore.ts"))
