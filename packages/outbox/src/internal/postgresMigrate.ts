/**
 * Brings the outbox's tables in PostgreSQL up to date.
 */
import * as Effect from "effect/Effect"
import * as Migrations from "../Migrations.ts"
import * as OutboxError from "../OutboxError.ts"
import type { PostgresSession } from "./postgresSession.ts"

/**
 * Applies what is missing; several processes may start at once. Fails with `NewerSchema` and changes nothing then. Where
 * nothing is missing it only reads, so a user without CREATE can enqueue and a standby can be looked at.
 */
export const migrate = (session: PostgresSession): Effect.Effect<void, OutboxError.OutboxError> =>
  Effect.flatMap(isUpToDate(session), (isUpToDate) => (isUpToDate ? Effect.void : apply(session)))

/** Whether the tables are in the first schema of the `search_path`, where they are made, in the latest version. */
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
