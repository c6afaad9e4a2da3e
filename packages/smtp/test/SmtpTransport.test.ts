import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import { MailTransport } from "mailrace/MailTransport"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Pipelining from "../src/Pipelining.ts"
import * as SmtpTransport from "../src/SmtpTransport.ts"
import * as Relay from "./support/relay.ts"
import * as Stopped from "./support/stopped.ts"

const sendThrough = <E>(layer: Layer.Layer<MailTransport | SmtpTransport.SmtpTransport, E>, n: number) =>
  Effect.scoped(
    Effect.flatMap(MailTransport, (transport) => transport.send(Relay.message(n))).pipe(Effect.provide(layer))
  )

/** Runs a send as `Mailer` does: uninterruptible, but for what may be given up without loss. Notes how it ended. */
const sendMasked = ({ transport }: Relay.Relay, n: number, ends: Map<number, string> = new Map()) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.map(Effect.result(transport.send(Relay.message(n), { restore })), (result) => {
      ends.set(n, Result.isSuccess(result) ? "Accepted" : result.failure.reason._tag)
    })
  )

describe("SmtpTransport: layers", () => {
  it.live("a URL is all that is needed", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { relay } = yield* sendThrough(SmtpTransport.layerUrl(`smtp://127.0.0.1:${server.port}?tls=off`), 1)
      assert.strictEqual(relay, `127.0.0.1:${server.port}`)
      yield* sendThrough(SmtpTransport.layerUrl(Redacted.make(`smtp://127.0.0.1:${server.port}?tls=off`)), 2)
      assert.lengthOf(server.messages, 2)
      const error = yield* Effect.flip(sendThrough(SmtpTransport.layerUrl("http://relay"), 3))
      assert.strictEqual(error._tag, "RelayUrlError")
    })
  )

  it.live("configuration gives the URL, and the password apart from it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: "secret" }, requireAuth: true })
      const url = `smtp://ann@127.0.0.1:${server.port}?tls=off&allowInsecureAuth=true`
      const configured = (env: { readonly [name: string]: string }) =>
        Layer.provide(SmtpTransport.layerConfig, ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
      yield* sendThrough(configured({ MAILRACE_RELAY: url, MAILRACE_PASSWORD: "secret" }), 1)
      yield* sendThrough(configured({ MAILRACE_RELAY: url.replace("ann", "ann:secret") }), 2)
      assert.deepStrictEqual(
        server.messages.map(({ user }) => user),
        ["ann", "ann"]
      )
      assert.strictEqual((yield* Effect.flip(sendThrough(configured({}), 3)))._tag, "ConfigError")
    })
  )

  it.live("reports the concurrency that keeps it busy", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const concurrency = (pipelining: Pipelining.Choice) =>
        Effect.map(
          Relay.open(server, { pipelining, maxConnections: 4, depth: 10 }),
          ({ transport }) => transport.concurrency
        )
      assert.deepStrictEqual(
        yield* Effect.forEach(["auto", "speculative", "overlap", "envelope", "off"] as const, concurrency),
        [40, 40, 12, 4, 4]
      )
    })
  )

  it.live("reports the relay's reply to each recipient", () =>
    Effect.gen(function* () {
      for (const pipelining of Pipelining.modes) {
        const server = yield* TestServer.make({
          faults: ["rcpt:550 5.1.1 nobody:to=bad@*", "rcpt:450 4.2.2 full:to=full@*"]
        })
        const { send } = yield* Relay.open(server, { pipelining })
        const to = ["good@x.example", "bad@x.example", "full@x.example"]
        const receipt = yield* send(Relay.message(1, { to }))
        assert.deepStrictEqual(
          receipt.recipients.map(({ address, outcome, reply }) => [address, outcome, reply?.enhanced]),
          [
            [to[0], "accepted", "2.1.5"],
            [to[1], "rejected", "5.1.1"],
            [to[2], "deferred", "4.2.2"]
          ]
        )
        assert.deepInclude(receipt, { reply: { code: 250, enhanced: "2.0.0", text: "message accepted" } })
        const error = yield* Effect.flip(send(Relay.message(2, { to: to.slice(1) })))
        assert.strictEqual(error.reason._tag, "RecipientsRejected")
        assert.isTrue(error.isRetryable)
        assert.deepStrictEqual(server.protocolErrors, [])
      }
    })
  )

  it.live("tells what the relay offers, from a first session that it keeps", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ maxMessageSize: 1_000, extensions: { auth: ["PLAIN"], chunking: false } })
      const { smtp } = yield* Relay.open(server)
      for (const _ of [1, 2])
        assert.deepInclude(yield* smtp.capabilities, { auth: ["PLAIN"], chunking: false, size: 1_000 })
      assert.strictEqual(server.stats.connections, 1)
    })
  )

  it.live("refuses a message that the relay cannot take before the first command", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ maxMessageSize: 10 })
      const { send, smtp } = yield* Relay.open(server)
      yield* smtp.verify
      const before = server.stats.commands
      assert.deepInclude((yield* Effect.flip(send(Relay.message(1)))).reason, { _tag: "SizeExceeded", limit: 10 })
      assert.strictEqual((yield* Effect.flip(send(Relay.message(2, { to: [] })))).reason._tag, "InvalidMessage")
      assert.strictEqual(server.stats.commands, before)
    })
  )
})

describe("SmtpTransport: REQUIRETLS", () => {
  const needy = (n: number) => {
    const message = Relay.message(n)
    return { ...message, envelope: { ...message.envelope, requireTls: true } }
  }

  it.live("asks for it over a verified channel, resumed or not", () =>
    Effect.gen(function* () {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const server = yield* TestServer.make({ tls: { maxVersion } })
        const relay = yield* Relay.open(
          { host: "localhost", port: server.port },
          { tls: { mode: "required", ca: server.tls!.ca }, maxMessages: 1, maxConnections: 1 }
        )
        for (let n = 0; n < 3; n++) yield* relay.send(needy(n))
        assert.deepStrictEqual(
          server.messages.map(({ from, tls }) => [from.parameters["REQUIRETLS"], tls?.resumed]),
          [
            ["", false],
            ["", true],
            ["", true]
          ]
        )
      }
    })
  )

  it.live("sends no message that demands it over any other channel", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true })
      for (const mode of ["opportunistic", "off"] as const) {
        const relay = yield* Relay.open(server, { tls: { mode } })
        const error = yield* Effect.flip(relay.send(needy(1)))
        assert.deepInclude(error.reason, { _tag: "CapabilityMissing", capability: "REQUIRETLS" })
      }
      assert.isEmpty(server.messages)
    })
  )
})

describe("SmtpTransport: interruption", () => {
  it.live("withdraws a message that was not started", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=30ms"] })
      const relay = yield* Relay.open(server, { pipelining: "overlap", maxConnections: 1 })
      const ends = new Map<number, string>()
      const first = yield* Effect.forkChild(sendMasked(relay, 1, ends))
      yield* server.until(({ faults }) => faults === 1)
      const others = yield* Effect.forEach([2, 3, 4, 5], (n) => Effect.forkChild(sendMasked(relay, n, ends)))
      yield* Fiber.interruptAll(others)
      yield* Fiber.join(first)
      assert.deepStrictEqual([...ends], [[1, "Accepted"]])
      yield* relay.send(Relay.message(6))
      assert.deepStrictEqual(
        server.messages.map(({ from }) => from.address),
        ["from-1@test.example", "from-6@test.example"]
      )
    })
  )

  it.live("waits for a started message to end and returns its outcome", () =>
    Effect.gen(function* () {
      for (const pipelining of Pipelining.modes) {
        const server = yield* TestServer.make({ faults: ["final:delay=20ms"] })
        const relay = yield* Relay.open(server, { pipelining })
        const ends = new Map<number, string>()
        const fiber = yield* Effect.forkChild(sendMasked(relay, 1, ends))
        yield* server.until(({ faults }) => faults === 1)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual([...ends], [[1, "Accepted"]])
        assert.lengthOf(server.messages, 1)
      }
    })
  )

  it.live("waits for the reply to content that the relay may have, however late it comes", () =>
    Effect.gen(function* () {
      const { pass } = yield* Stopped.clock
      for (const pipelining of Pipelining.modes) {
        const server = yield* TestServer.make({ faults: ["final:delay=60s"] })
        const relay = yield* Relay.open(server, { pipelining })
        const ends = new Map<number, string>()
        const fiber = yield* Effect.forkChild(sendMasked(relay, 1, ends))
        yield* server.until(({ faults }) => faults === 1)
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* pass(60_000)
        yield* Fiber.join(interrupting)
        assert.deepStrictEqual([pipelining, ...ends], [pipelining, [1, "Accepted"]])
      }
    })
  )

  it.live("waits until the final reply's limit and then ends as unknown", () =>
    Effect.gen(function* () {
      const { pass } = yield* Stopped.clock
      const server = yield* TestServer.make({ faults: ["final:hang"] })
      const relay = yield* Relay.open(server, { timeouts: { finalReply: "40 seconds" } })
      const ends = new Map<number, string>()
      const fiber = yield* Effect.forkChild(sendMasked(relay, 1, ends))
      yield* server.until(({ faults }) => faults === 1)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* pass(39_000)
      assert.isUndefined(interrupting.pollUnsafe())
      yield* pass(2_000)
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual([...ends], [[1, "OutcomeUnknown"]])
    })
  )

  it.live(
    "cuts a message that the relay cannot have after 10 seconds, but no connection that awaits a final reply",
    () =>
      Effect.gen(function* () {
        const { pass } = yield* Stopped.clock
        const server = yield* TestServer.make({ faults: ["final:delay=60s:nth=4", "rcpt:hang:to=to-2@*"] })
        const relay = yield* Relay.open(server, { pipelining: "overlap", maxConnections: 1 })
        // A relay that has shown to be quick gets the next envelope before it has answered.
        for (const n of [11, 12, 13]) yield* relay.send(Relay.message(n))
        const ends = new Map<number, string>()
        const fibers = yield* Effect.forEach([1, 2], (n) => Effect.forkChild(sendMasked(relay, n, ends)))
        yield* server.until(({ faults }) => faults === 1)
        const interrupting = yield* Effect.forkChild(Fiber.interruptAll(fibers), { startImmediately: true })
        yield* pass(60_000)
        yield* server.until(({ faults }) => faults === 2)
        yield* pass(10_000)
        yield* Fiber.join(interrupting)
        assert.deepStrictEqual([...ends], [[1, "Accepted"]])
      })
  )

  it.live("waits for the configured grace and then ends as unknown", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:hang"] })
      const relay = yield* Relay.open(server, { interruptGrace: 20 })
      const ends = new Map<number, string>()
      const fiber = yield* Effect.forkChild(sendMasked(relay, 1, ends))
      yield* server.until(({ faults }) => faults === 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([...ends], [[1, "OutcomeUnknown"]])
      yield* server.until(() => server.connections[0]?.open === false)
    })
  )

  it.live("masks by itself without a caller's restore", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=20ms"] })
      const relay = yield* Relay.open(server)
      const fiber = yield* Effect.forkChild(relay.send(Relay.message(1)))
      yield* server.until(({ faults }) => faults === 1)
      yield* Fiber.interrupt(fiber)
      assert.lengthOf(server.messages, 1)
    })
  )
})

describe("SmtpTransport: a gate", () => {
  for (const pipelining of ["off", "envelope", "overlap", "speculative"] as const) {
    it.live(`holds back messages that are not started once it closes, and costs no attempt: ${pipelining}`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ latency: "10 millis" })
        const relay = yield* Relay.open(server, { maxConnections: 1, pipelining })
        const latch = yield* Latch.make(true)
        const gate = {
          isOpen: true,
          opened: latch.await
        }
        const begun = () =>
          server.transcript.filter(({ by, line }) => by === "client" && /^RCPT TO:<to-/i.test(line)).length
        const sends = yield* Effect.forEach(
          Array.from({ length: 12 }, (_, n) => n),
          (n) => Effect.forkChild(relay.transport.send(Relay.message(n), { gate }))
        )
        yield* server.until(() => begun() > 0)
        yield* latch.close
        gate.isOpen = false
        const atMost = begun() + Pipelining.depthOf(pipelining, 4)
        // One that nobody holds back comes after all those that were begun.
        yield* relay.transport.send(Relay.message(99))
        const held = server.messages.length - 1
        assert.strictEqual(begun(), held + 1)
        assert.isAtMost(held, atMost)
        assert.isBelow(held, 12)
        gate.isOpen = true
        yield* latch.open
        for (const send of sends) yield* Fiber.join(send)
        assert.strictEqual(server.messages.length, 13)
      })
    )
  }
})

describe("SmtpTransport: silence", () => {
  it.live("is noticed however many messages come meanwhile", () =>
    Effect.gen(function* () {
      const { pass } = yield* Stopped.clock
      const server = yield* TestServer.make({ faults: ["mail:hang"] })
      const relay = yield* Relay.open(server, { maxConnections: 1, pipelining: "overlap", timeouts: { command: 60 } })
      const first = yield* Effect.forkChild(Effect.flip(relay.send(Relay.message(0))))
      yield* server.until(({ faults }) => faults === 1)
      for (let n = 0; n < 6; n++) {
        yield* Effect.forkChild(Effect.ignore(relay.send(Relay.message(1))), { startImmediately: true })
        yield* pass(10)
      }
      const { reason } = yield* Fiber.join(first)
      assert.deepInclude(reason, { _tag: "Timeout", limitMs: 60 })
    })
  )

  it.live("is noticed after a pause in which nothing was awaited", () =>
    Effect.gen(function* () {
      const { pass } = yield* Stopped.clock
      const server = yield* TestServer.make({ faults: ["mail:hang"] })
      const relay = yield* Relay.open(server, { pipelining: "off", timeouts: { greeting: 30, command: 30 } })
      yield* relay.smtp.verify
      yield* pass(80)
      const fiber = yield* Effect.forkChild(Effect.flip(relay.send(Relay.message(0))))
      yield* server.until(({ faults }) => faults === 1)
      yield* pass(30)
      const { reason } = yield* Fiber.join(fiber)
      assert.deepInclude(reason, { _tag: "Timeout", limitMs: 30 })
    })
  )
})
