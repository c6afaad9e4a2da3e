/**
 * Three dispatchers of one PostgreSQL outbox hold one relay's limit, as the relay counts it, and one of them goes or is killed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/fixtures.ts"
import * as Fleet from "./support/fleet.ts"
import { place, schema } from "./support/freshPostgres.ts"
import { shared } from "./support/sharedPostgres.ts"

const mostIn = (seconds: number, times: ReadonlyArray<number>): number => {
  let most = 0
  let first = 0
  times.forEach((time, last) => {
    while (times[first]! <= time - 1000 * seconds) first++
    most = Math.max(most, last - first + 1)
  })
  return most
}

describe("a limit that three dispatchers share", () => {
  const server = shared()

  it.live("holds in every second at the relay, is used up, and holds when a dispatcher leaves", () =>
    Effect.gen(function* () {
      const name = yield* schema(yield* server)
      const times: Array<number> = []
      const relay = yield* TestServer.make({
        mailbox: { type: "discard" },
        decide: ({ phase }) => {
          if (phase === "mail") times.push(performance.now())
          return undefined
        }
      })
      const limit = 60
      const flow = Result.getOrThrow(FlowOptions.resolve({ rate: [`${limit}/s`] }, 0))
      const open = Effect.map(
        Layer.build(Layer.fresh(Outbox.layerPostgres({ ...place(yield* server, name), heartbeat: "100 millis" }))),
        (context) => Context.get(context, Outbox.Outbox)
      )
      const outbox = yield* open
      yield* Stream.runDrain(
        outbox.enqueueAll(Stream.map(Stream.range(1, 2000), (i) => mail(`x${i}@lane${i % 60}.test`)))
      )
      const dispatcher = Effect.gen(function* () {
        const transport = yield* SmtpTransport.make({ host: relay.host, port: relay.port, tls: { mode: "off" } })
        yield* Effect.provideContext((yield* open).run({ flow }), transport)
      })
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkScoped(Effect.scoped(dispatcher)))
      yield* Effect.sleep("4 seconds")
      const before = times.length
      yield* Effect.sleep("4 seconds")
      const share = (times.length - before) / 4 / limit
      yield* Fiber.interrupt(fibers[0]!)
      yield* Effect.sleep("3 seconds")
      // Server and dispatchers run in one process: where it is held up, what was begun before arrives together with what was
      // begun after. Three that did not share would come to 180.
      assert.isAtMost(mostIn(1, times), limit * 1.25)
      assert.isAtMost(mostIn(4, times), 4 * limit * 1.1)
      assert.isAtLeast(share, 0.2)
      assert.isAbove(times.length, before)
    }).pipe(Effect.scoped)
  )

  it.live("is never exceeded by processes of which one is killed, and the others use what is left", () =>
    Effect.gen(function* () {
      const limit = 400
      const fleet = yield* Fleet.make(yield* server, {
        concurrency: 10,
        heartbeatMs: 100,
        leaseMs: 1000,
        rate: [`${limit}/h`]
      })
      yield* fleet.enqueue(900)
      const [first] = yield* Effect.forEach(["one", "two", "three"], (name) => fleet.start(name))
      yield* fleet.owners(3)
      yield* fleet.relay.until(({ messages }) => messages >= 50)
      yield* first!.kill
      const atKill = fleet.relay.stats.messages
      // What the killed one had leased is lost, which is more than what it sent lately at most.
      yield* fleet.relay.until(({ messages }) => messages >= Math.min(atKill + 1, limit))
      yield* fleet.owners(2)
      // What must not come is given time.
      yield* Effect.sleep("1 second")
      const { messages } = fleet.relay.stats
      yield* Effect.logInfo(`${atKill} of ${limit} at the kill, ${messages} at the end`)
      assert.isAtMost(messages, limit * (61 / 60))
      const { states } = yield* fleet.outbox.stats
      assert.isAtLeast(states.due, 900 - messages)
    }).pipe(Effect.scoped)
  )
})
