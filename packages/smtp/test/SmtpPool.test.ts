import { assert, describe, it } from "@effect/vitest"
import * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Net from "node:net"
import { int, pick } from "./support/arbitraries.ts"
import * as RawRelay from "./support/rawRelay.ts"
import * as Relay from "./support/relay.ts"
import { assertAllTaken } from "./support/taken.ts"

/** How many messages came over each connection. */
const loads = (server: TestServer.TestServerService): ReadonlyArray<number> => {
  const counts = new Map<number, number>()
  for (const { connection } of server.messages) counts.set(connection, (counts.get(connection) ?? 0) + 1)
  return [...counts.values()]
}

describe("SmtpPool: size", () => {
  it.live("opens the minimum before the first message", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { smtp } = yield* Relay.open(server, { minConnections: 3, pipelining: "off" })
      yield* server.until(({ open }) => open === 3)
      yield* smtp.verify
      assert.strictEqual(server.stats.connections, 3)
    })
  )

  it.live("opens nothing before the first message without a minimum", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { send, smtp } = yield* Relay.open(server)
      assert.deepInclude(yield* smtp.stats, { opened: 0, idle: 0, busy: 0, pipelining: undefined })
      yield* send(Relay.message(1))
      assert.strictEqual(server.stats.connections, 1)
      assert.deepInclude(yield* smtp.stats, { opened: 1, idle: 1, busy: 0, waiting: 0, pipelining: "envelope" })
    })
  )

  it.live("grows to its maximum and no further", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=30ms"] })
      const relay = yield* Relay.open(server, { maxConnections: 3, pipelining: "off" })
      yield* Relay.sendMany(relay, 20)
      assertAllTaken(server, 20)
      assert.strictEqual(server.stats.peak, 3)
      assert.deepInclude(yield* relay.smtp.stats, { opened: 3, peak: 3, failed: 0 })
    })
  )

  it.live("leases a connection as often as its mode can use", () =>
    Effect.gen(function* () {
      for (const [pipelining, waiting] of [
        ["speculative", 0],
        ["off", 9]
      ] as const) {
        const server = yield* TestServer.make({ faults: ["final:delay=30ms:nth=201"] })
        const relay = yield* Relay.open(server, { maxConnections: 1, depth: 10, pipelining })
        // A relay that answers at once gets as many as it may have.
        yield* Relay.sendMany(relay, 200)
        const fiber = yield* Effect.forkChild(Relay.sendMany(relay, 10))
        yield* server.until(({ faults }) => faults === 1)
        assert.deepInclude(yield* relay.smtp.stats, { waiting, busy: 1, opened: 1 })
        yield* Fiber.join(fiber)
      }
    })
  )

  it.live("says QUIT on every connection when it closes", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=5ms"] })
      yield* Effect.scoped(
        Effect.flatMap(Relay.open(server, { maxConnections: 4, pipelining: "overlap" }), (relay) =>
          Relay.sendMany(relay, 20)
        )
      )
      yield* server.awaitIdle
      assert.deepStrictEqual(
        server.connections.map(({ quit }) => quit),
        [true, true, true, true]
      )
      assertAllTaken(server, 20)
    })
  )
})

describe("SmtpPool: worn connections", () => {
  it.live.prop(
    "carry exactly the allowed number of messages, and none is lost",
    [int(1, 4), int(1, 3), pick(["off", "envelope", "overlap", "speculative"]), pick([1, 2, 32])],
    ([maxMessages, maxConnections, pipelining, depth]) =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* TestServer.make()
          const relay = yield* Relay.open(server, { maxMessages, maxConnections, pipelining, depth })
          yield* Relay.sendMany(relay, 20)
          assertAllTaken(server, 20)
          assert.isAtMost(Math.max(...loads(server)), maxMessages)
        })
      ),
    { arbitrary: { runs: 25 } }
  )

  it.live("do not stall a pool of one that sends one message a connection", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = yield* Relay.open(server, { maxMessages: 1, maxConnections: 1, depth: 32 })
      yield* Relay.sendMany(relay, 30)
      assertAllTaken(server, 30)
      assert.deepStrictEqual(
        loads(server),
        Array.from({ length: 30 }, () => 1)
      )
    })
  )

  it.live("are replaced with at most one session beyond the maximum", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: 4, extensions: { pipelining: false } })
      const relay = yield* Relay.open(server, { maxMessages: 1, maxConnections: 3 })
      yield* Relay.sendMany(relay, 40)
      assertAllTaken(server, 40)
      // The server may take a connection before it has seen the end of another, so the client's own count is looked at.
      assert.isAtMost((yield* relay.smtp.stats).peak, 4)
    })
  )

  it.live("are as many as the relay's LIMITS say", () =>
    Effect.gen(function* () {
      for (const pipelining of ["overlap", "speculative"] as const) {
        // The self-test opens transactions too, and the relay counts them.
        const server = yield* TestServer.make({ extensions: { limits: { mailMax: 4 } } })
        const relay = yield* Relay.open(server, { maxConnections: 2, pipelining })
        yield* Relay.sendMany(relay, 20)
        assertAllTaken(server, 20)
        assert.isAtMost(Math.max(...loads(server)), 4)
      }
    })
  )

  it.live("are replaced when they are old", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = yield* Relay.open(server, { maxConnections: 1, maxLifetime: 10 })
      let sent = 0
      while (server.stats.connections < 4) yield* relay.send(Relay.message(sent++))
      assertAllTaken(server, sent)
      yield* server.until(({ open }) => open <= 1)
      assert.isTrue(server.connections.every(({ open, quit }) => open || quit))
    })
  )

  it.live("are replaced when they break, and waiting messages continue", () =>
    Effect.gen(function* () {
      for (const fault of ["mail:reset:10%", "final:421:10%", "rcpt:garbage:10%", "data:drop:10%"]) {
        const server = yield* TestServer.make({ faults: [fault] })
        const relay = yield* Relay.open(server, { maxConnections: 2, pipelining: "overlap" })
        const results = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, n) => n),
          (n) => Effect.result(relay.send(Relay.message(n))),
          { concurrency: 60 }
        )
        const taken = results.filter(({ _tag }) => _tag === "Success").length
        assert.isAbove(server.stats.faults, 0)
        assert.strictEqual(server.stats.messages, taken)
        assert.isAtLeast(taken, 60 - 2 * server.stats.faults)
      }
    })
  )
})

describe("SmtpPool: the first session", () => {
  for (const [what, farewell] of [
    ["without a word", ""],
    ["with 421", "421 4.3.2 bye\r\n"]
  ] as const) {
    it.live(`may end at once ${what}, and the next ones carry what comes`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const relay = yield* RawRelay.make((socket, n) => {
          if (n > 1) return RawRelay.handOn(socket, server)
          socket.write("220 hi\r\n")
          socket.once("data", () => {
            socket.write("250-hi\r\n250 PIPELINING\r\n")
            socket.end(farewell)
          })
        })
        const { send, smtp } = yield* Relay.open(relay)
        yield* Effect.exit(send(Relay.message(0)))
        for (const n of [1, 2, 3]) yield* send(Relay.message(n))
        assert.includeMembers(
          server.messages.map(({ from }) => from.address),
          [1, 2, 3].map((n) => `from-${n}@test.example`)
        )
        assert.deepInclude(yield* smtp.stats, { busy: 0, waiting: 0 })
      })
    )
  }
})

describe("SmtpPool: a relay that wants less", () => {
  it.live("shrinks when the relay limits connections, and no message fails", () =>
    Effect.gen(function* () {
      let open = (): number => 0
      const server = yield* TestServer.make({
        decide: ({ phase }) =>
          phase === "greeting" && open() > 2 ? Fault.reply(421, "4.7.0 too many connections") : undefined
      })
      open = () => server.stats.open
      const relay = yield* Relay.open(server, { maxConnections: 8, pipelining: "off" })
      yield* Relay.sendMany(relay, 100)
      assertAllTaken(server, 100)
      const { failed, peak } = yield* relay.smtp.stats
      assert.strictEqual(peak, 2)
      // Each further connection was asked for once, and not again and again.
      assert.isAtMost(failed, 8)
    })
  )

  it.live("takes the place of a connection that has gone", () =>
    Effect.gen(function* () {
      let open = (): number => 0
      const server = yield* TestServer.make({
        decide: ({ phase }) =>
          phase === "greeting" && open() > 2 ? Fault.reply(421, "4.7.0 too many connections") : undefined
      })
      open = () => server.stats.open
      const relay = yield* Relay.open(server, { maxConnections: 4, maxMessages: 5, pipelining: "off" })
      yield* Relay.sendMany(relay, 60)
      assertAllTaken(server, 60)
    })
  )

  it.live("sends no more recipients at once than the relay takes, and all in total", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ extensions: { limits: { rcptMax: 2 } }, faults: ["rcpt:550:to=b@*"] })
      const relay = yield* Relay.open(server)
      const to = ["a", "b", "c", "d", "e"].map((name) => `${name}@x.example`)
      const { recipients } = yield* relay.send(Relay.message(1, { to }))
      assert.deepStrictEqual(
        recipients.map(({ address, outcome }) => [address, outcome]),
        to.map((address) => [address, address.startsWith("b") ? "rejected" : "accepted"])
      )
      assert.deepStrictEqual(
        server.messages.map((message) => message.to.map(({ address }) => address)),
        [["a@x.example"], ["c@x.example", "d@x.example"], ["e@x.example"]]
      )
    })
  )

  it.live("reports the outcome of each group", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ extensions: { limits: { rcptMax: 1 } }, faults: ["final:554:nth=2"] })
      const relay = yield* Relay.open(server)
      const { recipients } = yield* relay.send(Relay.message(1, { to: ["a@x.example", "b@x.example", "c@x.example"] }))
      assert.deepStrictEqual(
        recipients.map(({ outcome }) => outcome),
        ["accepted", "rejected", "accepted"]
      )
    })
  )
})

describe("SmtpPool: a relay that is not there", () => {
  it.live("fails each message, and takes the next when it is back", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { host, port } = yield* Scope.provide(TestServer.make(), scope)
      const relay = yield* Relay.open({ host, port }, { maxConnections: 3, pipelining: "off" })
      yield* relay.send(Relay.message(100))
      yield* Scope.close(scope, Exit.void)
      const results = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) => Effect.flip(relay.send(Relay.message(n))),
        { concurrency: 20 }
      )
      assert.isTrue(results.every(({ isRetryable }) => isRetryable))
      assert.deepInclude(results.at(-1)!.reason, { _tag: "ConnectFailed", kind: "refused" })
      const server = yield* TestServer.make({ port })
      yield* Relay.sendMany(relay, 20)
      assertAllTaken(server, 20)
    })
  )

  it.live("fails every message that arrives during the first connection attempt", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ connectDelay: 10, faults: ["greeting:554"] })
      const relay = yield* Relay.open(server)
      const errors = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => Relay.message(n)),
        (message) => Effect.flip(relay.send(message)),
        { concurrency: 20 }
      )
      assert.isTrue(errors.every(({ reason }) => reason._tag === "ConnectFailed"))
    })
  )

  it.live("does not ask without end a relay that ends each session as it opens", () =>
    Effect.gen(function* () {
      let connections = 0
      const listener = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => {
            connections++
            socket.on("error", () => {})
            socket.write("220 hi\r\n")
            socket.once("data", () => socket.end("250 hi\r\n421 4.3.2 bye\r\n"))
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = listener.address() as Net.AddressInfo
      const { send, smtp } = yield* Relay.open({ host: "127.0.0.1", port }, { minConnections: 2 })
      for (let n = 0; n < 10; n++) {
        const error = yield* Effect.flip(send(Relay.message(n)))
        assert.strictEqual(error.reason._tag, "Throttled")
        assert.strictEqual(error.reply?.code, 421)
      }
      assert.strictEqual((yield* Effect.flip(smtp.verify)).reason._tag, "Throttled")
      assert.isAtMost(connections, 24)
    })
  )

  it.live("does not ask without end a relay that ends each session a moment later", () =>
    Effect.gen(function* () {
      let connections = 0
      const listener = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => {
            connections++
            socket.on("error", () => {})
            socket.write("220 hi\r\n")
            socket.once("data", () => {
              socket.write("250 hi\r\n")
              setTimeout(() => socket.destroy(), 2)
            })
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = listener.address() as Net.AddressInfo
      const { send } = yield* Relay.open({ host: "127.0.0.1", port }, { minConnections: 2 })
      yield* Effect.sleep(300)
      assert.isAtMost(connections, 12)
      assert.isTrue((yield* Effect.flip(send(Relay.message(1)))).isRetryable)
    })
  )
})
