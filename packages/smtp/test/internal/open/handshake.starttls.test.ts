import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import { MailTransport } from "mailrace/MailTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as SmtpTransport from "../../../src/SmtpTransport.ts"
import { failure, said } from "../../support/handshake.ts"
import * as Relay from "../../support/relay.ts"

type Trust = NonNullable<TestServer.TestServerService["tls"]>

describe("SmtpHandshake: STARTTLS", () => {
  it.live("encrypts and sends EHLO again", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, requireTls: true })
      const { send } = yield* Relay.open(
        { host: "localhost", port: server.port },
        { tls: { mode: "required", ca: server.tls!.ca }, pipelining: "off" }
      )
      yield* send(Relay.message(1))
      assert.deepStrictEqual(said(server).slice(0, 4), [
        "EHLO client.example",
        "STARTTLS",
        "EHLO client.example",
        "MAIL FROM:<from-1@test.example> SIZE=34"
      ])
      assert.strictEqual(server.messages[0]?.tls?.servername, "localhost")
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("sends nothing in clear where TLS is required and fails", () =>
    Effect.gen(function* () {
      for (const [fault, tag, isRetryable] of [
        ["starttls:454", "ConnectFailed", true],
        ["starttls:421", "ConnectFailed", true],
        ["starttls:502", "TlsFailed", false],
        ["starttls:250", "TlsFailed", false],
        ["starttls:drop", "ConnectionLost", true],
        ["starttls:garbage", "ProtocolViolation", true],
        ["tls:drop", "ConnectionLost", true],
        ["tls:reset", "ConnectionLost", true],
        ["tls:garbage", "TlsFailed", false],
        ["tls:hang", "Timeout", true]
      ] as const) {
        const server = yield* TestServer.make({ tls: true, faults: [fault] })
        const { send } = yield* Relay.open(
          { host: "localhost", port: server.port },
          { tls: { mode: "required", ca: server.tls!.ca }, timeouts: { tls: fault === "tls:hang" ? 50 : 10_000 } }
        )
        const error = yield* Effect.flip(send(Relay.message(1)))
        assert.strictEqual(error.reason._tag, tag, fault)
        assert.strictEqual(error.isRetryable, isRetryable, fault)
        if (error.reason._tag === "ConnectFailed") {
          assert.strictEqual(error.reason.kind, "starttls")
          assert.include(error.remedy, "send again later")
        }
        if ("phase" in error.reason) assert.strictEqual(error.reason.phase, fault.split(":")[0])
        assert.notInclude(said(server).join(), "MAIL")
      }
    })
  )

  it.live("wants it offered where it is required", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, extensions: { starttls: false } })
      const error = yield* failure(server, { tls: { mode: "required" } })
      assert.strictEqual(error.reason._tag, "TlsFailed")
      assert.include(error.message, "does not offer STARTTLS")
      assert.include(error.remedy, "465")
      assert.notInclude(said(server).join(), "MAIL")
    })
  )

  it.live("opportunistic: takes any certificate", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: { names: ["another.example"], expired: true } })
      const { send } = yield* Relay.open(server, { tls: { mode: "opportunistic" } })
      yield* send(Relay.message(1))
      assert.isDefined(server.messages[0]?.tls)
    })
  )

  it.live("opportunistic: continues in clear if the relay has no TLS", () =>
    Effect.gen(function* () {
      for (const fault of ["starttls:454", "starttls:502", "tls:drop", "tls:reset", "tls:garbage", "tls:hang"]) {
        const server = yield* TestServer.make({ tls: true, faults: [fault] })
        const { send } = yield* Relay.open(server, { tls: { mode: "opportunistic" }, timeouts: { tls: 50 } })
        yield* send(Relay.message(1))
        assert.lengthOf(server.messages, 1)
        assert.isUndefined(server.messages[0]?.tls, fault)
        assert.deepStrictEqual(server.protocolErrors, [])
      }
    })
  )

  it.live("opportunistic: does not give up TLS for good because a connection broke once", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, faults: ["tls:reset:first=1"] })
      const { send } = yield* Relay.open(server, { tls: { mode: "opportunistic" }, maxMessages: 1, maxConnections: 1 })
      yield* send(Relay.message(1))
      yield* send(Relay.message(2))
      assert.deepStrictEqual(
        server.messages.map(({ tls }) => tls !== undefined),
        [false, true]
      )
    })
  )

  it.live("offered: in clear only where it is not offered, and never with a certificate that is not verified", () =>
    Effect.gen(function* () {
      const tls = { mode: "offered" } as const
      const none = yield* TestServer.make({ tls: true, extensions: { starttls: false } })
      yield* (yield* Relay.open(none, { tls })).send(Relay.message(1))
      assert.lengthOf(none.messages, 1)
      for (const fault of ["starttls:454", "starttls:502", "tls:drop", "tls:garbage", "tls:hang"]) {
        const server = yield* TestServer.make({ tls: true, faults: [fault] })
        const { send } = yield* Relay.open(server, { tls, timeouts: { tls: 50 } })
        yield* Effect.flip(send(Relay.message(1)))
        assert.notInclude(said(server).join(), "MAIL", fault)
      }
      const expired = yield* TestServer.make({ tls: { expired: true } })
      const error = yield* failure({ host: "localhost", port: expired.port }, { tls })
      assert.strictEqual(error.reason._tag, "TlsFailed")
      assert.notInclude(said(expired).join(), "MAIL")
    })
  )

  for (const [demand, tls] of [
    ["verify: true", () => ({ verify: true })],
    ["pins", ({ fingerprint256 }: Trust) => ({ pins: [fingerprint256] })],
    ["pins without an authority", ({ fingerprint256 }: Trust) => ({ pins: [fingerprint256], verify: false })],
    ["ca", ({ ca }: Trust) => ({ ca })],
    ["serverName", () => ({ serverName: "localhost" })],
    ['policy: "strict"', () => ({ policy: "strict" as const })]
  ] as const) {
    it.live(`sends nothing in clear where ${demand} demands TLS, whatever is made of STARTTLS`, () =>
      Effect.gen(function* () {
        for (const [options, problem] of [
          [{ tls: true, extensions: { starttls: false } }, "does not offer STARTTLS"],
          [{ tls: true, faults: ["ehlo:502"] }, "does not offer STARTTLS"],
          [{ tls: true, faults: ["starttls:454"] }, "cannot do STARTTLS now"],
          [{ tls: true, faults: ["starttls:502"] }, "refused STARTTLS"],
          [{ tls: true, faults: ["tls:garbage"] }, "speak TLS"],
          [{ tls: true, faults: ["tls:reset"] }, "connection was lost"],
          [{ tls: true, faults: ["tls:hang"] }, "was silent"],
          [{ tls: true, quirks: { injectAfterStartTls: "250 injected" } }, "tampering"]
        ] as ReadonlyArray<readonly [TestServer.Options, string]>) {
          const server = yield* TestServer.make(options)
          const relay = yield* Relay.open(
            { host: "localhost", port: server.port },
            { tls: tls(server.tls!), timeouts: { tls: 50 } }
          )
          for (let n = 0; n < 2; n++) {
            const error = yield* Effect.flip(relay.send(Relay.message(n)))
            assert.include(error.message, problem)
          }
          assert.isEmpty(server.messages)
          assert.notInclude(said(server).join(), "MAIL", problem)
          assert.isUndefined((yield* relay.smtp.stats).tlsFailure)
        }
      })
    )
  }

  it.live("opportunistic: says in the log, once, and in the statistics why mail goes in clear", () =>
    Effect.gen(function* () {
      for (const [fault, why] of [
        ["starttls:454 4.7.0 later", 'it refused STARTTLS: "454 4.7.0 later"'],
        ["tls:garbage", "the relay does not speak TLS at this point of the session"],
        ["tls:drop", "connection"]
      ] as const) {
        const server = yield* TestServer.make({ tls: true, faults: [fault] })
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          lines.push(`${logLevel} ${String(message)}`)
        })
        const options = { tls: {}, maxMessages: 1, maxConnections: 1, timeouts: { tls: 50 } }
        const context = yield* SmtpTransport.make({ host: server.host, port: server.port, ...options })
        const { send } = Context.get(context, MailTransport)
        for (let n = 0; n < 3; n++) yield* Effect.provide(send(Relay.message(n)), Logger.layer([logger]))
        const { stats } = Context.get(context, SmtpTransport.SmtpTransport)
        assert.lengthOf(server.messages, 3)
        const told = lines.filter((line) => line.includes("in clear"))
        assert.lengthOf(told, 1, fault)
        assert.include(told[0], `Warn mail to ${server.host}:${server.port} goes in clear`)
        assert.include(told[0], why)
        assert.include(told[0], "tls=required")
        assert.include((yield* stats).tlsFailure, why)
      }
      const silent = yield* TestServer.make({ extensions: { starttls: false } })
      const { send, smtp } = yield* Relay.open(silent, { tls: {} })
      yield* send(Relay.message(1))
      assert.isUndefined((yield* smtp.stats).tlsFailure)
    })
  )

  it.live("opportunistic: never continues in clear with a login, nor gives up TLS after one failure", () =>
    Effect.gen(function* () {
      for (const fault of ["tls:garbage", "tls:reset"]) {
        const server = yield* TestServer.make({ tls: true, users: { ann: "secret" }, faults: [`${fault}:first=1`] })
        const { send } = yield* Relay.open(server, {
          tls: { mode: "opportunistic" },
          auth: Relay.password("ann", "secret")
        })
        const { reason } = yield* Effect.flip(send(Relay.message(1)))
        assert.strictEqual(reason._tag, fault === "tls:garbage" ? "TlsFailed" : "ConnectionLost")
        assert.notInclude(said(server).join(), "AUTH")
        yield* send(Relay.message(2))
        assert.deepStrictEqual(
          server.messages.map(({ tls, user }) => [tls !== undefined, user]),
          [[true, "ann"]]
        )
      }
    })
  )

  it.live("does not believe in clear that a relay keeps to TLS", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["ehlo:lie=REQUIRETLS"] })
      const { send } = yield* Relay.open(server, { tls: { mode: "opportunistic" } })
      const message = Relay.message(1)
      const guarded = { ...message, envelope: { ...message.envelope, requireTls: true } }
      const { reason } = yield* Effect.flip(send(guarded))
      assert.deepInclude(reason, { _tag: "CapabilityMissing", capability: "REQUIRETLS" })
      assert.include(said(server, "server").join(), "REQUIRETLS")
      assert.notInclude(said(server).join(), "from-1@test.example")
    })
  )

  it.live("refuses bytes that were injected after the reply to STARTTLS", () =>
    Effect.gen(function* () {
      for (const injectAfterStartTls of ["250 injected", "250-half a reply"]) {
        const server = yield* TestServer.make({ tls: true, quirks: { injectAfterStartTls } })
        const error = yield* failure(
          { host: "localhost", port: server.port },
          { tls: { mode: "required", ca: server.tls!.ca } }
        )
        assert.strictEqual(error.reason._tag, "TlsFailed")
        assert.include(error.message, "tampering")
        assert.strictEqual(said(server).length, 2)
      }
    })
  )
})
