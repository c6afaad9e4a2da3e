/**
 * nodemailer's options mean what they mean in nodemailer, which is asked itself: both send to the same relays.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Nodemailer from "nodemailer"
import type { NodemailerError, SendMailOptions } from "nodemailer"
import SMTPConnection from "nodemailer/lib/smtp-connection"
import * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as RelayOptions from "../src/internal/relayOptions.ts"
import { mailraceTransport, type NodemailerOptions, type Relay } from "../src/MailraceTransport.ts"

type Server = TestServer.TestServerService

const mail: SendMailOptions = { from: "ann@a.test", to: "bob@b.test", subject: "Hello", text: "Hi" }

interface Sender {
  readonly sendMail: (mail: SendMailOptions) => Promise<unknown>
}

/** How sending one mail ended: over TLS, in clear, or not, and then why. */
const outcome = (server: Server, sender: Sender) =>
  Effect.gen(function* () {
    const before = server.messages.length
    const error = yield* Effect.promise(() =>
      sender.sendMail(mail).then(
        () => undefined,
        (error: NodemailerError) => error
      )
    )
    const taken = server.messages[before]
    if (error === undefined) return taken?.tls === undefined ? "in clear" : "over TLS"
    assert.isUndefined(taken)
    return /expired/.test(error.message) ? "expired" : "refused"
  })

const ours = (relay: Relay) =>
  Effect.acquireRelease(
    Effect.sync(() => Nodemailer.createTransport(mailraceTransport(relay, { retry: RetryPolicy.none }))),
    (transporter) => Effect.promise(async () => transporter.close())
  )

const theirs = (options: NodemailerOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => Nodemailer.createTransport(options)),
    (transporter) => Effect.sync(() => transporter.close())
  )

/** Options beside host and port, as nodemailer takes them. */
const table: ReadonlyArray<NodemailerOptions> = [
  {},
  { name: "app.example" },
  { maxConnections: 2 },
  { maxMessages: 2 },
  { secure: false },
  { pool: true },
  { logger: false },
  { connectionTimeout: 5000 },
  { requireTLS: true },
  { requireTLS: true, ignoreTLS: true },
  { ignoreTLS: true },
  { opportunisticTLS: true },
  { tls: {} },
  { tls: { rejectUnauthorized: false } },
  { secure: false, tls: { minVersion: "TLSv1.2" } }
]

/** Relays to send to, by what is wrong with them; nobody knows the authority that signed their certificates. */
const relays: { readonly [name: string]: TestServer.Options } = {
  "an expired certificate": { tls: { expired: true } },
  "a certificate for another name": { tls: { names: ["another.example"] } },
  "a certificate that nobody signed whom we know": { tls: true },
  "no STARTTLS": { extensions: { starttls: false } },
  "a STARTTLS whose handshake breaks": { tls: true, faults: ["tls:reset"] }
}

describe("nodemailer's options", () => {
  for (const [name, relay] of Object.entries(relays)) {
    it.live(`mean the same to a relay with ${name}`, () =>
      Effect.gen(function* () {
        for (const options of table) {
          const server = yield* TestServer.make(relay)
          const all = { host: "localhost", port: server.port, ...options }
          const expected = yield* outcome(server, yield* theirs(all))
          for (const relayOptions of [
            all,
            { ...all, mailrace: { pipelining: "envelope", minConnections: 0 } } as const
          ])
            assert.strictEqual(
              yield* outcome(server, yield* ours(relayOptions)),
              expected,
              JSON.stringify({ ...relayOptions, port: 0 })
            )
        }
      })
    )
  }

  it.live("mean the same to a relay with TLS from the first byte", () =>
    Effect.gen(function* () {
      for (const tls of [{ implicit: true, expired: true }, { implicit: true }]) {
        for (const options of [{}, { tls: { rejectUnauthorized: false } }, { name: "app.example" }]) {
          const server = yield* TestServer.make({ tls })
          const all = { host: "localhost", port: server.port, secure: true, ...options }
          assert.strictEqual(
            yield* outcome(server, yield* ours(all)),
            yield* outcome(server, yield* theirs(all)),
            JSON.stringify(options)
          )
        }
      }
    })
  )

  it("can be read back, with what a service and a URL stand for and without secrets", () => {
    const auth = { user: "ann", pass: "secret" }
    assert.deepInclude(mailraceTransport({ service: "google mail", auth }).options, {
      host: "smtp.gmail.com",
      port: 465,
      secure: true
    })
    for (const [relay, expected] of [
      [{ url: "smtps://ann:secret@a.test:2465/?pool=true" }, { host: "a.test", port: 2465, secure: true, pool: true }],
      ["smtp://ann:secret@a.test", { host: "a.test", port: 587, secure: false }],
      [Redacted.make("smtps://ann:secret@a.test"), { host: "a.test", port: 465, secure: true }],
      [{ mailrace: { host: "a.test" } }, {}]
    ] as ReadonlyArray<readonly [Relay, NodemailerOptions]>) {
      const { options } = mailraceTransport(relay)
      assert.deepStrictEqual(options, expected)
      assert.notInclude(JSON.stringify(options), "secret")
    }
  })

  it("take a null in tls for an option that is not given, as Node does", () => {
    const tls = { ca: null, servername: null, minVersion: null, rejectUnauthorized: null }
    assert.deepStrictEqual(
      RelayOptions.readUnsafe({ host: "a.test", tls }).relay.tls,
      RelayOptions.readUnsafe({ host: "a.test", tls: {} }).relay.tls
    )
    assert.throws(() => mailraceTransport({ host: "a.test", tls: { ca: "" } }), /tls\.ca holds no certificate/)
  })

  it("have a pool's default for the number of connections, and 0 for no limit of idleness", () => {
    const relayOf = (options: NodemailerOptions) => RelayOptions.readUnsafe({ host: "a.test", ...options }).relay
    assert.strictEqual(relayOf({ pool: true }).maxConnections, 5)
    assert.strictEqual(relayOf({ pool: true, maxConnections: 9 }).maxConnections, 9)
    assert.isUndefined(relayOf({}).maxConnections)
    const own = relayOf({ pool: true, mailrace: { maxConnections: 7 } })
    assert.strictEqual(SmtpOptions.resolve(own).maxConnections, 7)
    for (const [idleTimeout, expected] of [
      [0, 2 ** 31 - 1],
      [1500, 1500],
      [undefined, 60_000]
    ] as const)
      assert.strictEqual(SmtpOptions.resolve(relayOf({ pool: true, idleTimeout })).idleTimeToLiveMs, expected)
  })

  it("have nodemailer's default for the host, the port and TLS from the first byte", () => {
    for (const options of [
      {},
      { host: "a.test" },
      { host: "" },
      { port: 0 },
      { port: "2525" },
      { port: 465 },
      { port: "465" },
      { port: 465, secure: false },
      { secure: true },
      { secure: false },
      { secure: true, port: 587 },
      { port: 25 }
    ] as ReadonlyArray<NodemailerOptions>) {
      const expected = new SMTPConnection(options as object) as unknown as {
        readonly host: string
        readonly port: number
        readonly secureConnection: boolean
      }
      for (const own of [{}, { mailrace: {} }, { mailrace: { pipelining: "off" } }] as const) {
        const { relay } = RelayOptions.readUnsafe({ ...options, ...own })
        assert.deepStrictEqual(
          [relay.host, relay.port, relay.tls?.mode === "implicit"],
          [expected.host, expected.port, expected.secureConnection],
          JSON.stringify({ ...options, ...own })
        )
      }
    }
  })

  it.live("that say what certificate the relay must show never end in clear text, where nodemailer's own would", () =>
    Effect.gen(function* () {
      for (const options of [
        { tls: { ca: "-----BEGIN CERTIFICATE-----" } },
        { tls: { servername: "localhost" } },
        { servername: "localhost" },
        { tls: { rejectUnauthorized: true } },
        { tls: { minVersion: "TLSv1.3" } },
        { mailrace: { tls: { pins: ["00".repeat(32)] } } },
        { mailrace: { tls: { verify: true } } },
        { auth: { user: "ann", pass: "secret" } }
      ] as ReadonlyArray<NodemailerOptions>) {
        const server = yield* TestServer.make({ extensions: { starttls: false } })
        const transporter = yield* ours({ host: "localhost", port: server.port, ...options })
        assert.strictEqual(yield* outcome(server, transporter), "refused", JSON.stringify(options))
        assert.notInclude(server.transcript.map(({ line }) => line).join(), "MAIL")
      }
    })
  )
})

describe("Mailrace's options under a key of their own", () => {
  it("stand over nodemailer's, and describe a whole relay when a host is among them", () => {
    const { keepsConnections, relay } = RelayOptions.readUnsafe({
      host: "a.test",
      port: 2525,
      maxConnections: 3,
      socketTimeout: 7000,
      tls: { rejectUnauthorized: false },
      mailrace: {
        pipelining: "envelope",
        depth: 4,
        minConnections: 1,
        maxConnections: undefined,
        tls: { pins: ["00".repeat(32)] },
        timeouts: { quit: 5 }
      }
    })
    assert.isTrue(keepsConnections)
    assert.deepInclude(relay, { host: "a.test", port: 2525, pipelining: "envelope", depth: 4, maxConnections: 3 })
    assert.deepInclude(relay.tls, { mode: "required", pins: ["00".repeat(32)], verify: false })
    assert.deepInclude(relay.timeouts, { command: 7000, quit: 5 })

    const whole = { host: "b.test", tls: { mode: "opportunistic" }, name: "c.test" } as const
    assert.deepStrictEqual(RelayOptions.readUnsafe({ mailrace: whole, pool: true, disableFileAccess: true }), {
      relay: whole,
      keepsConnections: true,
      dkim: undefined,
      isPool: true,
      rate: undefined,
      mailer: { disableFileAccess: true },
      shown: { pool: true, disableFileAccess: true },
      tokens: undefined,
      lacksLogin: false
    })
  })

  it.live("are taken with Mailrace's meaning when they describe the whole relay", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: { expired: true } })
      const transporter = yield* ours({ mailrace: { host: server.host, port: server.port } })
      assert.strictEqual(yield* outcome(server, transporter), "over TLS")
    })
  )
})

describe("A URL in place of nodemailer's", () => {
  it.live("never means a certificate that nobody has checked, unless it says so", () =>
    Effect.gen(function* () {
      const expired = yield* TestServer.make({ tls: { expired: true } })
      const relay = `smtp://localhost:${expired.port}`
      for (const [url, expected] of [
        [relay, yield* outcome(expired, yield* theirs({ url: relay } as NodemailerOptions))],
        [Redacted.make(relay), "refused"],
        [`${relay}?name=app.example`, "refused"],
        [`${relay}?tls=required`, "refused"],
        [`${relay}?tlsVerify=false`, "over TLS"],
        [`${relay}?tls=opportunistic`, "over TLS"],
        [`${relay}?tls=off`, "in clear"]
      ] as const)
        assert.strictEqual(
          (yield* outcome(expired, yield* ours(url))).replace("expired", "refused"),
          expected.replace("expired", "refused"),
          String(url)
        )
      const plain = yield* TestServer.make({ extensions: { starttls: false } })
      assert.strictEqual(yield* outcome(plain, yield* ours(`smtp://localhost:${plain.port}`)), "in clear")
    })
  )

  it("has nodemailer's ports", () => {
    const portOf = (relay: { readonly host: string; readonly tls?: object }) => RelayOptions.ofUrl(relay).relay.port
    assert.strictEqual(portOf({ host: "a.test" }), 587)
    assert.strictEqual(portOf({ host: "a.test", tls: { mode: "implicit" } }), 465)
  })
})
