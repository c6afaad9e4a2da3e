/**
 * Buckets, their number and their owners: shared evenly by any number of dispatchers, brought from 64 to 1,024 without a
 * mail left behind, and never worked on by the earlier rule and by this one at once.
 */
import { assert, describe, it } from "@effect/vitest"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { MailTransport } from "mailrace/MailTransport"
import { DatabaseSync } from "node:sqlite"
import * as Lane from "../src/Lane.ts"
import * as Outbox from "../src/Outbox.ts"
import * as PostgresStore from "../src/PostgresStore.ts"
import { mail } from "./support/fixtures.ts"
import { connect, place, schema } from "./support/freshPostgres.ts"
import * as OlderVersion from "./support/olderVersion.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { shared } from "./support/sharedPostgres.ts"
import { tempFolder } from "./support/tempFolder.ts"

const outboxOf = (layer: Layer.Layer<Outbox.Outbox, unknown>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, Outbox.Outbox))

/** The lock that every dispatcher of 8094cdc holds, and those of its buckets. */
const earlierSpace = "(hashtext('mailrace ' || current_schema()) & 2147483647)::int4"

/** How 8094cdc became the owner of buckets. */
const earlierTake = `
WITH before AS (SELECT bucket, owner FROM mailrace_bucket WHERE bucket = ANY ($1::int4[]) ORDER BY bucket FOR UPDATE)
UPDATE mailrace_bucket AS b SET owner = $2::text,
  epoch = b.epoch + CASE WHEN before.owner IS DISTINCT FROM $2::text THEN 1 ELSE 0 END
FROM before WHERE b.bucket = before.bucket RETURNING b.bucket`

/** The bucket that 8094cdc gave a lane. */
const earlierBucket = (lane: string): number => Lane.bucket(lane) % 64

describe("buckets", () => {
  const server = shared()

  for (const count of [2, 9, 50]) {
    it.live(
      `are shared by ${count} dispatchers, one more or less`,
      () =>
        Effect.gen(function* () {
          const running = yield* server
          const client = yield* connect(running, yield* schema(running))
          const store = yield* Effect.provideService(
            PostgresStore.make({ heartbeat: "200 millis", lease: "30 seconds" }),
            PgClient.PgClient,
            client
          )
          const scopes = yield* Effect.forEach(
            Array.from({ length: count }, () => Scope.makeUnsafe()),
            (scope) => Effect.as(Scope.provide(store.dispatch(5), scope), scope),
            { concurrency: 5 }
          )
          const shares = (dispatchers: number) =>
            client
              .unsafe<{ buckets: number }>(
                "SELECT count(*)::int4 AS buckets FROM mailrace_bucket WHERE owner IS NOT NULL GROUP BY owner"
              )
              .pipe(
                Effect.map((rows) => rows.map(({ buckets }) => buckets)),
                Effect.filterOrFail(
                  (found) =>
                    found.length === dispatchers &&
                    found.reduce((sum, buckets) => sum + buckets, 0) === Lane.buckets &&
                    Math.max(...found) - Math.min(...found) <= 1,
                  () => "not yet"
                ),
                Effect.retry(Schedule.spaced("100 millis"))
              )
          yield* shares(count)
          yield* Scope.close(scopes.pop()!, Exit.void)
          const left = yield* shares(count - 1)
          assert.isAtMost(Math.abs(Math.max(...left) - Lane.buckets / (count - 1)), 1)
          yield* Effect.forEach(scopes, (scope) => Scope.close(scope, Exit.void), { concurrency: "unbounded" })
        }),
      60_000
    )
  }

  it.live("are 64 while a dispatcher of 8094cdc is at work, and its process is named", () =>
    Effect.gen(function* () {
      const at = yield* OlderVersion.postgresPlace(yield* server, "8094cdc")
      const client = Context.get(yield* Layer.build(PgClient.layer(at)), PgClient.PgClient)
      const earlier = Scope.makeUnsafe()
      const session = yield* Scope.provide(client.reserve, earlier)
      const run = (sql: string, values: ReadonlyArray<unknown> = []) => session.execute(sql, values, undefined)
      yield* run(`SELECT pg_advisory_lock_shared(${earlierSpace}, 1000), pg_advisory_lock(${earlierSpace}, 7)`)
      yield* client.unsafe("UPDATE mailrace_bucket SET owner = 'mail-1 4711 0af3c2d1' WHERE bucket = 7")

      const refused = yield* Effect.flip(Effect.scoped(outboxOf(Outbox.layerPostgres(at))))
      assert.deepInclude((refused as { reason: object }).reason, {
        _tag: "EarlierDispatchers",
        dispatchers: ["process 4711 on mail-1"]
      })
      assert.include((refused as Error).message, "an earlier version of Mailrace still sends from")
      assert.include(
        (refused as unknown as { remedy: string }).remedy,
        "stop these processes, then start this one again"
      )
      const version = "SELECT value FROM mailrace_meta WHERE name = 'version'"
      assert.deepStrictEqual(yield* client.unsafe(version), [{ value: "2" }])

      // Its locks are dropped, and it is not told that anything happened.
      yield* run("SELECT pg_advisory_unlock_all()")
      yield* Effect.scoped(outboxOf(Outbox.layerPostgres(at)))
      assert.notDeepEqual(yield* client.unsafe(version), [{ value: "2" }])
      const kept = yield* Effect.flip(client.unsafe(earlierTake, [[1, 2, 3], "mail-1 4711 0af3c2d1"]))
      assert.include(
        JSON.stringify(kept.reason.cause, Object.getOwnPropertyNames(kept.reason.cause)),
        "mailrace_upgrade_this_dispatcher"
      )
      yield* Scope.close(earlier, Exit.void)
    })
  )

  const drains = (outbox: Outbox.Outbox["Service"], misplace: Effect.Effect<unknown, unknown>) =>
    Effect.gen(function* () {
      const relay = ScriptedTransport.make()
      const lanes = Array.from({ length: 30 }, (_, i) => `lane${i}.test`)
      yield* Stream.runDrain(
        outbox.enqueueAll(Stream.fromArray(lanes.flatMap((lane) => [mail(`a@${lane}`), mail(`b@${lane}`)])))
      )
      // More of one lane than is moved at once.
      yield* Stream.runDrain(outbox.enqueueAll(Stream.map(Stream.range(1, 6000), (i) => mail(`c${i}@${lanes[0]}`))))
      yield* misplace
      const { lanes: shown } = yield* outbox.stats
      assert.strictEqual(shown.length, lanes.length)
      assert.deepInclude(shown[0], { lane: lanes[0]!, waiting: 6002 })
      yield* Effect.provideService(outbox.run({ until: "idle", concurrency: 100 }), MailTransport, relay.transport)
      assert.strictEqual(relay.sent.length, 6060)
      assert.strictEqual(new Set(relay.sent.map(({ messageId }) => messageId)).size, 6060)
      assert.deepInclude((yield* outbox.stats).states, { due: 0, claimed: 0, accepted: 6060 })
    })

  it.live(
    "of earlier processes that only enqueue are found in PostgreSQL",
    () =>
      Effect.gen(function* () {
        const running = yield* server
        const name = yield* schema(running)
        const outbox = yield* outboxOf(Outbox.layerPostgres(place(running, name)))
        const client = yield* connect(running, name)
        yield* drains(outbox, client.unsafe("UPDATE mailrace_outbox SET bucket = bucket % 64"))
        assert.deepStrictEqual(
          (yield* client.unsafe<{ lane: string; bucket: number }>(
            "SELECT DISTINCT lane, bucket::int4 AS bucket FROM mailrace_outbox"
          )).filter(({ bucket, lane }) => bucket !== Lane.bucket(lane)),
          []
        )
      }),
    60_000
  )

  it.live(
    "of earlier processes that only enqueue are found in SQLite",
    () =>
      Effect.gen(function* () {
        const path = `${yield* tempFolder}/outbox.db`
        const outbox = yield* outboxOf(Outbox.layerSqlite(path))
        const misplace = Effect.sync(() => {
          const database = new DatabaseSync(path)
          database.exec("UPDATE outbox SET bucket = bucket % 64")
          database.close()
        })
        yield* drains(outbox, misplace)
      }),
    60_000
  )

  it("of 8094cdc are the last six bits of those since", () => {
    assert.deepStrictEqual(["gmail.com", "example.org", ""].map(earlierBucket), [18, 45, 60])
  })
})
