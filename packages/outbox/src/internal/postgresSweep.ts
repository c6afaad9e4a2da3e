/**
 * Housekeeping in PostgreSQL, in short transactions; of several dispatchers one at a time does it.
 */
import * as Effect from "effect/Effect"
import type { OutboxError } from "../OutboxError.ts"
import type { Retention, Swept } from "../OutboxStore.ts"
import type { EntryRow } from "./browsing.ts"
import { changing, purging, uncountingUses } from "./postgresBrowse.ts"
import { toExpired } from "./postgresDispatch.ts"
import { integer, number, numbers, type PostgresSession } from "./postgresSession.ts"

const batch = 1000
const examined = 5000

/** A shared body is deleted when nothing refers to it and nobody asked for it for a day. */
const unusedFor = 86_400_000

/** Sweeps. */
export class PostgresSweep {
  private readonly session: PostgresSession
  /** Where the search for overdue mails goes on; it walks the waiting ones round and round. */
  private overdueFrom = lanesBegin

  constructor(session: PostgresSession) {
    this.session = session
  }

  step(retention: Retention, now: number): Effect.Effect<Swept, OutboxError> {
    return this.session.transaction(
      Effect.gen({ self: this }, function* () {
        const [lock] = yield* this.session.rows<{ taken: boolean }>(
          "SELECT pg_try_advisory_xact_lock(hashtext('mailrace sweep ' || current_schema())) AS taken"
        )
        if (!lock!.taken) return { expired: [], bodies: 0, rows: 0, done: true }
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
          done: overdue.done && accepted.done && cancelled.done && rows < batch
        }
      })
    )
  }

  private expireOverdue(now: number) {
    return Effect.gen({ self: this }, function* () {
      const [bucket, lane, priority, dueAt, from] = this.overdueFrom
      const rows = yield* this.session.rows<WaitingRow>(
        `SELECT bucket::int4 AS bucket, lane, priority::int4 AS priority, due_at::float8 AS due_at, seq::float8 AS seq,
           expires_at <= $1::float8::bigint AS over FROM mailrace_outbox o
         WHERE state = 0 AND (bucket, lane, priority, due_at, seq)
           > ($2::int4, $3::text, $4::int4, $5::float8::bigint, $6::float8::bigint)
         ORDER BY o.bucket, o.lane, o.priority, o.due_at, o.seq LIMIT ${examined}`,
        [number(now), integer(bucket), lane, integer(priority), number(dueAt), number(from)]
      )
      const last = rows.at(-1)
      const done = rows.length < examined
      this.overdueFrom =
        done || last === undefined ? lanesBegin : [last.bucket, last.lane, last.priority, last.due_at, last.seq]
      const over = rows.filter((row) => row.over).map(({ seq }) => seq)
      if (over.length === 0) return { expired: [], done }
      const expired = yield* this.session.rows<EntryRow>(expiring, [numbers(over), number(now)])
      return { expired: expired.map(toExpired), done }
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

interface WaitingRow {
  readonly bucket: number
  readonly lane: string
  readonly priority: number
  readonly due_at: number
  readonly seq: number
  readonly over: boolean
}

const lanesBegin: readonly [number, string, number, number, number] = [-1, "", 0, 0, 0]

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
