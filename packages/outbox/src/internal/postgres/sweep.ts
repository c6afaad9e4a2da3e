/**
 * Housekeeping in PostgreSQL, in short transactions; of several dispatchers one at a time does it.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { OutboxError } from "../../OutboxError.ts"
import type { Occupancy, Retention, Swept } from "../../OutboxStore.ts"
import type { EntryRow } from "../store/queries.ts"
import { changing, purging, uncountingUses } from "./browse.ts"
import { toExpired } from "./dispatch.ts"
import { number, numbers, texts, walkIndexes, type PostgresSession } from "./session.ts"

const batch = 1000

/** The tables that mails come into and go out of. */
const tables = ["mailrace_outbox", "mailrace_body", "mailrace_shared", "mailrace_attempt", "mailrace_tally"]

/** A shared body is deleted when nothing refers to it and nobody asked for it for a day. */
const unusedFor = 86_400_000

/** Sweeps. */
export class PostgresSweep {
  private readonly session: PostgresSession

  constructor(session: PostgresSession) {
    this.session = session
  }

  step(retention: Retention, now: number): Effect.Effect<Swept, OutboxError> {
    return this.session.transaction(
      Effect.gen({ self: this }, function* () {
        const [lock] = yield* this.session.rows<{ taken: boolean }>(
          "SELECT pg_try_advisory_xact_lock(hashtext('mailrace sweep ' || current_schema())) AS taken"
        )
        if (!lock!.taken) return { expired: [], bodies: 0, rows: 0, done: true, isShrinking: false }
        yield* walkIndexes(this.session)
        const overdue = yield* this.expireOverdue(now)
        const accepted = yield* this.dropBodies(2, now - retention.bodies)
        const cancelled = yield* this.dropBodies(6, now - retention.bodies)
        const rows = yield* this.dropRows(now - retention.rows)
        yield* this.session.rows(addingUp)
        yield* this.session.rows(addingUpUses)
        yield* this.session.rows("DELETE FROM mailrace_shared WHERE refs <= 0 AND used_at < $1::float8::bigint", [
          number(now - unusedFor)
        ])
        return {
          expired: overdue.expired,
          bodies: accepted.dropped + cancelled.dropped,
          rows,
          done: overdue.done && accepted.done && cancelled.done && rows < batch,
          isShrinking: false
        }
      })
    )
  }

  /** The space of deleted mails becomes that of new ones; the tables do not get smaller. */
  readonly vacuum: Stream.Stream<Occupancy, OutboxError> = Stream.fromIterable(tables).pipe(
    Stream.mapEffect((table) => this.session.rows(`VACUUM (ANALYZE) ${table}`)),
    Stream.mapEffect(() => this.occupancy)
  )

  readonly occupancy: Effect.Effect<Occupancy, OutboxError> = Effect.suspend(() =>
    Effect.map(
      this.session.rows<{ total: number }>(
        "SELECT sum(pg_total_relation_size(name::regclass))::float8 AS total FROM unnest($1::text[]) AS name",
        [texts(tables)]
      ),
      ([row]) => ({ total: row!.total, free: undefined })
    )
  )

  private expireOverdue(now: number) {
    return Effect.gen({ self: this }, function* () {
      const rows = yield* this.session.rows<{ seq: number }>(
        `SELECT seq::float8 AS seq FROM mailrace_outbox o WHERE state = 0 AND expires_at <= $1::float8::bigint
         ORDER BY o.expires_at, o.seq LIMIT ${batch}`,
        [number(now)]
      )
      if (rows.length === 0) return { expired: [], done: true }
      const expired = yield* this.session.rows<EntryRow>(expiring, [numbers(rows.map(({ seq }) => seq)), number(now)])
      // Those that somebody claimed meanwhile are found no more.
      return { expired: expired.map(toExpired), done: rows.length < batch }
    })
  }

  /** As in SQLite: of mails that need no body any more, and how far this came is stored. */
  private dropBodies(state: number, before: number) {
    return Effect.gen({ self: this }, function* () {
      const name = `bodies ${state}`
      const [stored] = yield* this.session.rows<{ value: string }>(
        "SELECT value FROM mailrace_meta WHERE name = $1::text",
        [name]
      )
      const [settledAt, seq] = stored === undefined ? [0, 0] : (JSON.parse(stored.value) as [number, number])
      const rows = yield* this.session.rows<{ seq: number; settled_at: number }>(
        `SELECT seq::float8 AS seq, settled_at::float8 AS settled_at FROM mailrace_outbox o
         WHERE state > 1 AND state = ${state} AND (settled_at, seq) > ($1::float8::bigint, $2::float8::bigint)
           AND settled_at <= $3::float8::bigint ORDER BY o.settled_at, o.seq LIMIT ${batch}`,
        [number(settledAt), number(seq), number(before)]
      )
      const last = rows.at(-1)
      if (last === undefined) return { dropped: 0, done: true }
      yield* this.session.rows(
        `INSERT INTO mailrace_meta (name, value) VALUES ($1::text, $2::text)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
        [name, JSON.stringify([last.settled_at, last.seq])]
      )
      yield* this.session.rows(droppingBodies, [numbers(rows.map(({ seq }) => seq))])
      return { dropped: rows.length, done: rows.length < batch }
    })
  }

  private dropRows(before: number) {
    return Effect.gen({ self: this }, function* () {
      const rows = yield* this.session.rows<{ seq: number }>(
        `SELECT seq::float8 AS seq FROM mailrace_outbox WHERE state > 1 AND state IN (2, 3, 4, 5, 6)
           AND settled_at <= $1::float8::bigint LIMIT ${batch}`,
        [number(before)]
      )
      if (rows.length > 0) yield* this.session.rows(purging, [numbers(rows.map(({ seq }) => seq))])
      return rows.length
    })
  }
}

const expiring = changing(
  "state = 0 AND expires_at <= $2::float8::bigint",
  "state = 4, settled_at = $2::float8::bigint, updated_at = $2::float8::bigint"
)

const droppingBodies = `
WITH bodies AS (
  DELETE FROM mailrace_body WHERE seq = ANY ($1::float8[]::bigint[]) RETURNING shared
)
${uncountingUses("bodies")}`

const addingUp = `
WITH taken AS (DELETE FROM mailrace_tally RETURNING tenant, state, mails, bytes)
INSERT INTO mailrace_tally (tenant, state, mails, bytes)
SELECT tenant, state, sum(mails), sum(bytes) FROM taken GROUP BY tenant, state
HAVING sum(mails) <> 0 OR sum(bytes) <> 0`

const addingUpUses = `
WITH taken AS (DELETE FROM mailrace_shared_use RETURNING ref, uses),
  sums AS (SELECT ref, sum(uses) AS uses FROM taken GROUP BY ref)
UPDATE mailrace_shared AS s SET refs = s.refs + sums.uses FROM sums WHERE s.ref = sums.ref`
