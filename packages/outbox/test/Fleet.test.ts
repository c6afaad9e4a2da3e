/**
 * Real dispatchers that join, leave, are cut off, killed and frozen, while PostgreSQL restarts: nothing is lost, and nothing
 * is sent twice but what the end of a process leaves in doubt.
 *
 * Each happens once here. With `MAILRACE_FLEET=1` all happen as often as they are meant to, and
 * `MAILRACE_FLEET_ROUNDS=200` repeats the joins and leaves within one process.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { MailTransport } from "mailrace/MailTransport"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/fixtures.ts"
import * as Fleet from "./support/fleet.ts"
import { place, schema } from "./support/freshPostgres.ts"
import * as PostgresServer from "./support/postgresServer.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { shared } from "./support/sharedPostgres.ts"

const isWhole = process.env["MAILRACE_FLEET"] === "1"
const rounds = Number(process.env["MAILRACE_FLEET_ROUNDS"] ?? 1)
const times = (count: number): number => (isWhole ? count : 1)

const timeout = isWhole ? 600_000 : 60_000

/** As they are without being told, but for the lease, in the whole runs. */
const settings: Fleet.Settings = isWhole
  ? { concurrency: 20, heartbeatMs: 500, leaseMs: 3000 }
  : { concurrency: 20, heartbeatMs: 300, leaseMs: 1500 }

/** Notes how long something takes, in milliseconds. */
const timed = <A, E, R>(times: Array<number>, effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const begin = performance.now()
    return Effect.tap(effect, () => Effect.sync(() => void times.push(Math.round(performance.now() - begin))))
  })

const spread = (what: string, times: ReadonlyArray<number>) => {
  const sorted = times.toSorted((a, b) => a - b)
  return Console.log(
    `  ${what}: ${sorted[Math.floor(sorted.length / 2)]} ms in the median, ${sorted[0]} to ${sorted.at(-1)} ms`
  )
}

const told = (what: string, { enqueued, lost, twice }: Fleet.Account, atMost = 0) =>
  Console.log(`${what}: ${enqueued} sent, ${lost} lost, ${twice} twice (${atMost} at most)`)

/** Three dispatchers within this process: the third joins and leaves under load, then the second leaves. */
const joinAndLeave = (server: PostgresServer.PostgresServer) =>
  Effect.gen(function* () {
    const count = 1500
    const name = yield* schema(server)
    const outboxes = yield* Effect.forEach([0, 1, 2], () =>
      Effect.map(Layer.build(Outbox.layerPostgres({ ...place(server, name), heartbeat: "50 millis" })), (context) =>
        Context.get(context, Outbox.Outbox)
      )
    )
    const relay = ScriptedTransport.make((message) => Effect.delay(Effect.succeed(ScriptedTransport.taken(message)), 2))
    const dispatch = (i: number) =>
      Effect.forkScoped(Effect.provideService(outboxes[i]!.run({ concurrency: 20 }), MailTransport, relay.transport))
    const until = (accepted: number) =>
      outboxes[0]!.stats.pipe(
        Effect.filterOrFail(
          ({ states }) => states.accepted >= accepted,
          () => "not yet"
        ),
        Effect.retry(Schedule.spaced("10 millis"))
      )
    yield* dispatch(0)
    const second = yield* dispatch(1)
    yield* Effect.forkScoped(
      Stream.runDrain(
        outboxes[0]!.enqueueAll(Stream.map(Stream.range(1, count), (i) => mail(`x${i}@lane${i % 40}.test`)))
      )
    )
    yield* until(count * 0.1)
    const third = yield* dispatch(2)
    yield* until(count * 0.4)
    yield* Fiber.interrupt(third)
    yield* until(count * 0.6)
    yield* Fiber.interrupt(second)
    yield* until(count)
    const ids = new Set(relay.sent.map(({ messageId }) => messageId))
    return { lost: count - ids.size, twice: relay.sent.length - ids.size }
  }).pipe(Effect.scoped)

describe("a fleet", () => {
  const server = shared()

  it.live(
    "sends each message once while dispatchers join and leave under load",
    () =>
      Effect.gen(function* () {
        const running = yield* server
        let lost = 0
        let twice = 0
        for (let round = 0; round < rounds; round++) {
          const found = yield* joinAndLeave(running)
          lost += found.lost
          twice += found.twice
        }
        yield* Console.log(`${rounds} × joins and leaves in one process: ${lost} lost, ${twice} twice`)
        assert.deepStrictEqual({ lost, twice }, { lost: 0, twice: 0 })
      }),
    { timeout: 30_000 + rounds * 15_000 }
  )

  it.live("that ends when nothing is due sends everything before its last dispatcher ends", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* schema(running)
      const outboxes = yield* Effect.forEach([0, 1, 2], () =>
        Effect.map(Layer.build(Outbox.layerPostgres({ ...place(running, name), heartbeat: "1 second" })), (context) =>
          Context.get(context, Outbox.Outbox)
        )
      )
      const relay = ScriptedTransport.make((message) =>
        Effect.delay(Effect.succeed(ScriptedTransport.taken(message)), 5)
      )
      for (let round = 0; round < 4; round++) {
        yield* Stream.runDrain(
          outboxes[0]!.enqueueAll(Stream.map(Stream.range(1, 300), (i) => mail(`x${i}@lane${i % 40}.test`)))
        )
        yield* Effect.forEach(
          outboxes,
          // Each joins while the ones before it give up buckets.
          (outbox, i) => Effect.delay(outbox.run({ until: "idle", concurrency: 20 }), i * 40),
          { concurrency: "unbounded" }
        ).pipe(Effect.provideService(MailTransport, relay.transport))
        assert.deepInclude((yield* outboxes[0]!.stats).states, { due: 0, claimed: 0, accepted: (round + 1) * 300 })
      }
      assert.strictEqual(relay.sent.length, 1200)
    })
  )

  it.live(
    "sends each message once while processes join and leave under load",
    () =>
      Effect.gen(function* () {
        const fleet = yield* Fleet.make(yield* server, settings)
        yield* fleet.start("A")
        yield* fleet.enqueue(500)
        const joins: Array<number> = []
        const leaves: Array<number> = []
        const turns = Effect.gen(function* () {
          for (let i = 0; i < times(10); i++) {
            const other = yield* fleet.start("B")
            yield* fleet.present(2)
            yield* timed(joins, fleet.owners(2))
            yield* Effect.sleep("200 millis")
            yield* other.signal("SIGTERM")
            yield* timed(leaves, fleet.owners(1))
            yield* other.leave
          }
        })
        yield* fleet.underLoad(turns, 500)
        const account = yield* fleet.account
        yield* told(`${times(10)} × a process joins and leaves`, account)
        yield* spread("from there to a share", joins)
        yield* spread("from SIGTERM to all being another's", leaves)
        assert.deepInclude(account, { lost: 0, twice: 0 })
      }),
    timeout
  )

  it.live(
    "sends each message once when a dispatcher's connections are cut",
    () =>
      Effect.gen(function* () {
        // The others leave its buckets alone for three quarters of a heartbeat: more than a busy machine needs to reconnect.
        const fleet = yield* Fleet.make(yield* server, { ...settings, heartbeatMs: 2000, leaseMs: 10_000 })
        yield* fleet.start("A")
        yield* fleet.start("B")
        yield* fleet.owners(2)
        for (let i = 0; i < times(10); i++) {
          // So few that all are claimed at once.
          yield* fleet.enqueue(600)
          yield* fleet.cut("A")
          yield* fleet.drained
        }
        const account = yield* fleet.account
        yield* told(`${times(10)} × one's connections cut`, account)
        assert.deepInclude(account, { lost: 0, twice: 0 })
      }),
    timeout
  )

  it.live(
    "sends each message once while PostgreSQL restarts, and is away for a while",
    () =>
      Effect.gen(function* () {
        const own = yield* PostgresServer.make
        const fleet = yield* Fleet.make(own, settings)
        yield* fleet.start("A")
        yield* fleet.start("B")
        yield* fleet.owners(2)
        const restarts: Array<number> = []
        const restart = (away: number) =>
          Effect.gen(function* () {
            yield* fleet.enqueue(600)
            yield* own.kill
            yield* Effect.sleep(away)
            yield* own.start
            yield* timed(restarts, fleet.moves)
            yield* fleet.drained
          })
        for (let i = 0; i < times(5); i++) yield* restart(0)
        if (isWhole) yield* restart(8000)
        const account = yield* fleet.account
        yield* told(`${times(5)} × PostgreSQL restarted${isWhole ? ", and 8 s away" : ""}`, account)
        yield* spread("from there to sending again", restarts)
        assert.deepInclude(account, { lost: 0, twice: 0 })
      }),
    timeout
  )

  /** What was on a socket, and one confirmation's worth. */
  const inDoubt = 2 * settings.concurrency

  it.live(
    "loses nothing to kill -9, and sends twice at most the messages on their way",
    () =>
      Effect.gen(function* () {
        const fleet = yield* Fleet.make(yield* server, settings)
        yield* fleet.start("A")
        const kills: Array<number> = []
        const turns = Effect.gen(function* () {
          for (let i = 0; i < times(5); i++) {
            const other = yield* fleet.start("B")
            yield* fleet.owners(2)
            yield* fleet.enqueue(500)
            yield* other.kill
            yield* timed(kills, fleet.owners(1))
          }
        })
        yield* fleet.underLoad(turns, 300)
        const account = yield* fleet.account
        yield* told(`${times(5)} × kill -9`, account, times(5) * inDoubt)
        yield* spread("from there to all being another's", kills)
        assert.strictEqual(account.lost, 0)
        assert.isAtMost(account.twice, times(5) * inDoubt)
      }),
    timeout
  )

  it.live(
    "replaces a dispatcher that is frozen past its lease, which then sends none of its claimed messages",
    () =>
      Effect.gen(function* () {
        const fleet = yield* Fleet.make(yield* server, settings)
        yield* fleet.start("A")
        const other = yield* fleet.start("B")
        yield* fleet.owners(2)
        for (let i = 0; i < times(5); i++) {
          yield* fleet.enqueue(1000)
          yield* other.signal("SIGSTOP")
          yield* fleet.owners(1)
          yield* fleet.drained
          yield* other.signal("SIGCONT")
          yield* fleet.owners(2)
        }
        const account = yield* fleet.account
        yield* told(`${times(5)} × SIGSTOP past the lease`, account, times(5) * inDoubt)
        assert.strictEqual(account.lost, 0)
        assert.isAtMost(account.twice, times(5) * inDoubt)
      }),
    timeout
  )
})
