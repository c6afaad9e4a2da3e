/**
 * The outbox in PostgreSQL: one queue for several processes and machines.
 *
 * Any number of processes enqueue and any number dispatch. The dispatchers share the lanes by owning buckets (see
 * `Lane` and `Ownership`); when one dies, the others take its buckets over within two seconds. A message can be
 * part of the transaction that stores its cause: `enqueue` inside `sql.withTransaction` of the same client joins it.
 *
 * One statement accepts, claims or settles a batch, so each takes one round trip and one commit, and each can be
 * repeated if its answer was lost. While the server restarts, `enqueue` waits for it for up to 10 seconds, and the
 * dispatcher settles sent messages when the server is back.
 *
 * The tables are created in the first schema of the connection's `search_path`, under names that begin with
 * `mailrace_`.
 *
 * **Housekeeping.** Rows change a few times in their life and are deleted after 30 days, so the tables ask for vacuum at
 * 2 % of dead rows; leave autovacuum on, and give it `autovacuum_vacuum_cost_limit` 1000 or more where millions of messages
 * a day pass.
 *
 * **Gotchas**
 *
 * A pooler that moves sessions between connections at each transaction (PgBouncer in transaction mode) cannot be used to
 * dispatch: ownership is held by a session. To enqueue through one, set `prepare: false`. The package's `OPERATING.md` says
 * more about running several dispatchers.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as Os from "node:os"
import { layer, PgClient, type PgClientConfig, type PgPoolConfig } from "@effect/sql-pg/PgClient"
import type { PageAction, PageCursor } from "./internal/store/queries.ts"
import { Possession } from "./internal/dispatch/possession.ts"
import { complete } from "./internal/store/caps.ts"
import * as EntryRow from "./internal/store/entryMapping.ts"
import { PostgresBrowse } from "./internal/postgres/browse.ts"
import { PostgresDispatch } from "./internal/postgres/dispatch.ts"
import { PostgresAccept } from "./internal/postgres/accept.ts"
import { toOutboxError } from "./internal/postgres/error.ts"
import * as Ledgers from "./internal/postgres/ledgers.ts"
import { migrate } from "./internal/postgres/migrate.ts"
import * as PostgresSession from "./internal/postgres/session.ts"
import { PostgresSweep } from "./internal/postgres/sweep.ts"
import * as StoredContent from "./internal/store/storedContent.ts"
import type { Entry, Filter } from "./OutboxEntry.ts"
import * as OutboxError from "./OutboxError.ts"
import type { Caps, OutboxStore } from "./OutboxStore.ts"
import { Ownership } from "./Ownership.ts"

/**
 * Options for the tables and the dispatcher.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The payload size in bytes from which zstd compression is used; `Infinity` for never. Defaults to 4096. */
  readonly compressAbove?: number | undefined
  /**
   * Caps on waiting messages. Several processes together may overrun a cap by the messages they accept in a quarter
   * of a second.
   */
  readonly caps?: Partial<Caps> | undefined
  /**
   * The interval at which a dispatcher checks its share and reports that it is alive. When it dies, others take its
   * share over within three and a half intervals; when it is only cut off from the database, it has at least two and a
   * half to come back. All dispatchers of an outbox should have the same. Defaults to 500 milliseconds.
   */
  readonly heartbeat?: Duration.Input | undefined
  /**
   * The time for which an answer of the database confirms that a dispatcher's share is still its own. Without a newer
   * answer the dispatcher begins nothing, and PostgreSQL (14 and later) takes the share from a dispatcher that stays
   * silent for that long. At least three heartbeats. Defaults to 15 seconds, or three heartbeats if that is longer.
   */
  readonly lease?: Duration.Input | undefined
}

/** The channel on which processes announce that something became due. */
const channel = "mailrace_outbox"

/**
 * The shortest interval between two hints, in milliseconds. A hint in every commit was measured to cost 60 % of the
 * rate.
 */
const hintEvery = 50

/**
 * An outbox on the provided client; creates its tables.
 *
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<OutboxStore, OutboxError.OutboxError, PgClient | Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* PgClient
    const session = PostgresSession.make(client, nameOf(client.config))
    const times = yield* ownershipTimes(options)
    const ownership = yield* Ownership
    yield* migrate(session)
    const intake = new PostgresAccept(
      session,
      complete(options.caps),
      options.compressAbove ?? StoredContent.defaultThreshold
    )
    const dispatch = new PostgresDispatch(session)
    const browse = new PostgresBrowse(session, dispatch)
    const sweep = new PostgresSweep(session)
    const hinting = yield* makeHinting(session)
    return {
      name: session.name,
      parallelAccepts: 4,
      accept: (rows) =>
        intake.accept(rows).pipe(
          Effect.retry({
            schedule: Schedule.spaced("200 millis").pipe(Schedule.upTo({ duration: "10 seconds" })),
            while: (error: OutboxError.OutboxError) => error.isRetryable
          }),
          Effect.tap(() => hinting.hint)
        ),
      joined: Effect.withFiber((fiber) =>
        Effect.succeed(
          Option.isNone(Context.getOption(fiber.context, client.transactionService))
            ? undefined
            : {
                accept: intake.accept,
                afterCommit: (effect) => client.afterCommit(Effect.andThen(effect, hinting.hint))
              }
        )
      ),
      dispatch: (maxCrashes, onGivenUp) =>
        Effect.gen(function* () {
          const possession = new Possession(dispatch, {
            owner: `${Os.hostname().replaceAll(" ", "-")}/${process.pid}/${randomUUID().slice(0, 8)}`,
            database: { client, name: session.name, ...times },
            maxCrashes,
            onGivenUp
          })
          yield* ownership.hold(possession)
          return possession.lease
        }),
      ledgers: Ledgers.make(session),
      hints: hinting.hints,
      ...reading(browse),
      retry: (filter, terms) => Stream.onEnd(pages(browse, filter, { _tag: "Retry", ...terms }), hinting.hint),
      cancel: (filter, now) => pages(browse, filter, { _tag: "Cancel", now }),
      purge: (filter) => Stream.runCount(pages(browse, filter, { _tag: "Purge" })),
      occupancy: sweep.occupancy,
      vacuum: sweep.vacuum,
      pause: (lane, now) => browse.pause(lane, now),
      resume: (lane) => Effect.tap(browse.resume(lane), () => hinting.hint),
      sweep: (retention, now) => sweep.step(retention, now)
    }
  })

/** The pages of a filter, one after the other. */
const pages = (
  browse: PostgresBrowse,
  filter: Filter,
  action: PageAction
): Stream.Stream<Entry, OutboxError.OutboxError> =>
  Stream.paginate(undefined as PageCursor | undefined, (cursor) =>
    Effect.map(browse.page(filter, cursor, action), ({ next, rows }) => [
      rows.map(EntryRow.toEntry),
      Option.fromUndefinedOr(next)
    ])
  )

type Reading = "get" | "attempts" | "payload" | "list" | "keyed" | "count" | "stats" | "pausedLanes"

const reading = (browse: PostgresBrowse): Pick<OutboxStore, Reading> => {
  const get = (id: string) => Effect.map(browse.get(id), (row) => row && EntryRow.toEntry(row))
  return {
    get,
    attempts: (id) => Effect.zipWith(browse.attempts(id), get(id), EntryRow.toAttempts),
    payload: (id) => browse.payload(id),
    list: (filter) => pages(browse, filter, { _tag: "List" }),
    keyed: (prefix) =>
      Stream.paginate(0, (after) =>
        Effect.map(browse.keyed(prefix, after), ({ mails, next }) => [mails, Option.fromUndefinedOr(next)])
      ),
    count: (filter) => browse.count(filter),
    stats: (now) => Effect.map(browse.stats(now), EntryRow.toStats),
    pausedLanes: Effect.map(browse.paused, (rows) => rows.map(({ lane }) => lane))
  }
}

/**
 * An outbox with a connection pool of its own.
 *
 * @since 0.1.0
 */
export const makeClient = (
  config: PgPoolConfig & Options
): Effect.Effect<OutboxStore, OutboxError.OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* poolScope
    const pool = Effect.mapError(Layer.buildWithScope(layer(config), scope), (error) =>
      toOutboxError(nameOf(config), error)
    )
    return yield* Effect.provide(make(config), yield* pool)
  })

/** A scope for a pool. Its end waits for outstanding answers only up to a bound, because a hung database gives none. */
const poolScope = Effect.acquireRelease(Scope.make(), (scope, exit) =>
  Effect.flatMap(Effect.forkDetach(Scope.close(scope, exit)), (closing) =>
    Effect.timeoutOption(Fiber.await(closing), longestClose)
  )
)

/** The time that the end waits for a pool to close. */
const longestClose = "5 seconds"

/** The heartbeat and the lease in milliseconds. */
const ownershipTimes = ({ heartbeat, lease }: Options) =>
  Effect.suspend(() => {
    const heartbeatMs = Duration.toMillis(heartbeat ?? "500 millis")
    const leaseMs = lease === undefined ? Math.max(15_000, 3 * heartbeatMs) : Duration.toMillis(lease)
    const invalid = (option: string, problem: string) =>
      Effect.fail(OutboxError.make(new OutboxError.InvalidOption({ option, problem })))
    if (!(heartbeatMs > 0)) return invalid("heartbeat", "must be longer than 0")
    if (!(leaseMs >= 3 * heartbeatMs)) {
      return invalid("lease", `must be at least three heartbeats (${3 * heartbeatMs} ms); it is ${leaseMs} ms`)
    }
    return Effect.succeed({ heartbeatMs, leaseMs })
  })

/** Sends hints to other processes and receives theirs. A failed hint is dropped. */
const makeHinting = (session: PostgresSession.PostgresSession) =>
  Effect.gen(function* () {
    const me = randomUUID()
    // Runs outside of the caller's transaction, if there is one.
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    let isWaiting = false
    const send = Effect.andThen(
      Effect.sync(() => {
        isWaiting = false
      }),
      Effect.ignore(session.rows("SELECT pg_notify($1::text, $2::text)", [channel, me]))
    )
    const hint = Effect.sync(() => {
      if (isWaiting) return
      isWaiting = true
      fork(Effect.delay(send, hintEvery))
    })
    const hints: Stream.Stream<void> = Stream.unwrap(Effect.map(session.client.listen(channel), Stream.fromQueue)).pipe(
      Stream.filter(({ payload }) => payload !== me),
      Stream.map(() => undefined),
      Stream.retry(Schedule.spaced("1 second")),
      Stream.orDie
    )
    return { hint, hints }
  })

/** The server's name without its secrets. */
const nameOf = (config: PgClientConfig): string => {
  if (config.url !== undefined) {
    // A malformed URL is not quoted: it may contain a password.
    if (!URL.canParse(Redacted.value(config.url))) return "PostgreSQL"
    const url = new URL(Redacted.value(config.url))
    return `postgres://${url.host}${url.pathname}`
  }
  return `postgres://${config.path ?? config.host ?? "localhost"}:${config.port ?? 5432}/${config.database ?? config.username ?? ""}`
}
