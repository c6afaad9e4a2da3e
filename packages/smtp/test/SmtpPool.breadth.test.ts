import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Relay from "./support/relay.ts"
import { assertAllTaken } from "./support/taken.ts"

/** A server that holds each final reply until it is let go, and counts the contents that it holds on each connection. */
const holding = Effect.gen(function* () {
  const held = new Map<number, number>()
  const server = yield* TestServer.make({
    decide: ({ connection, phase }) => {
      if (phase === "final") held.set(connection, (held.get(connection) ?? 0) + 1)
      return phase === "final" ? { type: "delay", ms: 600 } : undefined
    }
  })
  return { held, server }
})

describe("SmtpPool: breadth before depth", () => {
  for (const pipelining of ["auto", "speculative", "overlap", "envelope", "off"] as const) {
    it.live(`spreads a burst over all connections of a relay that thinks (${pipelining})`, () =>
      Effect.gen(function* () {
        const { held, server } = yield* holding
        const relay = yield* Relay.open(server, { pipelining })
        const fiber = yield* Effect.forkChild(Relay.sendMany(relay, 20))
        yield* server.until(() => held.size === 10)
        // Ten transactions are under way at once, while no connection has been given another message.
        assert.isTrue([...held.values()].every((count) => count <= 2))
        yield* Fiber.join(fiber)
        assertAllTaken(server, 20)
        assert.strictEqual(server.stats.peak, 10)
      })
    )
  }

  it.live("gives a slow back end of three few messages", () =>
    Effect.gen(function* () {
      const counts = new Map<number, number>()
      const server = yield* TestServer.make({
        decide: ({ connection, phase }) => {
          if (phase !== "final") return undefined
          counts.set(connection, (counts.get(connection) ?? 0) + 1)
          return { type: "delay", ms: connection % 3 === 0 ? 400 : 10 }
        }
      })
      const relay = yield* Relay.open(server)
      yield* Relay.sendMany(relay, 150)
      assertAllTaken(server, 150)
      const slow = [...counts].filter(([connection]) => connection % 3 === 0).reduce((sum, [, count]) => sum + count, 0)
      assert.isAtMost(slow, 15)
    })
  )

  it.live("opens further connections while one of them is not answered", () =>
    Effect.gen(function* () {
      // Each carries two messages, so that new ones are needed all the time; the second never gets a greeting.
      const server = yield* TestServer.make({
        decide: ({ connection, phase }) => {
          if (phase === "greeting" && connection === 2) return { type: "hang" }
          return phase === "final" ? { type: "delay", ms: 30 } : undefined
        }
      })
      const relay = yield* Relay.open(server, { maxConnections: 4, maxMessages: 2 })
      yield* Relay.sendMany(relay, 24)
      assertAllTaken(server, 24)
    })
  )

  it.live("opens one connection for messages that come one at a time", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=30ms"] })
      const relay = yield* Relay.open(server)
      yield* Relay.sendMany(relay, 10, 1)
      assert.strictEqual(server.stats.connections, 1)
    })
  )
})

describe("SmtpPool: urgent messages", () => {
  it.live("pass those that wait for a session", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=20ms"], extensions: { pipelining: false } })
      const relay = yield* Relay.open(server, { maxConnections: 1 })
      const campaign = yield* Effect.forkChild(Relay.sendMany(relay, 20))
      yield* server.until(({ messages }) => messages === 1)
      yield* relay.transport.send(Relay.message(100), { priority: "urgent" })
      assert.isAtMost(
        server.messages.findIndex(({ from }) => from.address === "from-100@test.example"),
        3
      )
      yield* Fiber.join(campaign)
      assert.lengthOf(server.messages, 21)
    })
  )
})
