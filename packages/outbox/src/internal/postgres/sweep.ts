/**
 * Does the housekeeping in PostgreSQL, in short transactions; one dispatcher at a time does it.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { OutboxError } from "../../OutboxError.ts"
import type { Occupancy, Retention, Swept } from "../../OutboxStore.ts"
import type { EntryRow } from "../store/queries.ts"
import { purging } from "./sql/browse.ts"
import { toExpired } from "./dispatch.ts"
import { number, numbers, texts, walkIndexes, type PostgresSession } from "./session.ts"
import * as Sql from "./sql/sweep.ts"

/** The tables whose rows come and go with messages. */
const tables = ["mailrace_outbox", "mailrace_body", "mailrace_shared", "mailrace_attempt", "mailrace_tally"]

/** The time after which an unused shared body is deleted, in milliseconds. */
const unusedFor = 86_400_000

export class PostgresSweep {
  private readonly session: PostgresSession

  constructor(session: PostgresSession) {
    this.session = session
  }

  step(retention: Retention, now: number): Effect.Effect<Swept, OutboxError> {
    return this.session.transaction(
      Effect.gen({ self: this }, function* () {
        const [lock] = yield* this.session.rows<{ taken: boolean }>(Sql.tryLock)
        if (!lock!.taken) return { expired: [], bodies: 0, rows: 0, done: true, isShrinking: false }
        yield* walkIndexes(this.session)
        const overdue = yield* this.expireOverdue(now)
        const accepted = yield* this.dropBodies(2, now - retention.bodies)
        const cancelled = yield* this.dropBodies(6, now - retention.bodies)
        const rows = yield* this.dropRows(now - retention.rows)
        yield* this.session.rows(Sql.addingUp)
        yield* this.session.rows(Sql.addingUpUses)
        yield* this.session.rows(Sql.deleteUnused, [number(now - unusedFor)])
        return {
          expired: overdue.expired,
          bodies: accepted.dropped + cancelled.dropped,
          rows,
          done: overdue.done && accepted.done && cancelled.done && rows < Sql.batch,
          isShrinking: false
        }
      })
    )
  }

  /** Makes the space of deleted messages available to new ones; the tables do not shrink. */
  readonly vacuum: Stream.Stream<Occupancy, OutboxError> = Stream.fromIterable(tables).pipe(
    Stream.mapEffect((table) => this.session.rows(`VACUUM (ANALYZE) ${table}`)),
    Stream.mapEffect(() => this.occupancy)
  )

  readonly occupancy: Effect.Effect<Occupancy, OutboxError> = Effect.suspend(() =>
    Effect.map(this.session.rows<{ total: number }>(Sql.occupancy, [texts(tables)]), ([row]) => ({
      total: row!.total,
      free: undefined
    }))
  )

  private expireOverdue(now: number) {
    return Effect.gen({ self: this }, function* () {
      const rows = yield* this.session.rows<{ seq: number }>(Sql.overdue, [number(now)])
      if (rows.length === 0) return { expired: [], done: true }
      const expired = yield* this.session.rows<EntryRow>(Sql.expiring, [
        numbers(rows.map(({ seq }) => seq)),
        number(now)
      ])
      // Messages that were claimed in the meantime no longer match.
      return { expired: expired.map(toExpired), done: rows.length < Sql.batch }
    })
  }

  /** Drops the bodies that are no longer needed. As in SQLite, the progress is stored. */
  private dropBodies(state: number, before: number) {
    return Effect.gen({ self: this }, function* () {
      const name = `bodies ${state}`
      const [stored] = yield* this.session.rows<{ value: string }>(Sql.progress, [name])
      const [settledAt, seq] = stored === undefined ? [0, 0] : (JSON.parse(stored.value) as [number, number])
      const rows = yield* this.session.rows<{ seq: number; settled_at: number }>(Sql.settledBetween(state), [
        number(settledAt),
        number(seq),
        number(before)
      ])
      const last = rows.at(-1)
      if (last === undefined) return { dropped: 0, done: true }
      yield* this.session.rows(Sql.setProgress, [name, JSON.stringify([last.settled_at, last.seq])])
      yield* this.session.rows(Sql.droppingBodies, [numbers(rows.map(({ seq }) => seq))])
      return { dropped: rows.length, done: rows.length < Sql.batch }
    })
  }

  private dropRows(before: number) {
    return Effect.gen({ self: this }, function* () {
      const rows = yield* this.session.rows<{ seq: number }>(Sql.settledUntil, [number(before)])
      if (rows.length > 0) yield* this.session.rows(purging, [numbers(rows.map(({ seq }) => seq))])
      return rows.length
    })
  }
}
