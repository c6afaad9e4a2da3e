/**
 * A table of mails to send, as many apps have one. It is SQLite here; the statements are the same for any database.
 *
 *     state    due_at        what it means
 *     due      a time        to be sent from then on
 *     sent                   a relay has taken it
 *     failed                 refused for good; `reason` says why
 *     unknown                the relay's last word was lost, so a person decides about a second time
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import { DatabaseSync } from "node:sqlite"

/** A row that is due. */
export interface Job {
  readonly id: number
  readonly email: string
  readonly name: string
}

/** The table. */
export class Jobs extends Context.Service<
  Jobs,
  {
    readonly add: (email: string, name: string) => Effect.Effect<void>
    /** The rows that are due now, page by page, each once. */
    readonly due: Stream.Stream<Job>
    /** Writes how the mail of a row ended. */
    readonly record: (delivery: Delivery.Delivery) => Effect.Effect<void>
    /** How many rows are in each state. */
    readonly counts: Effect.Effect<Record<string, number>>
  }
>()("example/Jobs") {
  static readonly layer = (file: string) =>
    Layer.effect(
      Jobs,
      Effect.gen(function* () {
        const db = yield* Effect.acquireRelease(
          Effect.sync(() => new DatabaseSync(file)),
          (open) => Effect.sync(() => open.close())
        )
        db.exec(`CREATE TABLE IF NOT EXISTS jobs (
          id INTEGER PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'due',
          due_at INTEGER DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, reason TEXT)`)
        const page = db.prepare(
          `SELECT id, email, name FROM jobs WHERE state = 'due' AND due_at <= ? AND id > ? ORDER BY id LIMIT 100`
        )
        const settle = db.prepare(
          `UPDATE jobs SET state = ?, due_at = ?, attempts = attempts + ?, reason = ? WHERE id = ?`
        )
        const insert = db.prepare(`INSERT INTO jobs (email, name) VALUES (?, ?)`)

        return Jobs.of({
          add: (email, name) => Effect.sync(() => void insert.run(email, name)),
          due: Stream.paginate(0, (after) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              const rows = page.all(now, after) as unknown as ReadonlyArray<Job>
              const last = rows.at(-1)
              return [rows, last === undefined ? Option.none() : Option.some(last.id)] as const
            })
          ),
          record: (delivery) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              const reason = delivery._tag === "Accepted" ? null : delivery.error.message
              const retryAt = now + (delivery._tag === "Deferred" ? (delivery.error.retryAfter ?? 15 * 60_000) : 0)
              const state = { Accepted: "sent", Rejected: "failed", Deferred: "due", Unknown: "unknown" }[delivery._tag]
              settle.run(state, retryAt, delivery.attempts, reason, Number(delivery.id))
            }),
          counts: Effect.sync(() =>
            Object.fromEntries(
              db
                .prepare(`SELECT state, count(*) AS n FROM jobs GROUP BY state`)
                .all()
                .map(({ n, state }) => [state, n])
            )
          )
        })
      })
    )
}
