/**
 * Pages of PostgreSQL's tables go by their indexes also right after a bulk load, when nothing is known of them yet.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as PostgresSession from "../src/internal/postgres/session.ts"
import * as Sql from "../src/internal/postgres/sql/dispatch.ts"
import * as Lane from "../src/Lane.ts"
import * as FreshPostgres from "./support/freshPostgres.ts"
import * as SharedPostgres from "./support/sharedPostgres.ts"

const server = SharedPostgres.shared()

/** Half of them wait and are overdue, half are cancelled; each half has one time. */
const loading = `
INSERT INTO mailrace_outbox (id, tenant, lane, bucket, priority, state, attempts, retried_at, epoch, due_at, expires_at,
  recipient, message_id, size, created_at, updated_at, settled_at)
SELECT 'i' || n, '', 'l', 1, 1, CASE WHEN n % 2 = 0 THEN 0 ELSE 6 END, 0, 0, 0, 5, 10, 'r', 'm', 1, 1, 1,
  CASE WHEN n % 2 = 0 THEN NULL ELSE 7 END FROM generate_series(1, 20000) AS n`

const pages = [
  ["overdue", "state = 0 AND expires_at <= 20 ORDER BY expires_at, seq LIMIT 1000"],
  ["settled", "state > 1 AND state = 6 AND (settled_at, seq) > (7, 500) ORDER BY settled_at, seq LIMIT 1000"]
] as const

describe("PostgreSQL's plans", () => {
  it.live("before the first ANALYZE, a page is read along its index instead of collected and sorted", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* FreshPostgres.schema(running)
      const store = yield* FreshPostgres.open(running, name)
      const client = yield* FreshPostgres.connect(running, name)
      yield* client.unsafe("ALTER TABLE mailrace_outbox SET (autovacuum_enabled = false)")
      yield* client.unsafe(loading)
      const session = PostgresSession.make(client, name)
      for (const [index, page] of pages) {
        const explain = Effect.map(
          session.rows<{ "QUERY PLAN": string }>(`EXPLAIN SELECT seq FROM mailrace_outbox WHERE ${page}`),
          (rows) => rows.map((row) => row["QUERY PLAN"]).join("\n")
        )
        assert.match(yield* explain, /Sort Key/)
        const walked = yield* session.transaction(Effect.andThen(PostgresSession.walkIndexes(session), explain))
        assert.match(walked, new RegExp(`Index (Only )?Scan using mailrace_outbox_${index}`))
        assert.notMatch(walked, /Sort Key/)
      }
      // The planner of other transactions is left as it was, on whichever connection.
      const setting = yield* session.rows<{ enable_sort: string }>("SHOW enable_sort")
      assert.deepStrictEqual(setting, [{ enable_sort: "on" }])
      const cancelled = yield* Stream.runCollect(store.list({ states: ["cancelled"] }))
      assert.strictEqual(new Set(cancelled.map(({ id }) => id)).size, 10_000)
      assert.strictEqual((yield* store.sweep({ bodies: 1e12, rows: 1e12 }, 100)).expired.length, 1000)
    })
  )

  it.live(
    "the index of tenants is not made again, for which a claim would wait for writers and keep others waiting",
    () =>
      Effect.gen(function* () {
        const running = yield* server
        const name = yield* FreshPostgres.schema(running)
        const store = yield* FreshPostgres.open(running, name)
        const client = yield* FreshPostgres.connect(running, name)
        yield* client.unsafe(loading)
        yield* client.unsafe(Sql.tenantIndex)
        const lane = { bucket: Lane.bucket("l"), lane: "l", limit: 5 }
        yield* client.unsafe("UPDATE mailrace_outbox SET bucket = " + lane.bucket)
        const lease = yield* store.dispatch(1)
        const claim = lease.claim([lane], 6, [{ tenant: "t", limit: 1, weight: 1 }])
        const beside = Effect.andThen(client.unsafe("LOCK TABLE mailrace_outbox IN ROW EXCLUSIVE MODE"), claim)
        const { rows } = yield* Effect.timeout(client.withTransaction(beside), "5 seconds")
        assert.strictEqual(rows.length, 5)
      }).pipe(Effect.scoped)
  )
})
