/**
 * Runs the statements of ownership on a dedicated connection, whose session holds the locks.
 *
 * Each dispatcher holds one advisory lock shared, its *presence*, by which dispatchers count each other, and one for each
 * bucket that it owns. PostgreSQL drops them with the session, whatever ended it. Every statement that depends on a lock
 * runs on the session that holds it. If the connection breaks during such a statement, the server finishes the statement
 * before it drops the lock.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Lane from "../../Lane.ts"
import * as OutboxError from "../../OutboxError.ts"
import type { Statements } from "./dispatch.ts"
import * as OwnershipRows from "./ownershipRows.ts"
import { renewing } from "./ownershipRows.ts"
import { toOutboxError } from "./error.ts"
import { integer, integers, number } from "./session.ts"

/** The result of a heartbeat. */
export interface Census {
  /** The number of dispatchers, and how many of them come before this one in an order that all of them see. */
  readonly dispatchers: number
  readonly rank: number
  /** The locked buckets of this session. */
  readonly locked: ReadonlySet<number>
  /** The number of buckets that `mailrace_bucket` gives to this dispatcher, and the sum of their epochs. */
  readonly owned: number
  readonly epochs: number
}

/** A bucket that no session has locked. */
export interface Unlocked {
  readonly bucket: number
  /** The last owner; `undefined` if it left the bucket in good order. */
  readonly owner: string | undefined
  /** The last heartbeat of the last owner, if its row is still there. */
  readonly beatAt: number | undefined
  /** True if the lease of the last owner is over, by the server's clock. */
  readonly isOver: boolean
}

/** A session that holds locks. */
export interface LockSession extends Statements {
  /** Renews this dispatcher's row, and reads the census. */
  readonly heartbeat: (inFlight: number) => Effect.Effect<Census, OutboxError.OutboxError>
  /** Checks that the session still exists and holds its locks. */
  readonly check: Effect.Effect<void, OutboxError.OutboxError>
  readonly unlocked: Effect.Effect<ReadonlyArray<Unlocked>, OutboxError.OutboxError>
  /** Locks at most `limit` buckets that no other session has locked. */
  readonly lock: (
    buckets: ReadonlyArray<number>,
    limit: number
  ) => Effect.Effect<ReadonlyArray<number>, OutboxError.OutboxError>
  /** Those of the given buckets that `mailrace_bucket` assigns to this dispatcher, with their epochs. */
  readonly mine: (buckets: ReadonlyArray<number>) => Effect.Effect<ReadonlyMap<number, number>, OutboxError.OutboxError>
  readonly unlock: (buckets: ReadonlyArray<number>) => Effect.Effect<void, OutboxError.OutboxError>
  /** Records that buckets have no owner, and unlocks them. */
  readonly yieldUp: (buckets: ReadonlyArray<number>) => Effect.Effect<void, OutboxError.OutboxError>
  /** Deletes rows of dead dispatchers that own nothing. */
  readonly tidy: Effect.Effect<void, OutboxError.OutboxError>
  /** Drops the presence lock, so that the other dispatchers share the buckets, and deletes this dispatcher's row. */
  readonly leave: Effect.Effect<void, OutboxError.OutboxError>
  /** Notifies the other dispatchers that they should check their shares; the hint may be lost. */
  readonly tellOthers: Effect.Effect<void, OutboxError.OutboxError>
  /** Resumes when another dispatcher has notified this one; fails when the connection is gone. */
  readonly notified: Effect.Effect<void, OutboxError.OutboxError>
}

/** The owner of the session, and the longest silence it may keep. */
export interface Settings {
  readonly name: string
  readonly owner: string
  readonly leaseMs: number
}

/** The number of the presence lock; buckets have those from 0. */
const presence = 32_767

/** The longest timeout that PostgreSQL's settings accept, in milliseconds. */
const longestTimeout = 2_147_483_647

/**
 * Connects beside the client's pool and takes the presence lock. The server (PostgreSQL 14 and later) ends a session
 * that stays silent for a lease, which frees the locks of a frozen process.
 */
export const open = (
  client: PgClient,
  { leaseMs, name, owner }: Settings
): Effect.Effect<LockSession, OutboxError.OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const { channel, notes, pid, rows, space } = yield* connect(client, name, leaseMs)
    const same = sameSession(name, pid)
    const own = OwnershipRows.make({ rows }, owner, leaseMs)
    const unlock = (buckets: ReadonlyArray<number>) =>
      Effect.asVoid(
        rows("SELECT pg_advisory_unlock($2::int4, b) FROM unnest($1::int4[]) AS b", [integers(buckets), integer(space)])
      )
    return {
      rows,
      heartbeat: (inFlight) =>
        Effect.gen(function* () {
          const [row] = yield* rows<CensusRow>(beating, [integer(space), owner, number(leaseMs), integer(inFlight)])
          yield* same(row!.pid)
          return { ...row!, locked: new Set(row!.locked) }
        }),
      check: Effect.flatMap(rows<{ pid: number }>("SELECT pg_backend_pid() AS pid"), ([row]) => same(row!.pid)),
      unlocked: Effect.map(rows<UnlockedRow>(finding, [integer(space)]), (found) => found.map(toUnlocked)),
      lock: (buckets, limit) =>
        Effect.map(rows<{ bucket: number }>(locking, [integers(buckets), integer(space), integer(limit)]), (locked) =>
          locked.map(({ bucket }) => bucket)
        ),
      mine: own.mine,
      unlock,
      yieldUp: (buckets) => Effect.andThen(own.yieldUp(buckets), unlock(buckets)),
      tidy: Effect.asVoid(rows(tidying)),
      leave: Effect.asVoid(
        Effect.andThen(
          rows("SELECT pg_advisory_unlock_shared($1::int4, $2::int4)", [integer(space), integer(presence)]),
          own.leave
        )
      ),
      tellOthers: Effect.asVoid(rows("SELECT pg_notify($1::text, $2::text)", [channel, owner])),
      notified: Effect.mapError(
        Effect.repeat(Queue.take(notes), { until: ({ payload }) => payload !== owner }),
        (error) => toOutboxError(name, error)
      )
    }
  })

/** A pinned connection that has the presence lock; `space` is the first number of its advisory locks. */
const connect = Effect.fnUntraced(function* (client: PgClient, name: string, leaseMs: number) {
  const toError = (error: Parameters<typeof toOutboxError>[1]) => toOutboxError(name, error)
  const connection = yield* Effect.flatMap(
    Effect.mapError(PgConnection.make({ ...client.config, multiplex: false }), toError),
    (connection) => connection.pin
  )
  const turn = Semaphore.makeUnsafe(1)
  const rows = <A>(sql: string, values: ReadonlyArray<unknown> = []) =>
    turn.withPermits(1)(
      Effect.map(
        Effect.mapError(connection.query(sql, values), toError),
        (result) => result.rows as unknown as ReadonlyArray<A>
      )
    )
  const [self] = yield* rows<{ space: number; pid: number }>(
    `SELECT (hashtext('mailrace buckets ' || current_schema()) & 2147483647)::int4 AS space, pg_backend_pid() AS pid,
       (SELECT set_config(name, $1::text, false) FROM pg_settings WHERE name = 'idle_session_timeout')`,
    [String(Math.min(Math.ceil(leaseMs), longestTimeout))]
  )
  const { pid, space } = self!
  const channel = `mailrace_dispatchers_${space}`
  const notes = yield* Effect.mapError(connection.listen(channel), toError)
  yield* rows("SELECT pg_advisory_lock_shared($1::int4, $2::int4)", [integer(space), integer(presence)])
  return { channel, notes, pid, rows, space }
})

/** Fails behind a pooler that gives each transaction another session: locks do not survive there. */
const sameSession =
  (name: string, pid: number) =>
  (found: number): Effect.Effect<void, OutboxError.OutboxError> =>
    found === pid
      ? Effect.void
      : Effect.fail(
          OutboxError.make(
            new OutboxError.Unavailable({
              store: name,
              problem:
                "its statements reach another session of PostgreSQL each time, as through PgBouncer in transaction mode; " +
                "a dispatcher must connect to PostgreSQL itself, or through a pooler in session mode",
              isRetryable: false
            })
          )
        )

interface CensusRow extends Omit<Census, "locked"> {
  readonly pid: number
  readonly locked: ReadonlyArray<number>
}

interface UnlockedRow {
  readonly bucket: number
  readonly owner: string | null
  readonly beat_at: number | null
  readonly over: boolean
}

const toUnlocked = ({ beat_at, bucket, over, owner }: UnlockedRow): Unlocked => ({
  bucket,
  owner: owner ?? undefined,
  beatAt: beat_at ?? undefined,
  isOver: over
})

const locking = "SELECT b AS bucket FROM unnest($1::int4[]) AS b WHERE pg_try_advisory_lock($2::int4, b) LIMIT $3::int4"

const tidying = `DELETE FROM mailrace_dispatcher AS d WHERE d.beat_at + d.lease < extract(epoch FROM clock_timestamp()) * 1000
  AND NOT EXISTS (SELECT 1 FROM mailrace_bucket AS b WHERE b.owner = d.id)`

/** Renews the row of this dispatcher, and counts locks, dispatchers and owned buckets in the same statement. */
const beating = `
WITH renewed AS (${renewing(2)}
), locks AS (
  SELECT pid, objid::int8 AS place FROM pg_locks
  WHERE locktype = 'advisory' AND classid = $1::int4::oid AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), mine AS (
  SELECT count(*)::int4 AS owned, coalesce(sum(epoch), 0)::float8 AS epochs FROM mailrace_bucket WHERE owner = $2::text
)
SELECT pg_backend_pid() AS pid,
  (SELECT count(DISTINCT pid) FROM locks WHERE place = ${presence})::int4 AS dispatchers,
  (SELECT count(DISTINCT pid) FROM locks WHERE place = ${presence} AND pid < pg_backend_pid())::int4 AS rank,
  (SELECT coalesce(array_agg(place::int4), '{}') FROM locks WHERE pid = pg_backend_pid() AND place < ${Lane.buckets})
    AS locked,
  mine.owned, mine.epochs
FROM mine`

const finding = `
SELECT b.bucket::int4 AS bucket, b.owner, d.beat_at::float8 AS beat_at,
  coalesce(d.beat_at + d.lease < extract(epoch FROM clock_timestamp()) * 1000, true) AS over
FROM mailrace_bucket AS b LEFT JOIN mailrace_dispatcher AS d ON d.id = b.owner
WHERE b.bucket::int8 NOT IN (
  SELECT objid::int8 FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::int4::oid AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`
