/**
 * Which mechanism is tried after which, and on which connection; the relay is scripted, because no orderly one offers what it
 * cannot do.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as SmtpAuth from "../../../src/SmtpAuth.ts"
import type * as SmtpOptions from "../../../src/SmtpOptions.ts"
import * as RawRelay from "../../support/rawRelay.ts"
import * as Relay from "../../support/relay.ts"

/** What the relay does about each mechanism: its replies in turn, the last one followed by the end where it says so. */
type Script = Readonly<Record<string, ReadonlyArray<string>>>

/** Ends the connection in the place of a reply, or behind it. */
const close = "CLOSE"

const challenge = `334 ${Buffer.from("<1.2@relay.example>").toString("base64")}`

const relayOf = Effect.fnUntraced(function* (offered: string, script: Script) {
  const logins: Array<string> = []
  let connections = 0
  const relay = yield* RawRelay.make((socket, n) => {
    connections = n
    let queue: Array<string> = []
    let isContent = false
    socket.write("220 relay.example\r\n")
    const answer = (): void => {
      const reply = queue.shift()!
      if (reply === close) socket.end()
      else socket.write(`${reply}\r\n`)
      if (queue[0] === close) socket.end()
    }
    socket.on("data", (bytes) => {
      for (const line of bytes.toString("latin1").split("\r\n").slice(0, -1)) {
        const [verb = "", name = ""] = line.split(" ")
        if (isContent) {
          if (line !== ".") continue
          isContent = false
          socket.write("250 taken\r\n")
        } else if (verb === "EHLO") socket.write(`250-relay.example\r\n250 AUTH ${offered}\r\n`)
        else if (verb === "AUTH") {
          logins.push(name)
          queue = [...(script[name] ?? ["504 5.5.4 not known"])]
          answer()
        } else if (queue.length > 0) answer()
        else if (verb === "DATA") {
          isContent = true
          socket.write("354 go on\r\n")
        } else if (verb === "QUIT") socket.end("221 bye\r\n")
        else socket.write("250 yes\r\n")
      }
    })
  })
  return {
    ...relay,
    logins,
    get connections() {
      return connections
    }
  }
})

const clear: Partial<SmtpOptions.Options> = {
  auth: Relay.password("ann", "secret"),
  allowInsecureAuth: true
}

const yes = ["235 2.7.0 yes"]

describe("login: another mechanism", () => {
  for (const [what, offered, script, logins, connections] of [
    [
      "after 535 to CRAM-MD5",
      "CRAM-MD5 PLAIN",
      { "CRAM-MD5": [challenge, "535 5.7.8 no"], PLAIN: yes },
      ["CRAM-MD5", "PLAIN"],
      1
    ],
    ["after 504", "CRAM-MD5 PLAIN", { PLAIN: yes }, ["CRAM-MD5", "PLAIN"], 1],
    [
      "after 535 and the end",
      "CRAM-MD5 PLAIN",
      { "CRAM-MD5": [challenge, "535 no", close], PLAIN: yes },
      ["CRAM-MD5", "PLAIN"],
      2
    ],
    [
      "after the end of the connection",
      "CRAM-MD5 PLAIN",
      { "CRAM-MD5": [challenge, close], PLAIN: yes },
      ["CRAM-MD5", "PLAIN"],
      2
    ],
    ["after garbage", "CRAM-MD5 PLAIN", { "CRAM-MD5": ["what?"], PLAIN: yes }, ["CRAM-MD5", "PLAIN"], 2],
    [
      "after a challenge that makes no sense",
      "SCRAM-SHA-256 PLAIN",
      { "SCRAM-SHA-256": ["334 bm9uc2Vuc2U="], PLAIN: yes },
      ["SCRAM-SHA-256", "PLAIN"],
      2
    ],
    [
      "after two that cannot be done",
      "SCRAM-SHA-256 CRAM-MD5 LOGIN PLAIN",
      { "SCRAM-SHA-256": ["535 no"], "CRAM-MD5": [challenge, close], PLAIN: yes },
      ["SCRAM-SHA-256", "CRAM-MD5", "CRAM-MD5", "PLAIN"],
      3
    ],
    [
      "after 504 to PLAIN",
      "PLAIN LOGIN",
      { PLAIN: ["504 5.5.4 not known"], LOGIN: ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", ...yes] },
      ["PLAIN", "LOGIN"],
      1
    ],
    [
      "after 503 to CRAM-MD5",
      "CRAM-MD5 PLAIN",
      { "CRAM-MD5": ["503 5.5.1 not enabled"], PLAIN: yes },
      ["CRAM-MD5", "PLAIN"],
      1
    ],
    [
      "PLAIN for a password transition",
      "SCRAM-SHA-256 CRAM-MD5 PLAIN",
      { "SCRAM-SHA-256": ["432 4.7.12 A password transition is needed"], "CRAM-MD5": yes, PLAIN: yes },
      ["SCRAM-SHA-256", "PLAIN"],
      1
    ]
  ] as ReadonlyArray<readonly [string, string, Script, ReadonlyArray<string>, number]>) {
    it.live(what, () =>
      Effect.gen(function* () {
        const server = yield* relayOf(offered, script)
        const relay = yield* Relay.open(server, { ...clear, maxConnections: 1 })
        yield* relay.smtp.verify
        assert.deepStrictEqual(server.logins, logins)
        assert.strictEqual(server.connections, connections)
      })
    )
  }

  it.live("is found by one connection for all", () =>
    Effect.gen(function* () {
      const server = yield* relayOf("CRAM-MD5 PLAIN", { "CRAM-MD5": [challenge, "535 no", close], PLAIN: yes })
      const relay = yield* Relay.open(server, { ...clear, maxConnections: 4, minConnections: 4, pipelining: "off" })
      yield* Relay.sendMany(relay, 12)
      assert.deepStrictEqual(
        server.logins.filter((name) => name !== "PLAIN"),
        ["CRAM-MD5"]
      )
    })
  )
})

describe("login: no other mechanism", () => {
  for (const [what, offered, script, code, remedy] of [
    [
      "after 534",
      "CRAM-MD5 PLAIN",
      { "CRAM-MD5": [challenge, "534 5.7.9 too weak"], PLAIN: yes },
      534,
      /auth\.mechanism/
    ],
    [
      "after 538",
      "CRAM-MD5 PLAIN",
      { "CRAM-MD5": ["538 5.7.11 Encryption required"], PLAIN: yes },
      538,
      /tls=required/
    ],
    ["after 454", "CRAM-MD5 PLAIN", { "CRAM-MD5": [challenge, "454 4.7.0 later"], PLAIN: yes }, 454, /later/],
    ["after 535 to PLAIN", "PLAIN LOGIN", { PLAIN: ["535 5.7.8 no"], LOGIN: yes }, 535, /password/],
    [
      "where all are refused, and the first error counts",
      "CRAM-MD5",
      { "CRAM-MD5": [challenge, "535 5.7.8 first"] },
      535,
      /password/
    ]
  ] as ReadonlyArray<readonly [string, string, Script, number, RegExp]>) {
    it.live(what, () =>
      Effect.gen(function* () {
        const server = yield* relayOf(offered, script)
        const { smtp } = yield* Relay.open(server, clear)
        const error = yield* Effect.flip(smtp.verify)
        assert.strictEqual(error.reason._tag, "AuthenticationFailed")
        assert.strictEqual(error.reply?.code, code)
        assert.match(error.remedy, remedy)
        assert.lengthOf(server.logins, 1)
      })
    )
  }

  for (const [what, user, password, remedy] of [
    ["without a password", "ann", "", "auth.password"],
    ["without a user", "", "secret", "auth.username"]
  ] as const) {
    it.live(`${what}, which no mechanism has a form for`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: true, users: { ann: "secret" } })
        // Over TLS with a certificate that nobody verified, where PLAIN would not be tried next.
        const tls = { mode: "required", verify: false } as const
        const { smtp } = yield* Relay.open(server, { tls, auth: Relay.password(user, password) })
        const error = yield* Effect.flip(smtp.verify)
        assert.strictEqual(error.reason._tag, "AuthenticationFailed")
        assert.match(error.reason.message, /^the configured (user has no password|password has no user)$/)
        assert.include(error.remedy, remedy)
        assert.isFalse(server.transcript.some(({ line }) => line.startsWith("AUTH")))
      })
    )
  }

  it.live("by a mechanism that the relay does not offer, which is named once in the remedy", () =>
    Effect.gen(function* () {
      const server = yield* relayOf("PLAIN", { PLAIN: yes })
      const auth = { ...Relay.password("ann", "secret"), mechanism: "CRAM-MD5" } as const
      const { smtp } = yield* Relay.open(server, { ...clear, auth })
      const error = yield* Effect.flip(smtp.verify)
      assert.strictEqual(error.remedy, "name one of them in `auth.mechanism`, or leave it out")
    })
  )

  it.live("after a wrong proof, which an impostor gives", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: "other" }, extensions: { auth: ["PLAIN"] } })
      const proof = yield* relayOf("SCRAM-SHA-256 PLAIN", { "SCRAM-SHA-256": yes, PLAIN: yes })
      const { smtp } = yield* Relay.open(proof, clear)
      const error = yield* Effect.flip(smtp.verify)
      assert.include(error.message, "did not prove")
      assert.deepStrictEqual(proof.logins, ["SCRAM-SHA-256"])
      assert.lengthOf(server.messages, 0)
    })
  )

  it.live("that shows the password to a relay whose certificate is not verified", () =>
    Effect.gen(function* () {
      // The server knows the password by CRAM-MD5 as well, but is told to refuse it.
      const server = yield* TestServer.make({
        tls: true,
        users: { ann: "secret" },
        extensions: { auth: ["CRAM-MD5", "PLAIN"] },
        faults: ["auth:535 5.7.8 no"]
      })
      const auth = Relay.password("ann", "secret")
      const mechanisms = () => {
        const lines = server.transcript.filter(({ by, line }) => by === "client" && line.startsWith("AUTH"))
        return lines.map(({ line }) => line.split(" ")[1])
      }
      const unverified = yield* Relay.open(server, { auth, tls: { mode: "required", verify: false } })
      const error = yield* Effect.flip(unverified.smtp.verify)
      assert.deepStrictEqual(mechanisms(), ["CRAM-MD5"])
      assert.include(error.message, "PLAIN was not tried, because the relay's certificate is not verified")
      assert.strictEqual(error.reply?.code, 535)
      assert.include(error.remedy, "`auth.mechanism`")
      const byHand = yield* Relay.open(server, {
        auth: { ...auth, mechanism: "PLAIN" },
        tls: { mode: "required", verify: false }
      })
      yield* Effect.flip(byHand.smtp.verify)
      assert.deepStrictEqual(mechanisms(), ["CRAM-MD5", "PLAIN"])
      const verified = yield* Relay.open(
        { host: "localhost", port: server.port },
        { auth, tls: { mode: "required", ca: server.tls!.ca } }
      )
      yield* Effect.flip(verified.smtp.verify)
      assert.deepStrictEqual(mechanisms(), ["CRAM-MD5", "PLAIN", "CRAM-MD5", "PLAIN"])
    })
  )

  it.live("after a refusal that outranks the end of the connection before", () =>
    Effect.gen(function* () {
      const server = yield* relayOf("CRAM-MD5 PLAIN", { "CRAM-MD5": [challenge, close], PLAIN: ["535 5.7.8 no"] })
      const { smtp } = yield* Relay.open(server, clear)
      for (let n = 0; n < 2; n++) {
        const error = yield* Effect.flip(smtp.verify)
        assert.strictEqual(error.reply?.code, 535)
        assert.isFalse(error.isRetryable)
      }
      assert.deepStrictEqual(server.logins, ["CRAM-MD5", "PLAIN"])
    })
  )

  it.live("and no login for a while after a password was refused", () =>
    Effect.gen(function* () {
      const server = yield* relayOf("PLAIN", { PLAIN: ["535 5.7.8 no"] })
      const { send } = yield* Relay.open(server, clear)
      for (let n = 0; n < 5; n++) {
        const error = yield* Effect.flip(send(Relay.message(n)))
        assert.strictEqual(error.reply?.code, 535)
      }
      assert.lengthOf(server.logins, 1)
      assert.strictEqual(server.connections, 1)
    })
  )
})

describe("login: tokens", () => {
  const tokens = () => {
    let made = 0
    const auth: SmtpAuth.Credentials = { username: "ann", token: Effect.sync(() => Redacted.make(`token-${++made}`)) }
    return { auth, made: () => made }
  }

  it.live("a fresh one gets its chance on a new connection where the relay closes the old one", () =>
    Effect.gen(function* () {
      const script: Record<string, ReadonlyArray<string>> = { XOAUTH2: ["334 e30=", "535 5.7.8 expired", close] }
      const server = yield* relayOf("XOAUTH2", script)
      const { auth, made } = tokens()
      const { smtp } = yield* Relay.open(server, { ...clear, auth })
      const error = yield* Effect.flip(smtp.verify)
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.strictEqual(error.reply?.code, 535)
      assert.isFalse(error.isRetryable)
      assert.deepStrictEqual([made(), server.connections, server.logins.length], [2, 2, 2])
    })
  )

  it.live("one that was renewed is taken on the new connection", () =>
    Effect.gen(function* () {
      let isFirst = true
      const script = {
        get XOAUTH2() {
          const replies = isFirst ? ["334 e30=", "535 5.7.8 expired", close] : yes
          isFirst = false
          return replies
        }
      }
      const server = yield* relayOf("XOAUTH2", script)
      const { auth, made } = tokens()
      const relay = yield* Relay.open(server, { ...clear, auth })
      yield* relay.send(Relay.message(1))
      assert.deepStrictEqual([made(), server.connections], [2, 2])
    })
  )
})
