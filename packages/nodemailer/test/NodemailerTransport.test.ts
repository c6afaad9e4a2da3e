import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Mailer from "mailrace/Mailer"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Nodemailer from "nodemailer"
import * as Net from "node:net"
import { vi } from "vitest"
import * as NodemailerTransport from "../src/NodemailerTransport.ts"

const message = (options: {
  readonly from?: string | undefined
  readonly to?: ReadonlyArray<string>
  readonly content?: Composed.Content | string
  readonly more?: Partial<Composed.Options>
}): Composed.Composed =>
  Composed.make({
    messageId: "<1@example.org>",
    envelope: {
      from: "from" in options ? (options.from as Address.Address | undefined) : Address.fromStringUnsafe("ann@a.test"),
      to: (options.to ?? ["bob@b.test"]).map(Address.fromStringUnsafe)
    },
    content:
      typeof options.content === "string" || options.content === undefined
        ? Buffer.from(options.content ?? "Subject: Hello\r\n\r\nHi\r\n", "latin1")
        : options.content,
    ...options.more
  })

const smtp = (server: TestServer.TestServerService, options: object = {}) =>
  NodemailerTransport.layer({ host: server.host, port: server.port, ignoreTLS: true, ...options })

const send = (server: TestServer.TestServerService, given: Composed.Composed, options?: object) =>
  Effect.flatMap(MailTransport, (transport) => transport.send(given)).pipe(Effect.provide(smtp(server, options)))

const failure = (server: TestServer.TestServerService, given: Composed.Composed, options?: object) =>
  Effect.map(Effect.flip(send(server, given, options)), (error) => error.reason)

const tags = (recipients: ReadonlyArray<MailError.RecipientOutcome>) =>
  recipients.map(({ address, outcome, reply }) => [address, outcome, reply?.code].filter(Boolean).join(" "))

for (const pool of [false, true]) {
  describe(`NodemailerTransport over SMTP, ${pool ? "pooled" : "one connection a message"}`, () => {
    it.live("hands on envelope and bytes as they are", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const content = "From: a\r\nSubject: \xc3\xbc\r\n\r\n.\r\n..a\r\n\xff\x80\r\n\r\n\r\n"
        const receipt = yield* send(
          server,
          message({
            from: undefined,
            to: ["bob@bücher.test", '"odd local"@b.test', "carol@b.test"],
            content,
            more: { eightBit: true }
          }),
          { pool }
        )
        const [taken] = server.messages
        assert.isDefined(taken)
        assert.strictEqual(taken.from.address, "")
        assert.strictEqual(taken.from.parameters["BODY"], "8BITMIME")
        assert.strictEqual(taken.from.parameters["SIZE"], String(content.length))
        assert.deepStrictEqual(
          taken.to.map(({ address }) => address),
          ["bob@xn--bcher-kva.test", '"odd local"@b.test', "carol@b.test"]
        )
        assert.strictEqual(Buffer.from(taken.content).toString("latin1"), content)
        assert.strictEqual(receipt.reply.code, 250)
        assert.match(receipt.reply.enhanced ?? "", /^2\./)
        assert.strictEqual(receipt.relay, `${server.host}:${server.port}`)
        assert.deepStrictEqual(tags(receipt.recipients), [
          "bob@bücher.test accepted",
          '"odd local"@b.test accepted',
          "carol@b.test accepted"
        ])
      })
    )

    it.live("asks for notifications (DSN)", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const given = message({})
        const dsn = { return: "headers", envelopeId: "id+1", notify: ["failure", "delay"] } as const
        yield* send(server, { ...given, envelope: { ...given.envelope, dsn } }, { pool })
        const [taken] = server.messages
        assert.deepInclude(taken?.from.parameters, { RET: "HDRS", ENVID: "id+2B1" })
        assert.deepInclude(taken?.to[0]?.parameters, { NOTIFY: "FAILURE,DELAY" })
      })
    )

    it.live("streams content, and reads it anew at each attempt", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["final:451:first=1"] })
        let opened = 0
        const stream = Stream.suspend(() => {
          opened++
          return Stream.range(1, 300).pipe(
            Stream.rechunk(1),
            Stream.map((i) => Buffer.from(`${i} ${"x".repeat(998 - 8)}\r\n`))
          )
        })
        const given = message({ content: { _tag: "StreamedContent", stream }, more: { size: 300_000 } })
        const delivery = yield* Mailer.send(given).pipe(Effect.provide(smtp(server, { pool })))
        assert.strictEqual(delivery.attempts, 2)
        assert.strictEqual(opened, 2)
        const whole = Buffer.concat(yield* Stream.runCollect(stream))
        assert.isTrue(whole.equals(server.messages[0]!.content))
      })
    )

    it.live("comes with the stream's own error, and the server gets no message", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const problem = MailError.invalid("attachments[0].path", "gone")
        const stream = Stream.concat(Stream.succeed(Buffer.from("Subject: x\r\n\r\n")), Stream.fail(problem))
        const error = yield* Effect.flip(
          send(server, message({ content: { _tag: "StreamedContent", stream } }), { pool })
        )
        assert.strictEqual(error, problem)
        yield* server.awaitIdle
        assert.strictEqual(server.stats.messages + server.stats.unanswered, 0)
      })
    )

    it.live("tells what became of each recipient", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({
          faults: ["rcpt:550:to=gone@*", "rcpt:450:to=busy@*"]
        })
        const to = ["gone@b.test", "Ok@B.test", "busy@b.test"]
        const receipt = yield* send(server, message({ to }), { pool })
        assert.deepStrictEqual(tags(receipt.recipients), [
          "gone@b.test rejected 550",
          "Ok@B.test accepted",
          "busy@b.test deferred 450"
        ])
        assert.strictEqual(receipt.recipients[0]?.reply?.enhanced, "5.1.1")
      })
    )

    for (const [faults, tag, isRetryable] of [
      [["rcpt:550"], "RecipientsRejected", false],
      [["rcpt:450 4.2.0 later"], "RecipientsRejected", true],
      [["rcpt:450 4.7.1 greylisted"], "Throttled", true],
      [["mail:550"], "SenderRejected", false],
      [["mail:451"], "SenderRejected", true],
      [["mail:452 4.5.3 too much"], "Throttled", true],
      [["data:554"], "MessageRejected", false],
      [["data:451"], "MessageRejected", true],
      [["final:554"], "MessageRejected", false],
      [["final:451"], "MessageRejected", true],
      [["final:552 5.3.4 too large"], "SizeExceeded", false],
      [["final:550 5.1.1 no such user"], "MailboxUnavailable", false],
      [["mail:421"], "Throttled", true],
      [["rcpt:421"], "Throttled", true],
      [["final:421"], "Throttled", true],
      [["greeting:554 5.7.1 go away"], "ConnectFailed", false],
      [["greeting:421"], "Throttled", true],
      [["greeting:drop"], "ConnectionLost", true],
      [["greeting:garbage"], "ProtocolViolation", true],
      [["mail:drop"], "ConnectionLost", true],
      [["rcpt:reset"], "ConnectionLost", true],
      [["data:drop"], "ConnectionLost", true],
      [["final:drop"], "OutcomeUnknown", false],
      [["final:reset"], "OutcomeUnknown", false],
      [["final:partial=close"], "OutcomeUnknown", false],
      [["final:garbage"], "OutcomeUnknown", false]
    ] as const) {
      // A pool takes up a message again that met a closed door, until it gives up.
      it.live(`${faults.join()} is ${tag}`, () =>
        Effect.gen(function* () {
          const server = yield* TestServer.make({ faults: [...faults] })
          const reason = yield* failure(server, message({ to: ["bob@b.test", "carol@b.test"] }), {
            pool,
            maxRequeues: 0
          })
          assert.strictEqual(reason._tag, tag, reason.message)
          assert.strictEqual(reason.isRetryable, isRetryable)
          const code = /:(\d{3})/.exec(faults[0])?.[1]
          if (code !== undefined)
            assert.strictEqual("reply" in reason ? reason.reply?.code : undefined, Number(code), reason.message)
        })
      )
    }

    it.live("a connection that breaks in the middle of the content is ConnectionLost", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["content:reset"] })
        const content = Buffer.from(`Subject: x\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(100_000)}`)
        const reason = yield* failure(server, message({ content }), { pool })
        assert.strictEqual(reason._tag, "ConnectionLost")
        assert.strictEqual(reason._tag === "ConnectionLost" && reason.phase, "content")
      })
    )

    it.live("a silence is told by how far the session had come", () =>
      Effect.forEach(
        [
          ["greeting:hang", "Timeout", "greeting"],
          ["ehlo:hang", "Timeout", "connect"],
          ["mail:hang", "Timeout", "envelope"],
          ["data:hang", "Timeout", "envelope"],
          ["final:hang", "OutcomeUnknown", undefined]
        ] as const,
        ([fault, tag, phase]) =>
          Effect.gen(function* () {
            const server = yield* TestServer.make({ faults: [fault] })
            const reason = yield* failure(server, message({}), {
              pool,
              socketTimeout: 400,
              greetingTimeout: fault === "greeting:hang" ? 200 : 5000
            })
            assert.strictEqual(reason._tag, tag, `${fault}: ${reason.message}`)
            if (reason._tag === "Timeout")
              assert.deepStrictEqual([reason.phase, reason.limitMs], [phase, phase === "greeting" ? 200 : 400])
          }),
        // Together, because each takes as long as the limit that it runs into.
        { concurrency: "unbounded" }
      )
    )

    it.live("a login refused, and a message too large, are told as such", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ users: { ann: "right" }, maxMessageSize: 1000 })
        const login = { user: "ann", pass: "wrong-password" }
        const refused = yield* failure(server, message({}), { pool, auth: login })
        assert.instanceOf(refused, MailError.AuthenticationFailed)
        assert.strictEqual(refused.reply?.code, 535)
        assert.notInclude(JSON.stringify(refused), "wrong-password")
        const large = yield* failure(server, message({ content: "x".repeat(2000) }), { pool })
        assert.deepInclude(large, { _tag: "SizeExceeded", size: 2000, limit: 1000 })
      })
    )

    it.live("a certificate that nobody vouches for is TlsFailed", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: true })
        const reason = yield* failure(server, message({}), { pool, ignoreTLS: false, requireTLS: true })
        assert.strictEqual(reason._tag, "TlsFailed", reason.message)
      })
    )

    it.live("a port where nothing listens is ConnectFailed", () =>
      Effect.gen(function* () {
        const port = yield* Effect.callback<number>((resume) => {
          const server = Net.createServer().listen(0, "127.0.0.1", () => {
            const { port } = server.address() as Net.AddressInfo
            server.close(() => resume(Effect.succeed(port)))
          })
        })
        const layer = NodemailerTransport.layer({ host: "127.0.0.1", port, ...(pool ? { pool: true } : {}) })
        const error = yield* Effect.flip(
          Effect.flatMap(MailTransport, (transport) => transport.send(message({}))).pipe(Effect.provide(layer))
        )
        assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "refused", host: "127.0.0.1", port })
      })
    )

    it.live("an interrupt before the content takes the message back", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["mail:hang"] })
        const fiber = yield* Effect.forkChild(send(server, message({}), { pool }))
        yield* server.until((stats) => stats.commands >= 2)
        yield* Fiber.interrupt(fiber)
        yield* server.awaitIdle
        assert.strictEqual(server.stats.messages + server.stats.unanswered, 0)
      })
    )

    it.live("an interrupt after the content waits for the outcome", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["final:delay=200ms"] })
        const content = "Subject: x\r\n\r\nHi\r\n"
        let outcome: unknown
        const fiber = yield* Effect.forkChild(
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(MailTransport, (transport) =>
              Effect.map(transport.send(message({ content }), { restore }), (receipt) => (outcome = receipt.reply.code))
            )
          ).pipe(Effect.provide(smtp(server, { pool })))
        )
        yield* server.until((stats) => stats.bytesReceived > 0 && stats.faults === 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(outcome, 250)
        assert.strictEqual(server.stats.messages, 1)
      })
    )

    it.live("an interrupt waits for the reply to content that was handed over, however late it comes", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["final:delay=60s"] })
        const transport = { host: server.host, port: server.port, ignoreTLS: true, pool }
        yield* Effect.acquireRelease(
          Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })),
          () => Effect.sync(() => vi.useRealTimers())
        )
        let code: number | undefined
        const fiber = yield* Effect.forkChild(
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(MailTransport, (transport) =>
              Effect.map(transport.send(message({}), { restore }), ({ reply }) => (code = reply.code))
            )
          ).pipe(Effect.provide(NodemailerTransport.layer(transport)))
        )
        yield* server.until((stats) => stats.faults === 1)
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* Effect.promise(() => vi.advanceTimersByTimeAsync(60_000))
        yield* Fiber.join(interrupting)
        assert.strictEqual(code, 250)
      })
    )

    it.live("an interrupt after the content that gets no outcome within its grace is OutcomeUnknown", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["final:hang"] })
        let outcome: unknown
        const transport = { host: server.host, port: server.port, ignoreTLS: true, pool }
        const fiber = yield* Effect.forkChild(
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(MailTransport, (transport) =>
              Effect.map(
                Effect.flip(transport.send(message({}), { restore })),
                (error) => (outcome = error.reason._tag)
              )
            )
          ).pipe(Effect.provide(NodemailerTransport.layer(transport, { interruptGrace: 50 })))
        )
        yield* server.until((stats) => stats.faults === 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(outcome, "OutcomeUnknown")
        yield* server.awaitIdle
      })
    )
  })
}

describe("Mailer.sendAll over NodemailerTransport", () => {
  it.live("sends each mail once, retries what may succeed, and reports the rest", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        // Six refusals for now in all, which even a mail that meets each of them outlasts.
        faults: ["rcpt:550:to=gone*", "rcpt:450 4.2.0 busy:to=busy*:first=3", "mail:451:first=3"]
      })
      const mails = Stream.range(0, 199).pipe(
        Stream.map((i) => ({
          id: String(i),
          from: "Ann <ann@a.test>",
          to: `${i % 10 === 3 ? "gone" : i % 10 === 7 ? "busy" : "ok"}${i}@b.test`,
          subject: `Mail ${i}`,
          text: `Hello ${i}`
        }))
      )
      const deliveries = yield* mails.pipe(
        // All 25 refusals may meet the same mail.
        Mailer.sendAll({ retry: RetryPolicy.make({ base: 1, factor: 1, times: 25 }) }),
        Stream.runCollect,
        Effect.provide(smtp(server, { pool: true, maxConnections: 5 }))
      )
      assert.deepStrictEqual(
        deliveries.map(({ index }) => index).sort((a, b) => a - b),
        Array.from({ length: 200 }, (_, i) => i)
      )
      for (const delivery of deliveries)
        assert.strictEqual(delivery._tag, delivery.index % 10 === 3 ? "Rejected" : "Accepted")
      assert.strictEqual(server.messages.length, 180)
      assert.strictEqual(new Set(server.messages.map(({ to }) => to[0]?.address)).size, 180)
      assert.isAtMost(server.stats.peak, 5)
      assert.deepStrictEqual([...server.protocolErrors], [])
    })
  )

  it.live("leaves a transporter open that the caller made, and closes one that it made itself", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const transporter = Nodemailer.createTransport({
        pool: true,
        host: server.host,
        port: server.port,
        ignoreTLS: true
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => transporter.close()))
      const once = Effect.flatMap(MailTransport, (transport) => transport.send(message({})))
      yield* Effect.provide(once, NodemailerTransport.layer(transporter))
      yield* Effect.provide(once, NodemailerTransport.layer(transporter))
      assert.strictEqual(server.stats.connections, 1)
      yield* Effect.provide(once, smtp(server, { pool: true }))
      transporter.close()
      yield* server.awaitIdle
      assert.strictEqual(server.stats.connections, 2)
    })
  )
})
