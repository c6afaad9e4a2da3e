import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as SmtpOptions from "../../../src/SmtpOptions.ts"
import { failure } from "../../support/handshake.ts"
import * as Network from "../../support/network.ts"
import * as Relay from "../../support/relay.ts"
import * as Stopped from "../../support/stopped.ts"

const named = (server: { readonly port: number }) => ({ host: "relay.example", port: server.port })

/** The error of a relay of that name, while time passes as the event loop turns. */
const failureOf = (
  port: number,
  options: Partial<SmtpOptions.Options> = {}
): Effect.Effect<MailError.MailError, void, Scope.Scope> =>
  Stopped.paced(failure({ host: "relay.example", port }, options))

/** A port at which nothing listens. */
const freePort = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const { port } = yield* Scope.provide(TestServer.make(), scope)
  yield* Scope.close(scope, Exit.void)
  return port
})

describe("dial: names", () => {
  it.live("tells a name that does not exist from one that cannot be resolved just now", () =>
    Effect.gen(function* () {
      yield* Network.names(() => "ENOTFOUND")
      const missing = yield* failure({ host: "relay.example", port: 25 })
      assert.deepInclude(missing.reason, { _tag: "ConnectFailed", kind: "dns", host: "relay.example" })
      assert.isFalse(missing.isRetryable)
      yield* Network.names(() => "EAI_AGAIN")
      const unresolved = yield* failure({ host: "relay.example", port: 25 })
      assert.deepInclude(unresolved.reason, { _tag: "ConnectFailed", kind: "unreachable" })
      assert.isTrue(unresolved.isRetryable)
      assert.include(unresolved.remedy, "name servers")
    })
  )

  it.live("waits for a name only so long", () =>
    Effect.gen(function* () {
      yield* Network.names(() => undefined)
      const { reason } = yield* failureOf(25, { timeouts: { dns: 300 } })
      assert.deepInclude(reason, { _tag: "Timeout", phase: "dns", limitMs: 300 })
    })
  )

  for (const [what, answers] of [
    ["both together fail", { 0: "EAI_AGAIN", 4: ["127.0.0.1"], 6: "EAI_AGAIN" }],
    ["AAAA is never answered", { 0: undefined, 4: ["127.0.0.1"], 6: undefined }],
    ["A comes late and AAAA never", { 0: undefined, 4: { lateMs: 1_000, answer: ["127.0.0.1"] }, 6: undefined }],
    ["A does not exist, and AAAA has an address that nobody listens at", { 0: ["::1", "127.0.0.1"] }]
  ] as const) {
    it.live(`reaches the relay where ${what}`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        yield* Network.names((family) => (answers as Record<number, Network.Answer>)[family])
        const relay = yield* Relay.open(named(server))
        yield* Stopped.paced(relay.send(Relay.message(1)))
        assert.lengthOf(server.messages, 1)
      })
    )
  }

  it.live("reaches a relay that has only AAAA", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ host: "::1" })
      yield* Network.names((family) => (family === 4 ? "ENOTFOUND" : ["::1"]))
      const relay = yield* Relay.open(named(server))
      yield* relay.send(Relay.message(1))
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("an address that is found late joins those that are being tried", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      yield* Network.names((family) =>
        family === 4 ? { lateMs: 2_000, answer: ["127.0.0.1"] } : family === 6 ? ["2001:db8::1"] : undefined
      )
      const { tried } = yield* Network.handshakes({ "2001:db8::1": "ENETUNREACH" })
      const relay = yield* Relay.open(named(server))
      yield* Stopped.paced(relay.send(Relay.message(1)))
      assert.deepStrictEqual(tried, ["2001:db8::1", "127.0.0.1"])
    })
  )

  it.live("connections that are opened together ask once", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { asked } = yield* Network.names(() => ({ lateMs: 20, answer: ["127.0.0.1"] }))
      const relay = yield* Relay.open(named(server), { minConnections: 5, maxConnections: 5 })
      yield* relay.send(Relay.message(1))
      yield* server.until(({ connections }) => connections === 5)
      // The first connection opens alone.
      assert.deepStrictEqual(asked, [0, 0])
    })
  )
})

describe("dial: addresses", () => {
  it.live(
    "a handshake that takes longer than a quarter of a second is waited for, whatever the last address does",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        for (const last of ["ENETUNREACH", "never"] as const)
          for (const others of [["2001:db8::1"], ["2001:db8::1", "127.0.0.9"]]) {
            yield* Effect.scoped(
              Effect.gen(function* () {
                yield* Network.names(() => ["127.0.0.1", ...others])
                const { sockets } = yield* Network.handshakes({ "127.0.0.1": 900, "2001:db8::1": last })
                const relay = yield* Relay.open(named(server))
                yield* Stopped.paced(relay.smtp.verify)
                // Those that lost are closed.
                assert.strictEqual(sockets.filter(({ destroyed }) => !destroyed).length, 1)
              })
            )
          }
        assert.strictEqual(server.stats.connections, 4)
      })
  )

  it.live("an address that hangs costs a quarter of a second, and the next connection nothing", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      yield* Network.names(() => ["2001:db8::1", "127.0.0.1"])
      const { tried } = yield* Network.handshakes({ "2001:db8::1": "never" })
      const { pass } = yield* Stopped.clock
      const relay = yield* Relay.open(named(server), { maxMessages: 1 })
      const sending = yield* Effect.forkChild(relay.send(Relay.message(1)))
      yield* Stopped.turns(20)
      yield* pass(249)
      yield* Stopped.turns(20)
      assert.deepStrictEqual(tried, ["2001:db8::1"])
      yield* pass(1)
      yield* Fiber.join(sending)
      yield* relay.send(Relay.message(2))
      assert.isAtLeast(tried.length, 3)
      assert.lengthOf(
        tried.filter((address) => address === "2001:db8::1"),
        1
      )
    })
  )

  it.live("an error names every address and why", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Network.names(() => ["127.0.0.1", "2001:db8::1", "127.0.0.9", "2001:db8::2"])
      yield* Network.handshakes({ "2001:db8::1": "ENETUNREACH", "2001:db8::2": "never" })
      const { reason } = yield* failureOf(port, { timeouts: { connect: 2_000 } })
      assert.deepInclude(reason, { _tag: "ConnectFailed", kind: "unreachable" })
      assert.strictEqual(
        reason.message,
        `relay.example:${port} cannot be reached: 127.0.0.1 refused the connection; 2001:db8::1 has no route (ENETUNREACH); ` +
          "127.0.0.9 refused the connection; 2001:db8::2 did not answer within 2000 ms"
      )
    })
  )

  it.live("a relay that refuses at every address listens nowhere", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Network.names(() => ["127.0.0.1", "127.0.0.9"])
      const error = yield* failure({ host: "relay.example", port })
      assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "refused" })
      assert.strictEqual(error.reason.message, `nothing listens at relay.example:${port} (127.0.0.1, 127.0.0.9)`)
      assert.isTrue(error.isRetryable)
      const alone = yield* failure({ host: "127.0.0.1", port })
      assert.strictEqual(alone.reason.message, `nothing listens at 127.0.0.1:${port}`)
    })
  )

  it.live("a relay that is silent at every address has timed out", () =>
    Effect.gen(function* () {
      yield* Network.names(() => ["127.0.0.1", "2001:db8::1"])
      yield* Network.handshakes({ "127.0.0.1": "never", "2001:db8::1": "never" })
      const error = yield* failureOf(25, { timeouts: { connect: 100 } })
      assert.deepInclude(error.reason, { _tag: "Timeout", phase: "connect", limitMs: 100 })
      assert.include(error.reason.message, "127.0.0.1 did not answer within 100 ms; 2001:db8::1 did not answer")
    })
  )

  it.live("names at most eight addresses, and tries all", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const addresses = Array.from({ length: 12 }, (_, n) => `2001:db8::${n + 1}`)
      yield* Network.names(() => addresses)
      const { tried } = yield* Network.handshakes(
        Object.fromEntries(addresses.map((address) => [address, "ENETUNREACH"] as const))
      )
      const { reason } = yield* failure({ host: "relay.example", port })
      assert.deepStrictEqual(tried, addresses)
      assert.match(reason.message, /; 2001:db8::8 has no route \(ENETUNREACH\); and 4 addresses more$/)
    })
  )

  it.live("leaves no socket behind when it is interrupted", () =>
    Effect.gen(function* () {
      yield* Network.names(() => ["127.0.0.1", "2001:db8::1"])
      const { sockets } = yield* Network.handshakes({ "127.0.0.1": "never", "2001:db8::1": "never" })
      const { pass } = yield* Stopped.clock
      const scope = yield* Scope.make()
      const relay = yield* Scope.provide(Relay.open({ host: "relay.example", port: 25 }), scope)
      const sending = yield* Effect.forkChild(relay.send(Relay.message(1)))
      yield* Stopped.turns(20)
      yield* pass(300)
      assert.lengthOf(sockets, 2)
      yield* Fiber.interrupt(sending)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(sockets.every(({ destroyed }) => destroyed))
    })
  )

  it.live("what Node refuses at once is an error like any other", () =>
    Effect.gen(function* () {
      yield* Network.names(() => ["127.0.0.1"])
      const { reason } = yield* failure({ host: "relay.example", port: 70_000 })
      assert.deepInclude(reason, { _tag: "ConnectFailed", kind: "unreachable" })
      assert.include(reason.message, "ERR_SOCKET_BAD_PORT")
    })
  )

  for (const host of ["127.0.0.1", "::1", "localhost"]) {
    it.live(`connects to ${host}`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ host: host === "::1" ? host : "127.0.0.1" })
        const { asked } = yield* Network.names(() => ["127.0.0.1"])
        const relay = yield* Relay.open({ host, port: server.port })
        const { relay: name } = yield* relay.send(Relay.message(1))
        assert.strictEqual(name, host === "::1" ? `[::1]:${server.port}` : `${host}:${server.port}`)
        assert.lengthOf(server.messages, 1)
        assert.lengthOf(asked, host === "localhost" ? 1 : 0)
      })
    )
  }
})

describe("dial: the local address", () => {
  it.live("connects from it, and tries only addresses of its family", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      yield* Network.names(() => ["2001:db8::1", "127.0.0.1"])
      const { sockets, tried } = yield* Network.handshakes({})
      const relay = yield* Relay.open(named(server), { localAddress: "127.0.0.5", maxConnections: 1 })
      yield* relay.send(Relay.message(1))
      assert.deepStrictEqual(tried, ["127.0.0.1"])
      assert.strictEqual(sockets[0]!.localAddress, "127.0.0.5")
    })
  )

  it.live("that is not on this machine is told as such", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const error = yield* failure(server, { localAddress: "192.0.2.7" })
      assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "localAddress" })
      assert.strictEqual(error.reason.message, "the local address 192.0.2.7 does not belong to this machine")
      assert.include(error.remedy, "`localAddress`")
      assert.strictEqual(server.stats.connections, 0)
    })
  )

  it.live("of a family that the relay's name does not have is told as such", () =>
    Effect.gen(function* () {
      for (const [localAddress, addresses, words] of [
        ["127.0.0.5", ["::1", "2001:db8::1"], "is IPv4, and relay.example has no IPv4 address (::1, 2001:db8::1)"],
        ["::1", ["127.0.0.1"], "is IPv6, and relay.example has no IPv6 address (127.0.0.1)"]
      ] as const) {
        yield* Network.names((family) => (family === 0 ? addresses : "ENOTFOUND"))
        const error = yield* failure({ host: "relay.example", port: 25 }, { localAddress })
        assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "localAddress" })
        assert.include(error.reason.message, words)
      }
    })
  )
})
