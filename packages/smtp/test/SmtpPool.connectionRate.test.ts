/** Limits on new connections: messages share those that may be opened, and none is opened beyond. */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as SmtpOptions from "../src/SmtpOptions.ts"
import * as Relay from "./support/relay.ts"

/** Lets so many connections through, and more when `allowed` grows. */
class Allowance implements SmtpOptions.ConnectionGate {
  allowed: number
  opens = 0
  constructor(allowed: number) {
    this.allowed = allowed
  }
  readonly availableAt = (now: number): number => (this.opens < this.allowed ? now : now + 5)
  readonly opened = (): void => {
    this.opens++
  }
}

const sendMany = ({ send }: Relay.Relay, first: number, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => Relay.message(first + n)),
    (message) => send(message),
    { concurrency: "unbounded", discard: true }
  )

describe("SmtpPool: a limit on new connections", () => {
  it.live("sends over the connections that may be opened, and opens others when it may", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=5ms"] })
      const connectionRate = new Allowance(1)
      const relay = yield* Relay.open(server, { connectionRate, maxConnections: 10, pipelining: "envelope" })
      yield* sendMany(relay, 0, 30)
      assert.strictEqual(server.stats.messages, 30)
      assert.strictEqual(server.stats.connections, 1)
      connectionRate.allowed = 3
      yield* sendMany(relay, 30, 60)
      assert.strictEqual(server.stats.connections, 3)
      assert.strictEqual(connectionRate.opens, 3)
      assert.strictEqual((yield* relay.smtp.stats).failed, 0)
    })
  )

  it.live("makes the first message wait where none may be opened, and tells it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const connectionRate = new Allowance(0)
      const relay = yield* Relay.open(server, { connectionRate })
      const sending = yield* Effect.forkChild(sendMany(relay, 0, 1), { startImmediately: true })
      const { connectionsHeld, waiting } = yield* relay.smtp.stats
      assert.strictEqual(waiting, 1)
      assert.isAtMost(connectionsHeld!.since, Date.now())
      assert.isAtLeast(connectionsHeld!.until, connectionsHeld!.since)
      assert.strictEqual(server.stats.connections, 0)
      connectionRate.allowed = 1
      yield* Fiber.join(sending)
      assert.strictEqual((yield* relay.smtp.stats).connectionsHeld, undefined)
    })
  )

  it.live("counts the second connection of an opening whose TLS fails", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, faults: ["tls:drop"] })
      const connectionRate = new Allowance(1)
      const relay = yield* Relay.open(server, { connectionRate, tls: { mode: "opportunistic" } })
      const wanted = yield* Deferred.make<void>()
      const ask = connectionRate.availableAt
      const counted: SmtpOptions.ConnectionGate = connectionRate
      Object.assign(counted, {
        availableAt: (now: number) => {
          if (connectionRate.opens === 1) Deferred.doneUnsafe(wanted, Effect.void)
          return ask(now)
        }
      })
      const sending = yield* Effect.forkChild(sendMany(relay, 0, 1), { startImmediately: true })
      yield* Deferred.await(wanted)
      assert.strictEqual(server.stats.connections, 1)
      connectionRate.allowed = 2
      yield* Fiber.join(sending)
      assert.strictEqual(server.stats.connections, connectionRate.opens)
    })
  )

  it.live("lets a pool close while a connection may not be opened", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const exit = yield* Effect.scoped(
        Effect.gen(function* () {
          const relay = yield* Relay.open(server, { connectionRate: new Allowance(0) })
          return yield* Effect.forkDetach(Effect.result(relay.send(Relay.message(0))), { startImmediately: true })
        })
      ).pipe(Effect.flatMap(Fiber.join))
      assert.strictEqual(exit._tag, "Failure")
    })
  )
})
