/**
 * Three dispatchers of one PostgreSQL outbox hold one relay's limit, as the relay counts it, and one of them goes.
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
import { place, schema } from "./support/freshPostgres.ts"
import { shared } from "./support/sharedPostgres.ts"

const mostInASecond = (times: ReadonlyArray<number>): number => {
  let most = 0
  let first = 0
  times.forEach((time, last) => {
    while (times[first]! <= time - 1000) first++
    most = Math.max(most, last - first + 1)
  })
  return most
}

describe("a limit that three dispatchers share", () => {
  const server = shared()

  it.live("holds in every second at the relay, is used, and holds when one goes", () =>
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
      yield* Effect.logInfo(
        `${mostInASecond(times)} at most in a second of ${limit}, ${Math.round(share * 100)} % used`
      )
      // Server and dispatchers run in one process, which delays them by tens of milliseconds.
      assert.isAtMost(mostInASecond(times), limit * 1.05 * 1.03)
      assert.isAtLeast(share, 0.8)
      assert.isAbove(times.length, before)
    }).pipe(Effect.scoped)
  )
})
