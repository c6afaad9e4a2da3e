import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Child from "./support/child.ts"
import * as Relay from "./support/relay.ts"
import { assertAllTaken } from "./support/taken.ts"

describe("SmtpPool: idle connections", () => {
  it.live("closes idle connections with QUIT, down to the minimum", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=30ms"] })
      const relay = yield* Relay.open(server, {
        minConnections: 1,
        maxConnections: 4,
        idleTimeToLive: 20,
        pipelining: "off"
      })
      yield* Relay.sendMany(relay, 12)
      assert.strictEqual(server.stats.peak, 4)
      yield* server.until(({ open }) => open === 1)
      assert.deepStrictEqual(
        server.connections.map(({ open, quit }) => open || quit),
        [true, true, true, true]
      )
      yield* relay.send(Relay.message(12))
      assertAllTaken(server, 13)
    })
  )

  it.live("lets a process that never closes it end once the idle connections are gone", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      assert.strictEqual(yield* Child.run("sendAndForget.ts", [server.port]), "sent")
      yield* server.awaitIdle
      assert.deepStrictEqual(
        server.connections.map(({ quit }) => quit),
        [true]
      )
    })
  )

  it.live("keeps a connection for good where no time is too long", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const never = Duration.infinity
      const { send } = yield* Relay.open(server, {
        idleTimeToLive: never,
        maxLifetime: never,
        timeouts: { greeting: never, command: never, content: never, finalReply: never }
      })
      for (const n of [1, 2]) {
        yield* send(Relay.message(n))
        // A timer that was told to wait without end fires within a millisecond.
        yield* Effect.sleep(20)
      }
      assert.strictEqual(server.stats.connections, 1)
    })
  )
})
