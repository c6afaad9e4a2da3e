/**
 * Brings the outbox's tables in PostgreSQL up to date.
 */
import * as Effect from "effect/Effect"
import * as Migrations from "../../Migrations.ts"
import * as OutboxError from "../../OutboxError.ts"
import type { PostgresSession } from "./session.ts"

/** The first version with 1,024 buckets. */
const manyBuckets = 4

/**
 * Applies missing migrations; several processes may start at once. Fails with `NewerSchema`, and changes nothing, if
 * the tables are newer. If nothing is missing it only reads, so a user without CREATE can enqueue, and a standby can
 * be inspected.
 */
export const migrate = (session: PostgresSession): Effect.Effect<void, OutboxError.OutboxError> =>
  Effect.flatMap(isUpToDate(session), (isUpToDate) => (isUpToDate ? Effect.void : apply(session)))

/** True if the tables are in the first schema of the `search_path`, where they are created, in the latest version. */
const isUpToDate = (session: PostgresSession): Effect.Effect<boolean, OutboxError.OutboxError> =>
  Effect.gen(function* () {
    const [meta] = yield* session.rows<{ made: boolean }>(
      "SELECT to_regclass(quote_ident(current_schema()) || '.mailrace_meta') IS NOT NULL AS made"
    )
    if (!meta!.made) return false
    const [row] = yield* session.rows<{ value: string }>("SELECT value FROM mailrace_meta WHERE name = 'version'")
    return Number(row?.value) === Migrations.latest(Migrations.postgres)
  })

const apply = (session: PostgresSession): Effect.Effect<void, OutboxError.OutboxError> =>
  session.transaction(
    Effect.gen(function* () {
      yield* session.rows("SELECT pg_advisory_xact_lock(hashtext('mailrace migrate ' || current_schema()))")
      yield* session.rows("CREATE TABLE IF NOT EXISTS mailrace_meta (name text PRIMARY KEY, value text NOT NULL)")
      const [row] = yield* session.rows<{ value: string }>("SELECT value FROM mailrace_meta WHERE name = 'version'")
      const found = Number(row?.value ?? 0)
      const known = Migrations.latest(Migrations.postgres)
      if (found > known) {
        return yield* Effect.fail(OutboxError.make(new OutboxError.NewerSchema({ store: session.name, found, known })))
      }
      if (found === known) return
      if (found > 0 && found < manyBuckets) yield* withoutEarlierDispatchers(session)
      for (const { sql, version } of Migrations.postgres) {
        if (version <= found) continue
        // The extended protocol takes one statement at a time.
        for (const statement of sql.split(/;\s*\n/)) {
          if (statement.trim() !== "") yield* session.rows(statement)
        }
      }
      yield* session.rows(
        `INSERT INTO mailrace_meta (name, value) VALUES ('version', $1::text)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
        [String(known)]
      )
    })
  )

/**
 * Fails if a dispatcher of an earlier version is at work. Each holds a shared lock on the key 1000 in a space of its
 * schema, so holding that lock exclusively until the transaction ends also keeps one from starting.
 */
const withoutEarlierDispatchers = (session: PostgresSession): Effect.Effect<void, OutboxError.OutboxError> =>
  Effect.gen(function* () {
    const [lock] = yield* session.rows<{ taken: boolean }>(
      `SELECT pg_try_advisory_xact_lock(${earlierSpace}, 1000) AS taken`
    )
    if (lock!.taken) return
    // The buckets that a session has locked identify it; a session without buckets has only its address.
    const found = yield* session.rows<{ owner: string | null; pid: number; address: string | null }>(
      `SELECT DISTINCT ON (present.pid) b.owner, present.pid, host(a.client_addr) AS address
       FROM pg_locks AS present
       LEFT JOIN pg_locks AS held ON held.pid = present.pid AND held.locktype = 'advisory' AND held.granted
         AND held.classid = present.classid AND held.objsubid = 2 AND held.objid < 64
       LEFT JOIN mailrace_bucket AS b ON b.bucket = held.objid::int8
       LEFT JOIN pg_stat_activity AS a ON a.pid = present.pid
       WHERE present.locktype = 'advisory' AND present.granted AND present.objsubid = 2 AND present.objid = 1000
         AND present.classid = ${earlierSpace}::oid
         AND present.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       ORDER BY present.pid, b.owner`
    )
    const dispatchers = found.map(({ address, owner, pid }) => {
      const [host, process] = owner?.split(" ") ?? []
      return process === undefined
        ? `the session ${pid} of PostgreSQL${address === null ? "" : `, from ${address}`}`
        : `process ${process} on ${host}`
    })
    return yield* Effect.fail(
      OutboxError.make(new OutboxError.EarlierDispatchers({ store: session.name, dispatchers }))
    )
  })

const earlierSpace = "(hashtext('mailrace ' || current_schema()) & 2147483647)::int4"
