import { assert, describe, it } from "@effect/vitest"
import * as Certificate from "@mailrace/testing/Certificate"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { EventEmitter } from "node:events"
import type { AddressInfo } from "node:net"
import { createServer, rootCertificates, type Server, type TLSSocket } from "node:tls"
import * as SmtpTls from "../src/SmtpTls.ts"
import * as Handshake from "./support/handshake.ts"
import * as Relay from "./support/relay.ts"

const implicit = (options: TestServer.TlsOptions = {}) => TestServer.make({ tls: { implicit: true, ...options } })

/** An authority that has nothing to do with the test. */
const stranger = rootCertificates[0]!

/** Sends messages, each over a connection of its own. */
const send = (
  server: TestServer.TestServerService,
  tls: SmtpTls.Options,
  count = 1
): Effect.Effect<void, MailError.MailError, Scope.Scope> =>
  Effect.gen(function* () {
    const relay = yield* Relay.open(
      { host: "localhost", port: server.port },
      { tls: { mode: "implicit", ca: server.tls!.ca, ...tls }, maxMessages: 1, maxConnections: 1 }
    )
    for (let n = 0; n < count; n++) yield* relay.send(Relay.message(n))
  })

const failure = (server: TestServer.TestServerService, tls: SmtpTls.Options) => Effect.flip(send(server, tls))

/** The handshake failed, nothing was sent, and the words name the reason and what to try. */
const assertRefused = (
  server: TestServer.TestServerService,
  error: MailError.MailError,
  problem: string,
  remedy: string
): void => {
  assert.strictEqual(error.reason._tag, "TlsFailed")
  assert.include(error.message, problem)
  assert.include(error.remedy, remedy)
  assert.notMatch(error.remedy, /--[a-z]/)
  assert.isFalse(error.isRetryable)
  assert.isEmpty(server.messages)
  assert.strictEqual(server.stats.commands, 0)
}

describe("SmtpTls: policies", () => {
  it.live("strict: TLS 1.3 and nothing less", () =>
    Effect.gen(function* () {
      const server = yield* implicit()
      yield* send(server, { policy: "strict" })
      assert.strictEqual(server.messages[0]?.tls?.protocol, "TLSv1.3")
      const old = yield* implicit({ maxVersion: "TLSv1.2" })
      assertRefused(old, yield* failure(old, { policy: "strict" }), "no TLS version", "balanced")
    })
  )

  it.live("a relay with TLS 1.1 alone is for its operator to update, whatever the policy", () =>
    Effect.gen(function* () {
      const { certificate, key } = Certificate.authority().issue({ names: ["localhost"] })
      const options = { cert: certificate, key, minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const
      const server = yield* Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const server = createServer({ ...options, ciphers: "DEFAULT@SECLEVEL=0" })
          server.on("tlsClientError", () => {})
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = server.address() as AddressInfo
      const error = yield* Handshake.failure({ host: "127.0.0.1", port }, { tls: { mode: "implicit", verify: false } })
      assert.include(error.message, "no TLS version")
      assert.include(error.remedy, "otherwise have the relay's operator switch TLS 1.2 or 1.3 on")
    })
  )

  it.live("balanced: TLS 1.2 too, with forward secrecy", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ maxVersion: "TLSv1.2" })
      yield* send(server, {})
      assert.strictEqual(server.messages[0]?.tls?.protocol, "TLSv1.2")
      assert.match(server.messages[0]!.tls!.cipher, /^ECDHE-/)
    })
  )

  it.live("constrained: ChaCha20 where the relay has it", () =>
    Effect.gen(function* () {
      const modern = yield* implicit()
      yield* send(modern, { policy: "constrained" })
      assert.strictEqual(modern.messages[0]?.tls?.cipher, "TLS_CHACHA20_POLY1305_SHA256")
      const old = yield* implicit({ maxVersion: "TLSv1.2" })
      yield* send(old, { policy: "constrained" })
      assert.strictEqual(old.messages[0]?.tls?.cipher, "ECDHE-ECDSA-CHACHA20-POLY1305")
      const other = yield* implicit({ maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })
      yield* send(other, { policy: "constrained" })
      assert.strictEqual(other.messages[0]?.tls?.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256")
    })
  )

  it.live("sends the relay's name and no ALPN", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ alpn: ["http/1.1"] })
      yield* send(server, {})
      assert.deepInclude(server.messages[0]?.tls, { servername: "localhost", alpn: undefined })
      yield* send(server, { serverName: "127.0.0.1" })
      // An address is no server name (RFC 6066 §3).
      assert.strictEqual(server.messages[1]?.tls?.servername, undefined)
    })
  )

  it.live("sends no secret to a relay on an implicit-TLS URL that speaks in clear, and names the fault", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true })
      assertRefused(server, yield* failure(server, {}), "does not speak TLS at this point", "tls=required")
    })
  )
})

describe("SmtpTls: trust", () => {
  it.live("refuses an unknown authority", () =>
    Effect.gen(function* () {
      const server = yield* implicit()
      assertRefused(server, yield* failure(server, { ca: stranger }), "not signed by an authority", "tlsPin")
    })
  )

  it.live("trusts one of several authorities", () =>
    Effect.gen(function* () {
      const server = yield* implicit()
      yield* send(server, { ca: [stranger, server.tls!.ca] })
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("refuses a certificate for another name, and names it", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ names: ["mail.example", "mx.example"] })
      assertRefused(server, yield* failure(server, {}), "DNS:mail.example, DNS:mx.example", "`serverName`")
      yield* send(server, { serverName: "mx.example" })
      assert.strictEqual(server.messages[0]?.tls?.servername, "mx.example")
    })
  )

  it.live("checks an address against the certificate's addresses", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ names: ["localhost"] })
      assertRefused(server, yield* failure(server, { serverName: "127.0.0.1" }), "another name", "connect by a name")
    })
  )

  it.live("refuses an expired certificate", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ expired: true })
      assertRefused(server, yield* failure(server, {}), "has expired", "clock")
    })
  )

  it.live("accepts any certificate without verification", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ expired: true, names: ["mail.example"] })
      yield* send(server, { verify: false, ca: undefined })
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("demands a pinned certificate, with and without verification", () =>
    Effect.gen(function* () {
      const server = yield* implicit()
      const pin = server.tls!.fingerprint256
      const wrong = pin.replace(/^../, (byte) => (byte === "00" ? "01" : "00"))
      for (const verify of [true, false]) {
        yield* send(server, { pins: [wrong, pin], verify })
        yield* send(server, { pins: [pin.replaceAll(":", "").toLowerCase()], verify })
        const error = yield* failure(server, { pins: [wrong], verify })
        assert.strictEqual(error.reason._tag, "TlsFailed")
        assert.include(error.message, pin)
      }
      assert.lengthOf(server.messages, 4)
    })
  )

  it.live("demands that a pinned certificate is valid too", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ expired: true })
      const error = yield* failure(server, { pins: [server.tls!.fingerprint256] })
      assertRefused(server, error, "has expired", "clock")
    })
  )
})

describe("SmtpTls: resumption", () => {
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    it.live(`resumes a ${maxVersion} session`, () =>
      Effect.gen(function* () {
        const server = yield* implicit({ maxVersion })
        yield* send(server, { pins: [server.tls!.fingerprint256] }, 4)
        assert.deepStrictEqual(
          server.messages.map(({ tls }) => tls?.resumed),
          [false, true, true, true]
        )
      })
    )

    it.live(`resumes a ${maxVersion} session begun by STARTTLS`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: { maxVersion } })
        yield* send(server, { mode: "required" }, 3)
        assert.deepStrictEqual(
          server.messages.map(({ tls }) => tls?.resumed),
          [false, true, true]
        )
        assert.deepStrictEqual(server.protocolErrors, [])
      })
    )
  }

  it.live("does not resume a session with a relay whose pin was wrong", () =>
    Effect.gen(function* () {
      const server = yield* implicit({ maxVersion: "TLSv1.2" })
      const relay = yield* Relay.open(
        { host: "localhost", port: server.port },
        { tls: { mode: "implicit", ca: server.tls!.ca, pins: ["00".repeat(32)] } }
      )
      for (let n = 0; n < 3; n++) {
        const error = yield* Effect.flip(relay.send(Relay.message(n)))
        assert.include(error.message, "not pinned")
      }
      assert.isEmpty(server.messages)
    })
  )
})

describe("SmtpTls: REQUIRETLS and resumption", () => {
  const guarded = (n: number) => {
    const message = Relay.message(n)
    return { ...message, envelope: { ...message.envelope, requireTls: true } }
  }

  /** Guarded mails before and after others that leave a session to resume, each over a connection of its own. */
  const sendGuarded = (server: TestServer.TestServerService, tls: SmtpTls.Options) =>
    Effect.gen(function* () {
      const relay = yield* Relay.open(
        { host: "localhost", port: server.port },
        { tls, maxMessages: 1, maxConnections: 1 }
      )
      const outcomes: Array<string> = []
      for (const message of [
        guarded(0),
        Relay.message(1),
        Relay.message(2),
        guarded(3),
        Relay.message(4),
        guarded(5)
      ]) {
        const sent = yield* Effect.result(relay.send(message))
        outcomes.push(Result.isSuccess(sent) ? "sent" : sent.failure.reason._tag)
      }
      return outcomes
    })

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const refused = ["CapabilityMissing", "sent", "sent", "CapabilityMissing", "sent", "CapabilityMissing"]

    it.live(`a ${maxVersion} session from an unverified name is resumed, and not trusted`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: { maxVersion, names: ["another.example"] }, requireTls: true })
        assert.deepStrictEqual(yield* sendGuarded(server, { mode: "opportunistic" }), refused)
        assert.isTrue(server.messages.at(-1)?.tls?.resumed)
        const own = yield* TestServer.make({ tls: { maxVersion, names: ["another.example"] }, requireTls: true })
        const { ca } = own.tls!
        assert.deepStrictEqual(yield* sendGuarded(own, { mode: "required", ca, verify: false }), refused)
        assert.isTrue(own.messages.at(-1)?.tls?.resumed)
      })
    )

    it.live(`a ${maxVersion} session from an unknown authority is resumed, and not trusted`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: { maxVersion }, requireTls: true })
        const pins = [server.tls!.fingerprint256]
        assert.deepStrictEqual(yield* sendGuarded(server, { verify: false, pins }), refused)
        assert.deepStrictEqual(yield* sendGuarded(server, { mode: "required", verify: false }), refused)
      })
    )

    it.live(`a ${maxVersion} session from a verified one is trusted`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: { maxVersion }, requireTls: true })
        const outcomes = yield* sendGuarded(server, { ca: server.tls!.ca })
        assert.deepStrictEqual(outcomes, ["sent", "sent", "sent", "sent", "sent", "sent"])
        assert.isTrue(server.messages.at(-1)?.tls?.resumed)
      })
    )
  }
})

describe("SmtpTls.SessionCache", () => {
  it("offers a session only for the same name and options", () => {
    const cache = new SmtpTls.SessionCache()
    const options: SmtpTls.Options = { verify: false }
    const socket = Object.assign(new EventEmitter(), {
      getProtocol: () => "TLSv1.2",
      getSession: () => Buffer.from("session")
    }) as unknown as TLSSocket
    cache.watch(socket, options, "a.example", false)
    assert.deepInclude(cache.offer(options, "a.example"), { isVerified: false })
    assert.isUndefined(cache.offer(options, "b.example"))
    assert.isUndefined(cache.offer({ verify: true }, "a.example"))
    assert.isUndefined(cache.offer({ ...options }, "a.example"))
    socket.emit("session", Buffer.from("ticket"))
    assert.strictEqual(cache.offer(options, "a.example")?.session.toString(), "ticket")
    assert.isFalse(cache.offer(options, "a.example")?.isVerified)
  })
})

describe("SmtpTls.ContextCache", () => {
  it("makes one context for each set of options", () => {
    const contexts = new SmtpTls.ContextCache()
    const [balanced, strict] = [{}, { policy: "strict" }] as const
    const context = contexts.get(balanced)
    assert.strictEqual(contexts.get(balanced), context)
    assert.notStrictEqual(contexts.get(strict), context)
  })
})
