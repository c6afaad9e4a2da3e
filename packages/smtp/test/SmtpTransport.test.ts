import { assert, describe, it } from "@effect/vitest"
import * as Digest from "@mailrace/testing/Digest"
import * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Pipelining from "../src/Pipelining.ts"
import * as SmtpTransport from "../src/SmtpTransport.ts"
import { int, pick } from "./support/arbitraries.ts"
import { leavingNothing } from "./support/leaks.ts"
import * as Relay from "./support/relay.ts"

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

  it.live("tells how many messages keep it busy", () =>
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

  it.live("tells what the relay said of each recipient", () =>
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

  it.live("refuses what the relay cannot take before anything is said", () =>
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

describe("SmtpTransport: interruption", () => {
  it.live("takes back what was not begun", () =>
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

  it.live("waits for the end of what was begun, and gives it back", () =>
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

  it.live("waits only so long, and then does not know", () =>
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

  it.live("masks for itself when nobody else does", () =>
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

describe("SmtpTransport: content", () => {
  const block = Buffer.alloc(65_536, "0123456789abcdef0123456789abc\r\n.")
  const blocks = (count: number) => Array.from({ length: count }, () => block)

  it.live("streams what is large, whole and in step", () =>
    Effect.gen(function* () {
      for (const pipelining of Pipelining.modes) {
        const server = yield* TestServer.make({ mailbox: { type: "discard", digest: true } })
        const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
        const pieces = blocks(40)
        yield* relay.send(Relay.message(1))
        yield* Effect.all([relay.send(Relay.streamed(2, pieces)), relay.send(Relay.message(3))], { concurrency: 2 })
        const whole = Buffer.concat(pieces)
        const contents = [
          Relay.message(1).content,
          Relay.message(3).content,
          Buffer.concat([whole, Buffer.from("\r\n")])
        ]
        assert.deepStrictEqual(server.digest, Digest.of(contents as ReadonlyArray<Uint8Array>))
      }
    })
  )

  it.live("ends a message whose content breaks off, and no other", () =>
    Effect.gen(function* () {
      for (const pipelining of Pipelining.modes) {
        const server = yield* TestServer.make()
        const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
        const failing = (n: number, error: MailError.MailError) => ({
          ...Relay.streamed(n, []),
          content: {
            _tag: "StreamedContent" as const,
            stream: Stream.concat(Stream.fromIterable(blocks(2)), Stream.fail(error))
          }
        })
        const results = yield* Effect.forEach(
          [
            Relay.message(1),
            failing(2, MailError.invalid("attachments[0].path", "the file is gone")),
            Relay.message(3),
            Relay.message(4)
          ],
          (message) => Effect.result(relay.send(message)),
          { concurrency: 4 }
        )
        const [, broken, ...others] = results
        assert.isTrue(Result.isFailure(broken!))
        if (Result.isFailure(broken!)) {
          assert.deepInclude(broken.failure.reason, { _tag: "InvalidMessage", field: "attachments[0].path" })
        }
        assert.isTrue(others.every(Result.isSuccess))
        assert.deepStrictEqual(
          server.messages.map(({ from }) => from.address).toSorted(),
          [1, 3, 4].map((n) => `from-${n}@test.example`)
        )
      }
    })
  )

  it.live("takes a connection lost in the middle of content for what it is", () =>
    Effect.gen(function* () {
      for (const fault of ["content:drop", "content:reset"]) {
        const server = yield* TestServer.make({ faults: [`${fault}:first=1`] })
        const relay = yield* Relay.open(server)
        const error = yield* Effect.flip(relay.send(Relay.streamed(1, blocks(200))))
        assert.strictEqual(error.reason._tag, "ConnectionLost", fault)
        yield* relay.send(Relay.streamed(1, blocks(2)))
        assert.lengthOf(server.messages, 1)
      }
    })
  )

  it.live("gives up on a peer that takes no more", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["content:hang"] })
      const relay = yield* Relay.open(server, { timeouts: { content: 40 } })
      const { reason } = yield* Effect.flip(relay.send(Relay.streamed(1, blocks(400))))
      assert.deepInclude(reason, { _tag: "Timeout", phase: "content", limitMs: 40 })
    })
  )

  it.live("hears a refusal in the middle of content", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["content:552 5.3.4 too large:first=1"] })
      const relay = yield* Relay.open(server, { pipelining: "overlap", maxConnections: 1 })
      const results = yield* Effect.forEach(
        [Relay.streamed(1, blocks(400)), Relay.message(2), Relay.message(3)],
        (message) => Effect.result(relay.send(message)),
        { concurrency: 3 }
      )
      const [large, ...others] = results
      assert.isTrue(Result.isFailure(large!) && ["SizeExceeded", "ConnectionLost"].includes(large.failure.reason._tag))
      assert.isTrue(others.every(Result.isSuccess))
      assert.lengthOf(server.messages, 2)
    })
  )

  it.live("does not stand still when both sides have much to say", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        quirks: { deafWhileReplying: true, replyPadding: 3_000 },
        mailbox: { type: "discard" }
      })
      const relay = yield* Relay.open(server, { maxConnections: 1, depth: 64 })
      yield* Effect.forEach(
        Array.from({ length: 400 }, (_, n) => Relay.message(n, { content: block.subarray(0, 20_000) })),
        relay.send,
        { concurrency: 64 }
      )
      assert.strictEqual(server.stats.messages, 400)
    })
  )
})

describe("SmtpTransport: loss at any byte", () => {
  /** Each message ended once, and its end is what the server knows of it. */
  const assertHonest = (
    server: TestServer.TestServerService,
    results: ReadonlyArray<Result.Result<unknown, MailError.MailError>>
  ): void => {
    for (const [n, result] of results.entries()) {
      const times = [...server.messages, ...server.unanswered].filter(
        ({ from }) => from.address === `from-${n}@test.example`
      )
      if (Result.isSuccess(result)) assert.lengthOf(times, 1, `message ${n}`)
      else if (result.failure.reason._tag === "OutcomeUnknown") assert.isAtMost(times.length, 1, `message ${n}`)
      else assert.isEmpty(times, `message ${n}: ${result.failure.message}`)
      for (const { content, to } of times) {
        assert.deepStrictEqual(
          to.map(({ address }) => address),
          [`to-${n}@test.example`]
        )
        assert.deepStrictEqual(Buffer.from(content), Buffer.from(Relay.message(n).content as Uint8Array))
      }
    }
    assert.isEmpty(server.protocolErrors.filter(({ problem }) => problem.includes("unknown")))
  }

  const sendMany = (server: TestServer.TestServerService, pipelining: Pipelining.Mode) =>
    Effect.scoped(
      Effect.flatMap(
        Relay.open(server, { pipelining, maxConnections: 2, timeouts: { command: 500, finalReply: 500 } }),
        (relay) =>
          Effect.forEach(
            Array.from({ length: 12 }, (_, n) => Relay.message(n)),
            (message) => Effect.result(relay.send(message)),
            { concurrency: 12 }
          )
      )
    )

  for (const [what, cut] of [
    ["replies", "cutAfterSent"],
    ["commands and contents", "cutAfterReceived"]
  ] as const) {
    it.live.prop(
      `of ${what} leaves no doubt but where there is one`,
      [int(1, 3000), pick(["off", "envelope", "overlap", "speculative"])],
      ([bytes, mode]) =>
        leavingNothing(
          Effect.gen(function* () {
            const server = yield* TestServer.make({ quirks: { [cut]: bytes }, faults: ["rcpt:550:20%"] })
            assertHonest(server, yield* sendMany(server, mode))
          })
        ),
      { arbitrary: { runs: 60 } }
    )
  }

  for (const mode of Pipelining.modes) {
    for (const doubleReply of ["rset", "mail", "rcpt", "data", "bdat", "final"] as const) {
      it.live(`${mode}: a relay that answers ${doubleReply} twice costs no message silently`, () =>
        Effect.gen(function* () {
          const server = yield* TestServer.make({ quirks: { doubleReply }, faults: ["final:554:30%", "rcpt:550:20%"] })
          assertHonest(server, yield* sendMany(server, mode))
        })
      )
    }
  }

  it.live("a relay that goes in the middle of a deep pipeline costs each message once", () =>
    Effect.gen(function* () {
      let answered = 0
      const server = yield* TestServer.make({
        decide: ({ phase }) => (phase === "final" && ++answered % 7 === 0 ? Fault.reply(421) : undefined)
      })
      assertHonest(server, yield* sendMany(server, "speculative"))
    })
  )
})
