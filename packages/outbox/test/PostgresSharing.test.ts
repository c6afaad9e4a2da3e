/**
 * What only PostgreSQL has: transactions to join, several dispatchers, a server that goes away and comes back.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import { PgClient } from "@effect/sql-pg/PgClient"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as DurableTransport from "../src/DurableTransport.ts"
import * as Lane from "../src/Lane.ts"
import * as Migrations from "../src/Migrations.ts"
import * as Outbox from "../src/Outbox.ts"
import type { Settlement } from "../src/OutboxStore.ts"
import { endOf, mail } from "./support/fixtures.ts"
import * as Children from "./support/children.ts"
import { connect, open as openStore, place, schema } from "./support/freshPostgres.ts"
import { counted } from "./support/messageIds.ts"
import * as PostgresServer from "./support/postgresServer.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { shared } from "./support/sharedPostgres.ts"
import { tempFolder } from "./support/tempFolder.ts"

/** How often a dispatcher looks after its share here. */
const heartbeat = "100 millis"

/** An outbox of its own, as another process would have. */
const open = (server: PostgresServer.PostgresServer, name: string) =>
  Effect.map(Layer.build(Outbox.layerPostgres({ ...place(server, name), heartbeat })), (context) =>
    Context.get(context, Outbox.Outbox)
  )

const many = (outbox: Outbox.Outbox["Service"], count: number, prefix = "x") =>
  Stream.runDrain(
    outbox.enqueueAll(Stream.map(Stream.range(1, count), (i) => mail(`${prefix}-${i}@lane${i % 40}.test`)))
  )

/** Waits until the outbox's counts are as wanted. */
const until = (outbox: Outbox.Outbox["Service"], wanted: (states: { accepted: number; due: number }) => boolean) =>
  outbox.stats.pipe(
    Effect.filterOrFail(
      ({ states }) => wanted(states),
      () => "not yet"
    ),
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.orDie
  )

/** Waits until so many dispatchers own all lanes among them. */
const owners = (client: PgClient, count: number) =>
  client
    .unsafe<{ owners: number; free: number }>(
      `SELECT count(DISTINCT owner)::int4 AS owners, count(*) FILTER (WHERE owner IS NULL)::int4 AS free
       FROM mailrace_bucket`
    )
    .pipe(
      Effect.filterOrFail(
        ([row]) => row!.owners === count && row!.free === 0,
        () => "not yet"
      ),
      Effect.retry(Schedule.spaced("20 millis"))
    )

/** A relay that takes a moment, so that there is something in flight. */
const slow = (ms: number) =>
  ScriptedTransport.make((message) => Effect.delay(Effect.succeed(ScriptedTransport.taken(message)), ms))

const sentTwice = (sent: ReadonlyArray<ScriptedTransport.Sent>): number => {
  const ids = sent.map(({ messageId }) => messageId)
  return ids.length - new Set(ids).size
}

describe("PostgreSQL", () => {
  const server = shared()

  it.live("a message enqueued in a transaction exists once it commits, and never if it does not", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* schema(running)
      const sql = yield* connect(running, name)
      const outbox = Context.get(
        yield* Layer.build(Outbox.layerPostgresClient().pipe(Layer.provide(Layer.succeed(PgClient, sql)))),
        Outbox.Outbox
      )
      const relay = ScriptedTransport.make()
      yield* Effect.forkScoped(Effect.provideService(outbox.run(), MailTransport, relay.transport))
      yield* sql.unsafe("CREATE TABLE orders (id int PRIMARY KEY)")
      const committed = yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql.unsafe("INSERT INTO orders VALUES (1)")
          const receipt = yield* outbox.enqueue(mail("kept@a.test"), { idempotencyKey: "1" })
          const again = yield* outbox.enqueue(mail("kept@a.test"), { idempotencyKey: "1" })
          assert.isTrue(again.duplicate)
          // Others do not see it, however much time they have.
          yield* Effect.sleep("300 millis")
          assert.strictEqual(relay.sent.length, 0)
          return receipt
        })
      )
      const rolledBack = yield* sql
        .withTransaction(Effect.andThen(outbox.enqueue(mail("never@a.test")), Effect.fail("no")))
        .pipe(Effect.flip)
      assert.strictEqual(rolledBack, "no")
      yield* until(outbox, ({ accepted }) => accepted === 1)
      assert.deepStrictEqual(
        relay.sent.map(({ messageId, to }) => [messageId, to[0]]),
        [[committed.messageId, "kept@a.test"]]
      )
      assert.strictEqual((yield* outbox.stats).states.due, 0)
    })
  )

  it.live("two dispatchers share the lanes; a third and its end change nothing for the messages", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* schema(running)
      const relay = slow(2)
      const outboxes = yield* Effect.all([open(running, name), open(running, name), open(running, name)])
      const relays = outboxes.map(() => ({ sent: 0 }))
      const dispatch = (i: number) =>
        Effect.provideService(outboxes[i]!.run({ concurrency: 20 }), MailTransport, {
          ...relay.transport,
          send: (message, options) => {
            relays[i]!.sent++
            return relay.transport.send(message, options)
          }
        })
      yield* Effect.forkScoped(dispatch(0))
      yield* Effect.forkScoped(dispatch(1))
      yield* owners(yield* connect(running, name), 2)
      yield* Effect.forkScoped(many(outboxes[0]!, 4000))
      const third = yield* Effect.forkScoped(dispatch(2))
      yield* until(outboxes[0]!, ({ accepted }) => accepted > 1000)
      yield* Fiber.interrupt(third)
      yield* until(outboxes[0]!, ({ accepted }) => accepted === 4000)
      assert.strictEqual(relay.sent.length, 4000)
      assert.strictEqual(sentTwice(relay.sent), 0)
      for (const { sent } of relays.slice(0, 2)) assert.isAbove(sent, 400)
    })
  )

  it.live(
    "a dispatcher that is killed is replaced, and loses nothing",
    () =>
      Effect.gen(function* () {
        const running = yield* server
        const name = yield* schema(running)
        const folder = yield* tempFolder
        const smtp = yield* TestServer.make({ checkContent: false })
        const instructions = {
          store: { _tag: "Postgres", ...place(running, name) },
          smtpPort: smtp.port,
          mails: null,
          dispatch: true,
          log: `${folder}/accepted`
        } as const
        const client = yield* connect(running, name)
        const claimed = Effect.map(
          client.unsafe<{ message_id: string }>("SELECT message_id FROM mailrace_outbox WHERE state = 1"),
          (rows) => rows.map((row) => row.message_id)
        )
        const child = yield* Children.start({ ...instructions, name: "one" })
        yield* child.during(smtp.until(({ messages }) => messages > 100))
        const other = yield* Children.start({ ...instructions, name: "two" })
        yield* other.during(owners(client, 2))
        yield* child.kill
        const atRisk = new Set(yield* claimed)
        yield* other.during(owners(client, 1))
        yield* other.kill
        for (const id of yield* claimed) atRisk.add(id)
        const outbox = yield* open(running, name)
        yield* outbox
          .run({ until: "empty" })
          .pipe(Effect.provide(SmtpTransport.layer({ host: "127.0.0.1", port: smtp.port })))
        const arrived = counted(smtp.messages)
        const accepted = Children.accepted(instructions.log)
        const twice = [...arrived].filter(([, count]) => count > 1)
        yield* Console.log(
          `PostgreSQL, 2 × kill -9: ${accepted.length} accepted, ${twice.length} sent twice of ${atRisk.size} at risk`
        )
        assert.deepStrictEqual(
          accepted.filter((id) => !arrived.has(id)),
          []
        )
        assert.deepStrictEqual(
          twice.filter(([id]) => !atRisk.has(id)),
          []
        )
      }),
    30_000
  )

  it.live(
    "connections that are cut cost nothing",
    () =>
      Effect.gen(function* () {
        const running = yield* server
        const name = yield* schema(running)
        const outbox = yield* open(running, name)
        const admin = yield* connect(running, name)
        const relay = slow(5)
        yield* Effect.forkScoped(Effect.provideService(outbox.run({ concurrency: 20 }), MailTransport, relay.transport))
        const enqueueing = yield* Effect.forkScoped(many(outbox, 3000))
        for (let cut = 0; cut < 3; cut++) {
          yield* until(outbox, ({ accepted }) => accepted > cut * 500)
          yield* admin.unsafe(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
          )
        }
        yield* Fiber.join(enqueueing)
        yield* until(outbox, ({ accepted }) => accepted === 3000)
        assert.strictEqual(new Set(relay.sent.map(({ messageId }) => messageId)).size, 3000)
        // Nobody else took its place, so it goes on where it was.
        assert.strictEqual(sentTwice(relay.sent), 0)
      }),
    30_000
  )

  it.live(
    "the outbox waits for a server that restarts",
    () =>
      Effect.gen(function* () {
        const own = yield* PostgresServer.make
        const name = yield* schema(own)
        const outbox = yield* open(own, name)
        const relay = slow(5)
        yield* Effect.forkScoped(Effect.provideService(outbox.run({ concurrency: 20 }), MailTransport, relay.transport))
        yield* many(outbox, 1000, "before")
        const down = yield* Deferred.make<void>()
        const enqueueing = yield* Effect.forkScoped(Effect.andThen(Deferred.await(down), many(outbox, 1000, "during")))
        yield* until(outbox, ({ accepted }) => accepted > 100)
        yield* own.kill
        yield* Deferred.succeed(down, undefined)
        yield* Effect.sleep("200 millis")
        yield* own.start
        yield* Fiber.join(enqueueing)
        yield* until(outbox, ({ accepted }) => accepted === 2000)
        assert.strictEqual(new Set(relay.sent.map(({ messageId }) => messageId)).size, 2000)
        assert.strictEqual(sentTwice(relay.sent), 0)
      }),
    30_000
  )

  it.live("reports each message to its sender, also those that another process sends", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* schema(running)
      const relays = [ScriptedTransport.make(), ScriptedTransport.make()]
      const transports = yield* Effect.forEach(relays, ({ transport }) =>
        Layer.build(
          DurableTransport.layer().pipe(
            Layer.provide(Layer.succeed(MailTransport, transport)),
            Layer.provide(Outbox.layerPostgres({ ...place(running, name), heartbeat }))
          )
        )
      )
      yield* owners(yield* connect(running, name), 2)
      const deliveries = yield* Stream.runCollect(
        Stream.map(Stream.range(1, 200), (i) => mail(`x${i}@lane${i % 40}.test`)).pipe(Mailer.sendAll())
      ).pipe(Effect.provideContext(transports[0]!))
      assert.strictEqual(deliveries.filter(({ _tag }) => _tag === "Accepted").length, 200)
      for (const { sent } of relays) assert.isAbove(sent.length, 20)
    })
  )

  it.live("a slow owner's outcome counts, as long as nobody else has claimed the message", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* schema(running)
      const store = yield* openStore(running, name)
      const outbox = yield* open(running, name)
      for (const to of ["one@a.test", "two@a.test"]) yield* outbox.enqueue(mail(to))
      const now = Date.now()
      const quota = (limit: number) => [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit }]
      // It stalls, and its connection is taken for lost.
      const slow = yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* store.dispatch(5)
          return { lease, rows: (yield* lease.claim(quota(2), now)).rows }
        })
      )
      const other = yield* store.dispatch(5)
      assert.strictEqual(other.recovered, 2)
      const { rows } = yield* other.claim(quota(1), now)
      const waiting = slow.rows.find(({ seq }) => seq !== rows[0]!.seq)!
      assert.deepStrictEqual(yield* slow.lease.settle(slow.rows.map((row) => endOf(row))), [waiting.seq])
      assert.deepInclude((yield* outbox.get(waiting.id))!.entry, { state: "accepted", attempts: 1, crashes: 0 })
      assert.deepStrictEqual((yield* other.claim(quota(2), now)).rows, [])
      const claimed = slow.rows.filter(({ seq }) => seq !== waiting.seq)
      assert.deepStrictEqual(yield* slow.lease.settle(claimed.map((row) => endOf(row))), [])
    })
  )

  it.live("outcomes of one kind and of all kinds are recorded with their replies", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* schema(running)
      const store = yield* openStore(running, name)
      const outbox = yield* open(running, name)
      for (let i = 1; i <= 6; i++) yield* outbox.enqueue(mail(`${i}@a.test`))
      const lease = yield* store.dispatch(5)
      const quota = [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 6 }]
      const { rows } = yield* lease.claim(quota, Date.now())
      const ends = rows.map((row, i) =>
        endOf(row, { at: i, relay: "mx.test", enhanced: "2.0.0", reply: `queued as ${i}` })
      )
      const [a, b, c, d, e, f] = ends as [Settlement, Settlement, Settlement, Settlement, Settlement, Settlement]
      const failed = {
        state: "due",
        dueAt: 9,
        outcome: "Deferred",
        code: 450,
        enhanced: undefined,
        reply: "not\0now"
      } as const
      const alike = [a, b]
      const mixed = [c, { ...d, ...failed }, { ...e, relay: undefined, code: undefined }, { ...f, recipients: "[]" }]
      for (const batch of [alike, mixed]) {
        // The answer to the first call is lost.
        for (const _ of [1, 2]) {
          assert.deepStrictEqual(
            [...(yield* lease.settle(batch))].sort(),
            batch.map(({ seq }) => seq)
          )
        }
      }
      const client = yield* connect(running, name)
      const recorded = yield* client.unsafe(
        `SELECT state::int4, (CASE WHEN state = 0 THEN due_at ELSE settled_at END)::int4, last_relay, last_code::int4, last_enhanced, last_reply, recipients
         FROM mailrace_outbox ORDER BY seq`
      ).values
      assert.deepStrictEqual(recorded, [
        [2, 0, "mx.test", 250, "2.0.0", "queued as 0", null],
        [2, 1, "mx.test", 250, "2.0.0", "queued as 1", null],
        [2, 2, "mx.test", 250, "2.0.0", "queued as 2", null],
        [0, 9, "mx.test", 450, null, "notnow", null],
        [2, 4, null, null, "2.0.0", "queued as 4", null],
        [2, 5, "mx.test", 250, "2.0.0", "queued as 5", "[]"]
      ])
    })
  )

  it.live("a missing server and tables of a later version give clear errors; earlier tables are updated", () =>
    Effect.gen(function* () {
      const running = yield* server
      const folder = yield* tempFolder
      const absent = yield* Effect.flip(open({ ...running, host: folder }, "postgres"))
      assert.strictEqual(absent.reason._tag, "Unavailable")
      assert.isTrue(absent.isRetryable)
      const name = yield* schema(running)
      yield* Effect.scoped(open(running, name))
      const client = yield* connect(running, name)
      yield* client.unsafe("ALTER TABLE mailrace_outbox DROP COLUMN watched, DROP COLUMN crashes")
      yield* client.unsafe("UPDATE mailrace_meta SET value = '1' WHERE name = 'version'")
      const outbox = yield* open(running, name)
      const { id } = yield* outbox.enqueue(mail())
      assert.deepInclude((yield* outbox.get(id))!.entry, { state: "due", crashes: 0 })
      yield* client.unsafe("UPDATE mailrace_meta SET value = '99' WHERE name = 'version'")
      const newer = yield* Effect.flip(open(running, name))
      assert.deepInclude(newer.reason, {
        _tag: "NewerSchema",
        found: 99,
        known: Migrations.latest(Migrations.postgres)
      })
    })
  )
})
