import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash, createHmac, pbkdf2Sync } from "node:crypto"
import * as tls from "node:tls"
import * as TestServer from "../src/TestServer.ts"
import type { RawClient } from "./rawClient.ts"
import { connect, fromTls, greeted } from "./rawClient.ts"

const codes = (replies: ReadonlyArray<string>) => replies.map((reply) => Number(reply.slice(0, 3)))
const base64 = (text: string) => Buffer.from(text).toString("base64")

const trusting = (server: TestServer.TestServerService): tls.ConnectionOptions => ({
  ca: server.tls!.ca,
  servername: "localhost"
})

const dial = (server: TestServer.TestServerService, options: tls.ConnectionOptions = trusting(server)) =>
  Effect.suspend(() => fromTls(tls.connect({ host: "127.0.0.1", port: server.port, ...options })))

describe("TLS", () => {
  it.live("STARTTLS: clear before, encrypted after, and everything said before forgotten", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true })
      const clear = yield* greeted(server.port)
      assert.deepStrictEqual(yield* clear.ask("MAIL FROM:<a@b>", "STARTTLS"), [
        "250 2.1.0 sender OK",
        "220 2.0.0 ready to start TLS"
      ])
      const secure = yield* clear.secure(trusting(server))
      assert.deepStrictEqual(codes(yield* secure.ask("RCPT TO:<c@d>", "MAIL FROM:<a@b>")), [503, 503])
      const [offers] = yield* secure.ask("EHLO x")
      assert.include(offers, "REQUIRETLS")
      assert.notInclude(offers, "STARTTLS")
      assert.deepStrictEqual(
        codes(yield* secure.ask("MAIL FROM:<a@b> REQUIRETLS", "RCPT TO:<c@d>", "BDAT 0 LAST")),
        [250, 250, 250]
      )
      const info = server.messages[0]?.tls
      assert.strictEqual(info?.protocol, "TLSv1.3")
      assert.strictEqual(info?.servername, "localhost")
      secure.end()
      yield* secure.closed
      yield* server.awaitIdle
    })
  )

  it.live("implicit: the handshake comes before the greeting", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: { implicit: true } })
      const client = yield* dial(server)
      assert.deepStrictEqual(codes(yield* client.replies(1)), [220])
      assert.notInclude((yield* client.ask("EHLO x"))[0], "STARTTLS")
    })
  )

  it.live("its certificate is good for its names only, in its time only, and by its authority only", () =>
    Effect.gen(function* () {
      const code = (server: TestServer.TestServerService, options: tls.ConnectionOptions) =>
        Effect.map(Effect.flip(dial(server, options)), (error: NodeJS.ErrnoException) => error.code)
      const server = yield* TestServer.make({ tls: { implicit: true } })
      const client = yield* dial(server, { ca: server.tls!.ca })
      const peer = (client.socket as tls.TLSSocket).getPeerCertificate()
      assert.strictEqual(peer.fingerprint256, server.tls!.fingerprint256)
      assert.strictEqual(peer.subjectaltname, "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1")
      assert.strictEqual(yield* code(server, { servername: "localhost" }), "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
      const elsewhere = yield* TestServer.make({ tls: { implicit: true, names: ["elsewhere.example"] } })
      assert.strictEqual(yield* code(elsewhere, trusting(elsewhere)), "ERR_TLS_CERT_ALTNAME_INVALID")
      const expired = yield* TestServer.make({ tls: { implicit: true, expired: true } })
      assert.strictEqual(yield* code(expired, trusting(expired)), "CERT_HAS_EXPIRED")
    })
  )

  it.live("keeps to its versions, ciphers and protocols", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        tls: { implicit: true, maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-CHACHA20-POLY1305", alpn: ["smtp"] }
      })
      const client = yield* dial(server, { ...trusting(server), ALPNProtocols: ["smtp"] })
      yield* client.replies(1)
      yield* client.ask("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "BDAT 0 LAST")
      assert.deepStrictEqual(server.messages[0]?.tls, {
        protocol: "TLSv1.2",
        cipher: "ECDHE-ECDSA-CHACHA20-POLY1305",
        servername: "localhost",
        resumed: false,
        alpn: "smtp"
      })
      yield* Effect.flip(dial(server, { ...trusting(server), minVersion: "TLSv1.3" }))
    })
  )

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    it.live(`takes up a ${maxVersion} session again`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: { implicit: true, maxVersion } })
        const visit = (session: Buffer | undefined) =>
          Effect.gen(function* () {
            let ticket: Buffer | undefined
            const socket = tls.connect({
              host: "127.0.0.1",
              port: server.port,
              ...trusting(server),
              ...(session ? { session } : {})
            })
            socket.on("session", (data) => (ticket = data))
            const client = yield* fromTls(socket)
            yield* client.replies(1)
            yield* client.ask("EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "BDAT 0 LAST", "QUIT")
            yield* client.closed
            return ticket
          })
        yield* visit(yield* visit(undefined))
        assert.deepStrictEqual(
          server.messages.map((message) => message.tls?.resumed),
          [false, true]
        )
      })
    )
  }

  it.live("notes bytes in clear after STARTTLS and never runs them", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true })
      const clear = yield* greeted(server.port)
      clear.write("STARTTLS\r\nNOOP\r\n")
      yield* clear.replies(1)
      const secure = yield* clear.secure(trusting(server))
      const before = server.stats.commands
      yield* secure.ask("EHLO x")
      assert.strictEqual(server.stats.commands, before + 1)
      assert.deepStrictEqual(
        server.protocolErrors.map(({ problem }) => problem),
        ["bytes in clear after STARTTLS"]
      )
    })
  )

  it.live("injects text in clear on demand", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, quirks: { injectAfterStartTls: "250 injected" } })
      const clear = yield* greeted(server.port)
      clear.write("STARTTLS\r\n")
      assert.deepStrictEqual(yield* clear.replies(2), ["220 2.0.0 ready to start TLS", "250 injected"])
    })
  )

  for (const implicit of [true, false]) {
    const begin = (server: TestServer.TestServerService) =>
      Effect.gen(function* () {
        if (implicit) return yield* dial(server)
        const clear = yield* greeted(server.port)
        yield* clear.ask("STARTTLS")
        return yield* clear.secure(trusting(server))
      })
    const name = implicit ? "implicit" : "STARTTLS"

    it.live(`${name}: faults in the handshake`, () =>
      Effect.gen(function* () {
        const code = (fault: string) =>
          Effect.gen(function* () {
            const server = yield* TestServer.make({ tls: { implicit }, faults: [fault] })
            const error: NodeJS.ErrnoException = yield* Effect.flip(begin(server))
            return error.code
          })
        assert.strictEqual(yield* code("tls:garbage"), "ERR_SSL_WRONG_VERSION_NUMBER")
        assert.strictEqual(yield* code("tls:drop"), "ECONNRESET")
        assert.strictEqual(yield* code("tls:reset"), "ECONNRESET")
        const slow = yield* TestServer.make({ tls: { implicit }, faults: ["tls:delay=20ms"], connectDelay: 10 })
        const client = yield* begin(slow)
        if (implicit) yield* client.replies(1)
        assert.deepStrictEqual(codes(yield* client.ask("EHLO x")), [250])
        const hung = yield* TestServer.make({ tls: { implicit }, faults: ["tls:hang"] })
        const waiting = yield* Effect.forkChild(Effect.scoped(begin(hung)), { startImmediately: true })
        yield* hung.until((stats) => stats.faults === 1)
        assert.isUndefined(waiting.pollUnsafe())
      })
    )
  }

  it.live("a reset on an encrypted connection is a reset", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: { implicit: true }, faults: ["mail:reset"] })
      const client = yield* dial(server)
      yield* client.replies(1)
      yield* client.ask("EHLO x")
      client.write("MAIL FROM:<a@b>\r\n")
      assert.strictEqual((yield* client.closed).how, "ECONNRESET")
      yield* server.awaitIdle
    })
  )
})

describe("AUTH", () => {
  const options: TestServer.Options = { users: { ann: "s€cret" }, tokens: { ann: "ya29.token" } }
  const hmac = (algorithm: string, key: string | Buffer, data: string | Buffer) =>
    createHmac(algorithm, key).update(data).digest()

  /** Answers each challenge in turn; gives the last reply. */
  const exchange = (client: RawClient, start: string, ...responses: ReadonlyArray<(challenge: string) => string>) =>
    Effect.gen(function* () {
      let [reply] = yield* client.ask(start)
      for (const response of responses) {
        assert.strictEqual(reply!.slice(0, 4), "334 ")
        const challenge = Buffer.from(reply!.slice(4), "base64").toString()
        ;[reply] = yield* client.ask(response(challenge))
      }
      return Number(reply!.slice(0, 3))
    })

  const cram = (password: string) => (challenge: string) =>
    base64(`ann ${hmac("md5", password, challenge).toString("hex")}`)

  /** The client's side of RFC 5802, checking the server's signature. */
  const scram = (password: string) => {
    const bare = "n=ann,r=clientnonce"
    let signature = ""
    return {
      first: base64(`n,,${bare}`),
      proof: (serverFirst: string) => {
        const [, nonce, salt, rounds] = /^r=(clientnonce[^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst)!
        const salted = pbkdf2Sync(password, Buffer.from(salt!, "base64"), Number(rounds), 32, "sha256")
        const clientKey = hmac("sha256", salted, "Client Key")
        const final = `c=biws,r=${nonce}`
        const message = `${bare},${serverFirst},${final}`
        const mask = hmac("sha256", createHash("sha256").update(clientKey).digest(), message)
        signature = hmac("sha256", hmac("sha256", salted, "Server Key"), message).toString("base64")
        return base64(
          `${final},p=${Buffer.from(clientKey.map((byte, index) => byte ^ mask[index]!)).toString("base64")}`
        )
      },
      verify: (serverFinal: string) => {
        assert.strictEqual(serverFinal, `v=${signature}`)
        return ""
      }
    }
  }

  it.live("takes the right credentials by every mechanism", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const attempt = (start: string, ...responses: ReadonlyArray<(challenge: string) => string>) =>
        Effect.flatMap(greeted(server.port), (client) => exchange(client, start, ...responses))
      const plain = base64("\0ann\0s€cret")
      assert.strictEqual(yield* attempt(`AUTH PLAIN ${plain}`), 235)
      assert.strictEqual(yield* attempt("AUTH PLAIN", () => plain), 235)
      assert.strictEqual(
        yield* attempt(
          "AUTH LOGIN",
          () => base64("ann"),
          () => base64("s€cret")
        ),
        235
      )
      assert.strictEqual(yield* attempt(`auth login ${base64("ann")}`, () => base64("s€cret")), 235)
      assert.strictEqual(yield* attempt("AUTH CRAM-MD5", cram("s€cret")), 235)
      const { first, proof, verify } = scram("s€cret")
      assert.strictEqual(yield* attempt(`AUTH SCRAM-SHA-256 ${first}`, proof, verify), 235)
      const xoauth2 = base64("user=ann\x01auth=Bearer ya29.token\x01\x01")
      assert.strictEqual(yield* attempt(`AUTH XOAUTH2 ${xoauth2}`), 235)
      const oauthbearer = base64("n,a=ann,\x01host=localhost\x01port=25\x01auth=Bearer ya29.token\x01\x01")
      assert.strictEqual(yield* attempt(`AUTH OAUTHBEARER ${oauthbearer}`), 235)
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("refuses wrong ones, and explains the refusal of a bearer token first", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const attempt = (start: string, ...responses: ReadonlyArray<(challenge: string) => string>) =>
        Effect.flatMap(greeted(server.port), (client) => exchange(client, start, ...responses))
      assert.strictEqual(yield* attempt(`AUTH PLAIN ${base64("\0ann\0secret")}`), 535)
      assert.strictEqual(yield* attempt(`AUTH PLAIN ${base64("\0toString\0x")}`), 535)
      assert.strictEqual(
        yield* attempt(
          "AUTH LOGIN",
          () => base64("bob"),
          () => base64("s€cret")
        ),
        535
      )
      assert.strictEqual(yield* attempt("AUTH CRAM-MD5", cram("secret")), 535)
      const { first, proof } = scram("secret")
      assert.strictEqual(yield* attempt(`AUTH SCRAM-SHA-256 ${first}`, proof), 535)
      const status = (challenge: string) => {
        assert.strictEqual(JSON.parse(challenge).status, "401")
        return ""
      }
      const xoauth2 = base64("user=ann\x01auth=Bearer old\x01\x01")
      assert.strictEqual(yield* attempt(`AUTH XOAUTH2 ${xoauth2}`, status), 535)
      const oauthbearer = base64("n,a=ann,\x01auth=Bearer old\x01\x01")
      assert.strictEqual(
        yield* attempt(`AUTH OAUTHBEARER ${oauthbearer}`, (challenge) => status(challenge) || "AQ=="),
        535
      )
    })
  )

  it.live("can be cancelled, and happens once and in its place", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ ...options, requireAuth: true, extensions: { auth: ["PLAIN", "LOGIN"] } })
      const client = yield* greeted(server.port)
      assert.strictEqual(yield* exchange(client, "AUTH LOGIN", () => "*"), 501)
      assert.strictEqual(yield* exchange(client, "AUTH LOGIN", () => "not base64"), 501)
      assert.deepStrictEqual(codes(yield* client.ask("AUTH CRAM-MD5", "MAIL FROM:<a@b>")), [504, 530])
      assert.strictEqual(yield* exchange(client, `AUTH PLAIN ${base64("\0ann\0s€cret")}`), 235)
      assert.deepStrictEqual(
        codes(yield* client.ask("AUTH LOGIN", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "BDAT 0 LAST")),
        [503, 250, 250, 250]
      )
      assert.strictEqual(server.messages[0]?.user, "ann")
    })
  )

  it.live("is not offered in clear when it needs TLS", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ ...options, tls: true, authNeedsTls: true })
      const client = yield* connect(server.port)
      yield* client.replies(1)
      assert.notInclude((yield* client.ask("EHLO x"))[0], "AUTH")
      assert.deepStrictEqual(codes(yield* client.ask("AUTH LOGIN", "STARTTLS")), [538, 220])
      const secure = yield* client.secure(trusting(server))
      assert.include((yield* secure.ask("EHLO x"))[0], "AUTH SCRAM-SHA-256")
    })
  )
})
