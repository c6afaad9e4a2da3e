/**
 * Which dispatcher owns which bucket, when several share one database.
 *
 * A bucket is owned by holding its advisory lock on a connection kept for that: PostgreSQL drops the locks with the
 * connection, so a dispatcher that dies leaves no stale ones, and another has its buckets within a second. Each takes an
 * equal share of the buckets and gives up what is beyond it, a bucket at a time, when nothing of it is on its way.
 *
 * Who took a bucket last is written in `mailrace_bucket` with an epoch that counts the owners, and every claim asks for
 * both. So a dispatcher that lost its connection without noticing claims nothing that somebody else owns by now; and one
 * that has it back before anybody else came goes on as if nothing had happened. What it had on its way when another came
 * may be sent twice.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Connection } from "effect/sql/SqlConnection"
import { randomUUID } from "node:crypto"
import * as Os from "node:os"
import * as Lane from "../Lane.ts"
import type { OutboxError } from "../OutboxError.ts"
import type { ExpiredRow, Tenure } from "../OutboxStore.ts"
import type { PostgresDispatch } from "./postgresDispatch.ts"
import { toOutboxError } from "./postgresError.ts"
import { integer, integers, type PostgresSession } from "./postgresSession.ts"

/** The lock that every dispatcher holds, shared, so that they can be counted. */
const presence = 1000

/** After how long a claim of an earlier owner, who may only be slow, is taken for lost. */
const slowOwner = 600_000

/** How ownership is held. */
export interface Terms {
  readonly maxCrashes: number
  readonly onGivenUp: ((row: ExpiredRow, now: number) => void) | undefined
  /** How often to look after it. */
  readonly beat: Duration.Input
}

/** Becomes one of the dispatchers; looks after its locks once a beat. */
export const acquire = (
  session: PostgresSession,
  dispatch: PostgresDispatch,
  terms: Terms
): Effect.Effect<Tenure, OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const ownership = new Ownership(session, dispatch, terms)
    yield* ownership.begin
    return ownership.tenure
  })

class Ownership {
  private readonly session: PostgresSession
  private readonly dispatch: PostgresDispatch
  private readonly terms: Terms
  private readonly me = `${Os.hostname()} ${process.pid} ${randomUUID()}`
  /** Owned buckets and their epochs. */
  private readonly owned = new Map<number, number>()
  /** Owned buckets that are claimed from; not those about to be given up. */
  private claimable: ReadonlySet<number> = new Set()
  /** What is claimed here, and its bucket. */
  private readonly held = new Map<number, number>()
  private recovered = 0

  constructor(session: PostgresSession, dispatch: PostgresDispatch, terms: Terms) {
    this.session = session
    this.dispatch = dispatch
    this.terms = terms
  }

  /** Takes the first share; then looks after it until the scope closes. */
  readonly begin: Effect.Effect<void, OutboxError, Scope.Scope> = Effect.gen({ self: this }, function* () {
    const locks = yield* this.connect
    yield* this.balance(locks)
    yield* Effect.forkScoped(this.keep(locks))
  })

  /** A connection of its own, its locks dropped before it goes back to the pool. */
  private readonly connect = Effect.gen({ self: this }, function* () {
    const connection = yield* Effect.mapError(this.session.client.reserve, (error) =>
      toOutboxError(this.session.name, error)
    )
    const run = <A>(sql: string, values: ReadonlyArray<unknown> = []) => this.run<A>(connection, sql, values)
    yield* Effect.addFinalizer(() => Effect.ignore(run("SELECT pg_advisory_unlock_all()")))
    const [row] = yield* run<{ space: number }>(
      "SELECT (hashtext('mailrace ' || current_schema()) & 2147483647)::int4 AS space"
    )
    const space = row!.space
    yield* run("SELECT pg_advisory_lock_shared($1::int4, $2::int4)", [integer(space), integer(presence)])
    return { run, space }
  })

  private run<A>(connection: Connection, sql: string, values: ReadonlyArray<unknown>) {
    return Effect.mapError(
      connection.execute(sql, values, undefined) as Effect.Effect<
        ReadonlyArray<A>,
        Parameters<typeof toOutboxError>[1]
      >,
      (error) => toOutboxError(this.session.name, error)
    )
  }

  private keep(first: Locks): Effect.Effect<never> {
    const beats = (locks: Locks) =>
      Effect.forever(Effect.andThen(Effect.sleep(this.terms.beat), this.balance(locks)), { disableYield: true })
    const again = Effect.scoped(
      Effect.flatMap(this.connect, (locks) => Effect.andThen(this.balance(locks), beats(locks)))
    )
    return Effect.catch(beats(first), () =>
      again.pipe(
        Effect.tapError((error) => Effect.logWarning(`lost the locks on the outbox's lanes: ${error.message}`)),
        Effect.catch(() => Effect.sleep(this.terms.beat)),
        Effect.forever
      )
    )
  }

  /** Has the locks of what is owned, gives up what is too much, takes what is too little. */
  private balance({ run, space }: Locks): Effect.Effect<void, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const tryLocks = (buckets: ReadonlyArray<number>, limit: number) =>
        Effect.map(
          run<{ bucket: number }>(
            "SELECT b AS bucket FROM unnest($1::int4[]) AS b WHERE pg_try_advisory_lock($2::int4, b) LIMIT $3::int4",
            [integers(buckets), integer(space), integer(limit)]
          ),
          (rows) => rows.map(({ bucket }) => bucket)
        )
      const [locked] = yield* run<{ dispatchers: number; buckets: ReadonlyArray<number> }>(
        `SELECT (count(DISTINCT pid) FILTER (WHERE objid = ${presence}))::int4 AS dispatchers,
           coalesce(array_agg(objid::int4) FILTER (WHERE pid = pg_backend_pid() AND objid < ${presence}), '{}') AS buckets
         FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::int4::oid AND objsubid = 2 AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        [integer(space)]
      )
      const mine = new Set(locked!.buckets)
      const unlocked = [...this.owned.keys()].filter((bucket) => !mine.has(bucket))
      if (unlocked.length > 0) {
        // The connection is a new one. Those that somebody else has locked since are theirs.
        const again = new Set(yield* tryLocks(unlocked, unlocked.length))
        for (const bucket of unlocked) if (!again.has(bucket)) this.owned.delete(bucket)
        yield* this.take([...again])
      }
      const share = Math.ceil(Lane.buckets / Math.max(1, locked!.dispatchers))
      if (this.owned.size > share) yield* this.giveUp(run, space, this.owned.size - share)
      else {
        this.claimable = new Set(this.owned.keys())
        if (this.owned.size < share) {
          const others = shuffled(Array.from({ length: Lane.buckets }, (_, b) => b).filter((b) => !this.owned.has(b)))
          yield* this.take(yield* tryLocks(others, share - this.owned.size))
        }
      }
    })
  }

  private giveUp(run: Locks["run"], space: number, count: number): Effect.Effect<void, OutboxError> {
    const leaving = [...this.owned.keys()].slice(-count)
    this.claimable = new Set([...this.owned.keys()].filter((bucket) => !leaving.includes(bucket)))
    const busy = new Set(this.held.values())
    const free = leaving.filter((bucket) => !busy.has(bucket))
    if (free.length === 0) return Effect.void
    for (const bucket of free) this.owned.delete(bucket)
    return Effect.asVoid(
      run("SELECT pg_advisory_unlock($2::int4, b) FROM unnest($1::int4[]) AS b", [integers(free), integer(space)])
    )
  }

  /** Becomes the owner of buckets that are locked. */
  private take(buckets: ReadonlyArray<number>): Effect.Effect<void, OutboxError> {
    if (buckets.length === 0) return Effect.void
    return Effect.gen({ self: this }, function* () {
      const rows = yield* this.session.rows<{ bucket: number; epoch: number; changed: boolean }>(
        `WITH before AS (SELECT bucket, owner FROM mailrace_bucket WHERE bucket = ANY ($1::int4[]) ORDER BY bucket FOR UPDATE)
         UPDATE mailrace_bucket AS b SET owner = $2::text,
           epoch = b.epoch + CASE WHEN before.owner IS DISTINCT FROM $2::text THEN 1 ELSE 0 END
         FROM before WHERE b.bucket = before.bucket
         RETURNING b.bucket::int4 AS bucket, b.epoch::float8 AS epoch, before.owner IS DISTINCT FROM $2::text AS changed`,
        [integers(buckets), this.me]
      )
      const inherited = rows.filter(({ changed }) => changed).map(({ bucket }) => bucket)
      if (inherited.length > 0) {
        const now = yield* Clock.currentTimeMillis
        const { givenUp, recovered } = yield* this.dispatch.recover(inherited, now, this.terms.maxCrashes)
        this.recovered += recovered
        for (const row of givenUp) this.terms.onGivenUp?.(row, now)
      }
      for (const { bucket, epoch } of rows) this.owned.set(bucket, epoch)
      this.claimable = new Set([...this.claimable, ...buckets])
    })
  }

  private forget(rows: Iterable<{ readonly seq: number }>): void {
    for (const { seq } of rows) this.held.delete(seq)
  }

  /** What this ownership gives to the dispatcher. */
  get tenure(): Tenure {
    return {
      recovered: this.recovered,
      dueLanes: (after, limit, now) => this.dispatch.dueLanes(after, limit, now, this.claimable),
      claim: (quotas, now) => {
        const mine = quotas.filter(({ bucket }) => this.claimable.has(bucket))
        if (mine.length === 0) return Effect.succeed({ rows: [], expired: [] })
        return Effect.map(this.dispatch.claim(mine, now, this.me), (claim) => {
          for (const row of claim.rows) this.held.set(row.seq, Lane.bucket(row.lane))
          return claim
        })
      },
      begin: (rows) => this.dispatch.begin(rows),
      settle: (batch) => Effect.tap(this.dispatch.settle(batch), () => Effect.sync(() => this.forget(batch))),
      release: (rows) => Effect.tap(this.dispatch.release(rows), () => Effect.sync(() => this.forget(rows))),
      reclaim: (isKnown, before) =>
        Effect.flatMap(this.dispatch.claimed(this.claimable), (rows) => {
          const lost = rows.filter(
            ({ bucket, epoch, seq, updated_at }) =>
              !isKnown(seq) && updated_at < (epoch === this.owned.get(bucket) ? before : before - slowOwner)
          )
          return lost.length === 0 ? Effect.succeed(0) : Effect.as(this.dispatch.release(lost), lost.length)
        })
    }
  }
}

interface Locks {
  readonly run: <A>(sql: string, values?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<A>, OutboxError>
  readonly space: number
}

const shuffled = (buckets: Array<number>): Array<number> => {
  for (let i = buckets.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[buckets[i], buckets[j]] = [buckets[j]!, buckets[i]!]
  }
  return buckets
}
