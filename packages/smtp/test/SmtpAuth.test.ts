import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { inspect } from "node:util"
import * as SmtpAuth from "../src/SmtpAuth.ts"
import type * as SmtpOptions from "../src/SmtpOptions.ts"
import * as Relay from "./support/relay.ts"

const secret = "p\u00e4ss, w=rd"
const token = "ya29.token"

const serving = (options: TestServer.Options = {}) =>
  TestServer.make({ tls: true, requireAuth: true, users: { ann: secret }, tokens: { ann: token }, ...options })

const encrypted = (server: TestServer.TestServerService): Partial<SmtpOptions.Options> => ({
  host: "localhost",
  ...(server.tls === undefined ? {} : { tls: { mode: "required", ca: server.tls.ca } }),
  maxConnections: 1
})

/** Logs in and sends a message. */
const send = (server: TestServer.TestServerService, options: Partial<SmtpOptions.Options>) =>
  Effect.flatMap(Relay.open(server, { ...encrypted(server), ...options }), (relay) => relay.send(Relay.message(1)))

const failure = (
  server: TestServer.TestServerService,
  options: Partial<SmtpOptions.Options>
): Effect.Effect<MailError.MailError, unknown, Scope.Scope> =>
  Effect.flatMap(Relay.open(server, { ...encrypted(server), ...options }), ({ smtp }) => Effect.flip(smtp.verify))

const logins = (server: TestServer.TestServerService): ReadonlyArray<string> =>
  server.transcript.filter(({ by, line }) => by === "client" && line.startsWith("AUTH")).map(({ line }) => line)

/** A token that is made anew at each call. */
const tokens = (...values: ReadonlyArray<string>) => {
  const made: Array<string> = []
  return {
    made,
    auth: {
      username: "ann",
      token: Effect.sync(() => {
        const value = values[made.length] ?? values.at(-1)!
        made.push(value)
        return Redacted.make(value)
      })
    } satisfies SmtpAuth.Credentials
  }
}

describe("SmtpAuth: logging in", () => {
  for (const mechanism of SmtpAuth.mechanisms) {
    it.live(`logs in by ${mechanism}`, () =>
      Effect.gen(function* () {
        const server = yield* serving({ extensions: { auth: [mechanism] } })
        const auth = SmtpAuth.usesToken(mechanism) ? tokens(token).auth : Relay.password("ann", secret)
        yield* send(server, { auth })
        assert.strictEqual(server.messages[0]?.user, "ann")
        assert.match(logins(server)[0]!, new RegExp(`^AUTH ${mechanism}`))
        assert.deepStrictEqual(server.protocolErrors, [])
      })
    )

    it.live(`is refused by ${mechanism} with the wrong secret`, () =>
      Effect.gen(function* () {
        const server = yield* serving({ extensions: { auth: [mechanism] } })
        const auth = SmtpAuth.usesToken(mechanism) ? tokens("wrong").auth : Relay.password("ann", "wrong")
        const error = yield* failure(server, { auth })
        assert.deepInclude(error.reason, { _tag: "AuthenticationFailed", mechanism })
        assert.strictEqual(error.reply?.code, 535)
        assert.isFalse(error.isRetryable)
        assert.notInclude(server.transcript.map(({ line }) => line).join(), "MAIL")
      })
    )
  }

  it.live("chooses the strongest offered mechanism that fits the credentials", () =>
    Effect.gen(function* () {
      const server = yield* serving({
        extensions: { auth: ["LOGIN", "PLAIN", "XOAUTH2", "SCRAM-SHA-256", "CRAM-MD5"] }
      })
      yield* send(server, { auth: Relay.password("ann", secret) })
      yield* send(server, { auth: tokens(token).auth })
      assert.deepStrictEqual(
        logins(server).map((line) => line.split(" ")[1]),
        ["SCRAM-SHA-256", "XOAUTH2"]
      )
    })
  )

  it("knows an order of strength, and never gives a password for a token", () => {
    const auth = Relay.password("ann", secret)
    const all = [...SmtpAuth.mechanisms].toReversed()
    assert.strictEqual(SmtpAuth.choose(all, auth), "SCRAM-SHA-256")
    assert.strictEqual(SmtpAuth.choose(["LOGIN", "PLAIN", "CRAM-MD5"], auth), "CRAM-MD5")
    assert.strictEqual(SmtpAuth.choose(["LOGIN", "PLAIN"], auth), "PLAIN")
    assert.strictEqual(SmtpAuth.choose(all, tokens(token).auth), "OAUTHBEARER")
    assert.isUndefined(SmtpAuth.choose(["XOAUTH2", "OAUTHBEARER"], auth))
    assert.isUndefined(SmtpAuth.choose(["PLAIN", "GSSAPI"], tokens(token).auth))
  })

  it("keeps to the mechanisms that are chosen, in their order", () => {
    const auth = Relay.password("ann", secret)
    const all = [...SmtpAuth.mechanisms]
    assert.deepStrictEqual(SmtpAuth.candidates(all, { ...auth, mechanism: "login" }), ["LOGIN"])
    assert.deepStrictEqual(SmtpAuth.candidates(all, { ...auth, mechanism: ["PLAIN", "CRAM-MD5"] }), [
      "PLAIN",
      "CRAM-MD5"
    ])
    assert.deepStrictEqual(SmtpAuth.candidates(["LOGIN"], { ...auth, mechanism: "PLAIN" }), [])
    assert.deepStrictEqual(SmtpAuth.candidates(["LOGIN"], { ...auth, mechanism: "PLAIN", whenNotOffered: "try" }), [
      "PLAIN"
    ])
    assert.deepStrictEqual(SmtpAuth.candidates([], { ...auth, whenNotOffered: "try" }), ["PLAIN"])
    assert.deepStrictEqual(SmtpAuth.candidates([], { ...tokens(token).auth, whenNotOffered: "try" }), ["XOAUTH2"])
    assert.deepStrictEqual(SmtpAuth.candidates([], { ...auth, whenNotOffered: "skip" }), [])
  })

  it.live("logs in by the mechanism that is chosen", () =>
    Effect.gen(function* () {
      const server = yield* serving({ extensions: { auth: ["SCRAM-SHA-256", "PLAIN", "LOGIN"] } })
      yield* send(server, { auth: { ...Relay.password("ann", secret), mechanism: "login" } })
      assert.deepStrictEqual(logins(server), ["AUTH LOGIN"])
      const error = yield* failure(server, { auth: { ...Relay.password("ann", secret), mechanism: "CRAM-MD5" } })
      assert.include(error.message, "offers only SCRAM-SHA-256, PLAIN, LOGIN, and none of them is chosen")
      assert.include(error.remedy, "auth.mechanism")
    })
  )

  it.live("sends without a login, or tries one, where none is offered and the options say so", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ extensions: { auth: [] } })
      const auth = Relay.password("ann", secret)
      const plain = { tls: { mode: "off" } } as const
      yield* send(server, { auth: { ...auth, whenNotOffered: "skip" }, ...plain })
      assert.lengthOf(server.messages, 1)
      assert.deepStrictEqual(logins(server), [])
      const tried = { ...auth, whenNotOffered: "try" } as const
      assert.include((yield* failure(server, { auth: tried, ...plain })).message, "not encrypted")
      yield* failure(server, { auth: tried, ...plain, allowInsecureAuth: true })
      assert.lengthOf(logins(server), 1)
      assert.match(logins(server)[0]!, /^AUTH PLAIN /)
    })
  )

  it.live("names the offered mechanisms if none fits", () =>
    Effect.gen(function* () {
      const server = yield* serving({ extensions: { auth: ["XOAUTH2"] } })
      const error = yield* failure(server, { auth: Relay.password("ann", secret) })
      assert.include(error.message, "offers only XOAUTH2, which a password does not fit")
      const without = yield* serving({ extensions: { auth: [] } })
      assert.include((yield* failure(without, { auth: Relay.password("ann", secret) })).message, "offers no login")
    })
  )

  it.live("sends a long first answer after the relay has asked for it", () =>
    Effect.gen(function* () {
      const long = "t".repeat(2000)
      const server = yield* serving({ tokens: { ann: long }, extensions: { auth: ["OAUTHBEARER"] } })
      yield* send(server, { auth: tokens(long).auth })
      assert.deepStrictEqual(logins(server), ["AUTH OAUTHBEARER"])
      assert.strictEqual(server.messages[0]?.user, "ann")
    })
  )

  it.live("limits the rounds with a relay that never stops asking", () =>
    Effect.gen(function* () {
      for (const mechanism of ["PLAIN", "LOGIN", "XOAUTH2"] as const) {
        const { port } = yield* answering(`250-x\r\n250 AUTH ${mechanism}\r\n`, () => "334 \r\n")
        const auth = SmtpAuth.usesToken(mechanism) ? tokens(token).auth : Relay.password("ann", secret)
        const { smtp } = yield* Relay.open({ host: "127.0.0.1", port }, { auth, allowInsecureAuth: true })
        assert.strictEqual((yield* Effect.flip(smtp.verify)).reason._tag, "AuthenticationFailed")
      }
    })
  )

  it.live("reports a transient refusal as transient", () =>
    Effect.gen(function* () {
      const server = yield* serving({ faults: ["auth:454"] })
      const error = yield* failure(server, { auth: Relay.password("ann", secret) })
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.isTrue(error.isRetryable)
    })
  )
})

describe("SmtpAuth: tokens", () => {
  it.live("asks for a fresh token once when the relay refuses the one it had", () =>
    Effect.gen(function* () {
      const server = yield* serving({ extensions: { auth: ["XOAUTH2"] } })
      const { auth, made } = tokens("stale", token)
      yield* send(server, { auth })
      assert.deepStrictEqual(made, ["stale", token])
      assert.strictEqual(server.messages[0]?.user, "ann")
      assert.strictEqual(server.stats.connections, 1)
    })
  )

  it.live("asks no third time", () =>
    Effect.gen(function* () {
      const server = yield* serving({ extensions: { auth: ["OAUTHBEARER"] } })
      const { auth, made } = tokens("stale", "staler")
      const error = yield* failure(server, { auth })
      assert.strictEqual(error.reply?.code, 535)
      assert.lengthOf(made, 2)
    })
  )

  it.live("reports a missing token without the cause", () =>
    Effect.gen(function* () {
      const server = yield* serving()
      const error = yield* failure(server, {
        auth: { username: "ann", token: Effect.fail(new Error(`no luck with ${secret}`)) }
      })
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.include(error.message, "the access token could not be obtained")
      assert.notInclude(JSON.stringify(error), secret)
    })
  )
})

describe("SmtpAuth: secrets", () => {
  it.live("never cross a connection in clear, unless told to", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: secret }, tokens: { ann: token } })
      for (const mode of ["off", "opportunistic"] as const) {
        for (const auth of [Relay.password("ann", secret), tokens(token).auth]) {
          const error = yield* failure(server, { host: "127.0.0.1", tls: { mode }, auth })
          assert.strictEqual(error.reason._tag, "AuthenticationFailed")
          assert.include(error.message, "not encrypted")
        }
      }
      assert.deepStrictEqual(logins(server), [])
      const auth = Relay.password("ann", secret)
      yield* Effect.flatMap(Relay.open(server, { auth, allowInsecureAuth: true }), ({ smtp }) => smtp.verify)
      assert.lengthOf(logins(server), 1)
    })
  )

  it.live("never cross when opportunistic TLS has failed", () =>
    Effect.gen(function* () {
      const server = yield* serving({ faults: ["tls:garbage"] })
      const error = yield* failure(server, {
        tls: { mode: "opportunistic" },
        auth: Relay.password("ann", secret)
      })
      assert.strictEqual(error.reason._tag, "TlsFailed")
      assert.deepStrictEqual(logins(server), [])
    })
  )

  it.live("are in no error, though the relay says them back in any form", () =>
    Effect.gen(function* () {
      const plain = Buffer.from(`\0ann\0${secret}`).toString("base64")
      const alone = Buffer.from(secret).toString("base64")
      for (const mechanism of ["PLAIN", "LOGIN"] as const) {
        // What was never said cannot be said back.
        for (const echo of mechanism === "PLAIN" ? [secret, plain, alone] : [secret, alone]) {
          for (const fault of [`auth:535 5.7.8 you said ${echo}`, `auth:454 4.7.0 ${echo}`]) {
            const server = yield* serving({ faults: [fault], extensions: { auth: [mechanism] } })
            const error = yield* failure(server, { auth: Relay.password("ann", secret) })
            const told = `${error.message} ${error.remedy} ${JSON.stringify(error)} ${String(error.stack)}`
            assert.include(told, "<redacted>")
            for (const form of [secret, plain, alone]) assert.notInclude(told, form)
          }
        }
      }
    })
  )

  it.live("are in no error of a peer that is an echo", () =>
    Effect.gen(function* () {
      const { port } = yield* answering("250-echo\r\n250 AUTH PLAIN LOGIN\r\n", (heard) => heard)
      const plain = Buffer.from(`\0ann\0${secret}`).toString("base64")
      const { smtp } = yield* Relay.open(
        { host: "127.0.0.1", port },
        { auth: Relay.password("ann", secret), allowInsecureAuth: true }
      )
      const error = yield* Effect.flip(smtp.verify)
      assert.strictEqual(error.reason._tag, "ProtocolViolation")
      assert.notInclude(`${error.message} ${JSON.stringify(error)}`, plain)
    })
  )

  it("are hidden in options that are printed", () => {
    const auth = Relay.password("ann", secret)
    assert.notInclude(`${JSON.stringify(auth)} ${inspect(auth)}`, secret)
  })
})

/** A peer that greets, answers EHLO, and from then on answers as told. */
const answering = (capabilities: string, answer: (heard: Uint8Array) => string | Uint8Array) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => {
          let isFirst = true
          socket.on("error", () => {})
          socket.on("data", (data) => {
            socket.write(isFirst ? capabilities : answer(data))
            isFirst = false
          })
          socket.write("220 hi\r\n")
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => server.address() as Net.AddressInfo
  )

const run = <A>(effect: Effect.Effect<A, string>): A => Effect.runSync(Effect.orDie(effect))

describe("SmtpAuth: SCRAM-SHA-256", () => {
  // RFC 7677 §3.
  const nonce = "rOprNGfwEbeRWgbNEkqO"
  const serverNonce = `${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`
  const serverFirst = `r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
  const proof = `c=biws,r=${serverNonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`
  const serverFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

  it.effect("is that of RFC 7677", () =>
    Effect.gen(function* () {
      const exchange = SmtpAuth.scramSha256("user", "pencil", nonce)
      assert.strictEqual(exchange.initial, `n,,n=user,r=${nonce}`)
      assert.strictEqual(yield* exchange.answer(serverFirst), proof)
      assert.isFalse(exchange.isProved())
      assert.strictEqual(yield* exchange.answer(serverFinal), "")
      assert.isTrue(exchange.isProved())
    })
  )

  it.effect("believes no relay that cannot prove that it knows the password", () =>
    Effect.gen(function* () {
      for (const final of ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G0=", "v=", "", "v=AAAA"]) {
        const exchange = SmtpAuth.scramSha256("user", "pencil", nonce)
        yield* exchange.answer(serverFirst)
        assert.include(yield* Effect.flip(exchange.answer(final)), "impostor")
        assert.isFalse(exchange.isProved())
      }
      const exchange = SmtpAuth.scramSha256("user", "pencil", nonce)
      yield* exchange.answer(serverFirst)
      assert.include(yield* Effect.flip(exchange.answer("e=invalid-proof")), "invalid-proof")
    })
  )

  it.effect("answers no challenge that is wrong", () =>
    Effect.gen(function* () {
      for (const [first, problem] of [
        [`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, "nonce"],
        ["r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"],
        ["s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"],
        [`r=${serverNonce},i=4096`, "salt"],
        [`r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1`, "iteration"],
        [`r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999`, "iteration"],
        [`r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096.5`, "iteration"],
        [`r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==`, "iteration"],
        // RFC 5802 §5.1: an extension that must be known and is not.
        [`m=new,r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`, "extension"],
        ["", "nonce"]
      ] as const) {
        assert.include(yield* Effect.flip(SmtpAuth.scramSha256("user", "pencil", nonce).answer(first)), problem, first)
      }
    })
  )

  it("writes names so that they cannot be taken for more", () => {
    assert.strictEqual(SmtpAuth.scramSha256("a,b=c", "x", "n").initial, "n,,n=a=2Cb=3Dc,r=n")
  })

  it.live("fails when the relay says yes without a proof", () =>
    Effect.gen(function* () {
      const server = yield* serving({
        faults: ["auth:235 2.7.0 fine:first=1"],
        extensions: { auth: ["SCRAM-SHA-256"] }
      })
      const error = yield* failure(server, { auth: Relay.password("ann", "wrong") })
      assert.deepInclude(error.reason, { _tag: "AuthenticationFailed" })
      assert.include(error.message, "did not prove")
    })
  )
})

describe("SmtpAuth: other mechanisms", () => {
  it("CRAM-MD5 is that of RFC 2195", () => {
    const exchange = SmtpAuth.begin("CRAM-MD5", "tim", Redacted.make("tanstaaftanstaaf"), "h", 25)
    assert.isUndefined(exchange.initial)
    assert.strictEqual(
      run(exchange.answer("<1896.697170952@postoffice.reston.mci.net>")),
      "tim b913a602c7eda7a495b4e6e7334d3890"
    )
  })

  it("PLAIN is that of RFC 4616, OAUTHBEARER that of RFC 7628", () => {
    assert.strictEqual(
      SmtpAuth.begin("PLAIN", "tim", Redacted.make("tanstaaftanstaaf"), "h", 25).initial,
      "\0tim\0tanstaaftanstaaf"
    )
    const bearer = SmtpAuth.begin(
      "OAUTHBEARER",
      "user@example.com",
      Redacted.make("vF9dft4q=="),
      "server.example.com",
      587
    )
    assert.strictEqual(
      bearer.initial,
      "n,a=user@example.com,\x01host=server.example.com\x01port=587\x01auth=Bearer vF9dft4q==\x01\x01"
    )
    assert.strictEqual(run(bearer.answer('{"status":"invalid_token"}')), "\x01")
  })

  it("LOGIN gives name and password, and nothing after them", () => {
    const exchange = SmtpAuth.begin("LOGIN", "tim", Redacted.make("secret"), "h", 25)
    assert.deepStrictEqual(
      ["Username:", "Password:"].map((challenge) => run(exchange.answer(challenge))),
      ["tim", "secret"]
    )
    assert.include(Effect.runSync(Effect.flip(exchange.answer("PIN:"))), "more than a name and a password")
  })
})
