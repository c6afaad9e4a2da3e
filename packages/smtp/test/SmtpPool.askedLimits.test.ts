/** Limits on connections that are set while the transport works, as rules for a relay's replies do. */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Relay from "./support/relay.ts"

const sendMany = ({ send }: Relay.Relay, first: number, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => Relay.message(first + n)),
    (message) => send(message),
    { concurrency: "unbounded", discard: true }
  )

const hour = 3_600_000

/** Waits until so many connections are open. */
const opened = ({ smtp }: Relay.Relay, count: number) =>
  Effect.repeat(Effect.andThen(Effect.sleep(5), smtp.stats), { until: ({ busy, idle }) => busy + idle === count })

describe("SmtpPool: limits that are set for a time", () => {
  it.live("closes the connections beyond the limit, loses nothing, and opens no more", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=20ms"] })
      const relay = yield* Relay.open(server, { maxConnections: 6, minConnections: 6, pipelining: "off" })
      yield* sendMany(relay, 0, 30)
      yield* opened(relay, 6)
      const before = server.stats.connections
      yield* relay.smtp.limit({ connections: 2, forMs: hour })
      yield* sendMany(relay, 30, 30)
      const { busy, idle } = yield* relay.smtp.stats
      assert.isAtMost(busy + idle, 2)
      assert.strictEqual(server.stats.connections, before)
      assert.strictEqual(server.stats.messages, 60)
    })
  )

  it.live("lets messages that are on their way end on the connections that it closes", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=50ms"] })
      const relay = yield* Relay.open(server, { maxConnections: 4, pipelining: "off" })
      yield* sendMany(relay, 0, 8)
      const sending = Effect.forEach(
        Array.from({ length: 8 }, (_, n) => Relay.message(100 + n)),
        (message) => relay.send(message),
        { concurrency: "unbounded", discard: true }
      )
      yield* Effect.all([sending, relay.smtp.limit({ connections: 1, forMs: hour })], { concurrency: "unbounded" })
      assert.strictEqual(server.stats.messages, 16)
    })
  )

  it.live("is over after its time", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=20ms"] })
      const relay = yield* Relay.open(server, { maxConnections: 4, minConnections: 4, pipelining: "off" })
      yield* relay.smtp.limit({ connections: 1, forMs: 100 })
      yield* sendMany(relay, 0, 20)
      yield* opened(relay, 4)
      assert.strictEqual(server.stats.messages, 20)
    })
  )

  it.live("carries no more messages on a connection than asked, on those that are open too", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = yield* Relay.open(server, { maxConnections: 1, pipelining: "envelope" })
      yield* sendMany(relay, 0, 7)
      assert.strictEqual(server.stats.connections, 1)
      yield* relay.smtp.limit({ messagesPerConnection: 5, forMs: hour })
      yield* sendMany(relay, 7, 20)
      // The first has carried its five and closes; the others carry at most five each.
      assert.isAtLeast(server.stats.connections, 5)
      assert.strictEqual(server.stats.messages, 27)
    })
  )
})
