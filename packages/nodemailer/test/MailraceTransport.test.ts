import * as TestServer from "@mailrace/testing/TestServer"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Nodemailer from "nodemailer"
import type { NodemailerError, SendMailOptions } from "nodemailer"
import { simpleParser } from "mailparser"
import { once } from "node:events"
import * as Fs from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { Readable } from "node:stream"
import { mailraceTransport, type Options, type Relay } from "../src/MailraceTransport.ts"

type Server = TestServer.TestServerService

const plain: SendMailOptions = { from: "Ann <ann@a.test>", to: "bob@b.test", subject: "Hello", text: "Hi" }

const url = (server: Server) => `smtp://${server.host}:${server.port}?tls=off`

/** A stream that fails after its first bytes. */
const failing = (code: string): Readable =>
  Readable.from(
    (function* () {
      yield "begun"
      throw Object.assign(new Error("it broke"), { code })
    })()
  )

/** A transporter of Mailrace's that is closed with the scope. */
const make = (relay: Relay, options: Options = { retry: RetryPolicy.none }) =>
  Effect.acquireRelease(
    Effect.sync(() => Nodemailer.createTransport(mailraceTransport(relay, options))),
    (transporter) => Effect.promise(async () => transporter.close())
  )

/** The same of nodemailer's. */
const makeTheirs = (options: object) =>
  Effect.acquireRelease(
    Effect.sync(() => Nodemailer.createTransport({ ignoreTLS: true, ...options })),
    (transporter) => Effect.sync(() => transporter.close())
  )

interface Sender {
  readonly sendMail: (mail: SendMailOptions) => Promise<any>
}

const send = (transporter: Sender, mail: SendMailOptions = plain) => Effect.promise(() => transporter.sendMail(mail))

const failure = (transporter: Sender, mail: SendMailOptions = plain) =>
  Effect.promise(() =>
    transporter.sendMail(mail).then(
      () => assert.fail("it was sent"),
      (error: NodemailerError) => error
    )
  )

const refusedWith = (error: NodemailerError): MailError.Reason["_tag"] =>
  MailError.isMailError(error.cause) ? error.cause.reason._tag : assert.fail("its cause is no MailError")

describe("mailraceTransport", () => {
  it.live("asks for no more than a whole message needs, whatever ends its lines", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ extensions: { smtpUtf8: false } })
      const transporter = yield* make(url(server))
      for (const end of ["\n", "\r\n"]) {
        const raw = ["From: a@a.test", "Subject: raw", "", "Grüße", ""].join(end)
        yield* send(transporter, { envelope: { from: "a@a.test", to: "b@b.test" }, raw })
        const utf8 = raw.replace("raw", "räw")
        const error = yield* failure(transporter, { envelope: { from: "a@a.test", to: "b@b.test" }, raw: utf8 })
        assert.strictEqual(refusedWith(error), "CapabilityMissing")
      }
    })
  )

  it.live("sends what nodemailer's own transport sends, and tells the same", () =>
    Effect.gen(function* () {
      const mails: ReadonlyArray<SendMailOptions> = [
        plain,
        { ...plain, to: ["a@b.test", "Ü <ü@bücher.test>"], cc: "c@c.test", bcc: "d@d.test", html: "<p>Grüße</p>" },
        { ...plain, attachments: [{ filename: "a.bin", content: Buffer.alloc(100_000, 7) }, { path: "data:,hello" }] },
        { ...plain, attachments: [{ filename: "s.txt", content: Readable.from(["abc"]) }] },
        { ...plain, text: ".\n..\n.dot\r\n\n\n", headers: { "X-A": "1" }, priority: "high" },
        {
          ...plain,
          envelope: { from: "bounce@a.test", to: ["other@b.test"] },
          dsn: { id: "7", notify: "never", return: "full" }
        },
        { envelope: { from: "", to: "raw@b.test" }, raw: "Subject: raw\n\nbody \xfc" },
        { ...plain, attachments: [{ filename: "large.txt", content: "a line\n.\n".repeat(200_000) }] },
        { ...plain, dsn: { ret: "HEADERS", envid: "8", notify: ["success", "DELAY"], recipient: "list@b.test" } },
        { ...plain, icalEvent: "BEGIN:VCALENDAR\r\nEND:VCALENDAR", list: { unsubscribe: "https://a.test/" } }
      ]
      const servers = [yield* TestServer.make(), yield* TestServer.make()] as const
      const theirs = yield* makeTheirs({ host: servers[0].host, port: servers[0].port })
      const ours = yield* make(url(servers[1]))
      for (const mail of mails) {
        const same = { messageId: "<same@a.test>", date: new Date(0), baseBoundary: "b", ...mail }
        const stream = mail.attachments?.[0]?.content instanceof Readable
        const again = stream ? { ...same, attachments: [{ filename: "s.txt", content: Readable.from(["abc"]) }] } : same
        const [expected, info] = [yield* send(theirs, same), yield* send(ours, again)]
        for (const field of ["envelope", "messageId", "accepted", "rejected", "response", "messageSize", "ehlo"])
          assert.deepStrictEqual(info[field], expected[field], field)
        const own = Object.keys(info).filter((field) => !(field in expected))
        const missing = Object.keys(expected).filter((field) => !(field in info))
        assert.deepStrictEqual([own, missing], [[], []])
        for (const field of ["envelopeTime", "messageTime"]) assert.isTrue(Number.isInteger(info[field]), field)
      }
      const [expected, taken] = servers.map(({ messages }) =>
        messages.map(({ content, from, to }) => ({
          from: from.address,
          dsn: [from.parameters["RET"], from.parameters["ENVID"], to[0]?.parameters],
          to: to.map(({ address }) => address),
          // The agent's own name is in it.
          content: Buffer.from(content)
            .toString("latin1")
            .replace(/X-Mailer: [^\r]*\r\n(?: [^\r]*\r\n)*/, "")
        }))
      )
      assert.strictEqual(taken!.length, mails.length)
      assert.deepStrictEqual(taken, expected)
      assert.deepStrictEqual([...servers[1].protocolErrors], [])
    })
  )

  for (const faults of [
    ["rcpt:550:to=bob@*"],
    ["rcpt:450:to=bob@*"],
    ["rcpt:550"],
    ["rcpt:450 4.2.0 later"],
    ["mail:550"],
    ["mail:451"],
    ["mail:421"],
    ["rcpt:421"],
    ["data:421"],
    ["mail:503"],
    ["mail:552"],
    ["mail:451 4.7.1 greylisted"],
    ["rcpt:450 4.7.1 greylisted"],
    ["data:451 4.7.1 greylisted"],
    ["final:451 4.7.1 greylisted"],
    ["data:554"],
    ["data:552"],
    ["final:554"],
    ["final:552"],
    ["final:550 5.1.1 nobody"],
    ["mail:554 5.7.1 Client host rejected"],
    ["rcpt:554 5.7.1 Client host rejected"],
    ["rcpt:450 4.7.1 Client host rejected: cannot find your hostname"],
    ["data:554 5.7.1 Client host rejected"],
    ["rcpt:550 5.1.8 Sender address rejected"],
    ["final:550 5.7.1 Client host rejected"],
    ["final:550 5.1.8 Sender address rejected"],
    ["final:451 4.3.0 later"],
    ["final:421"],
    ["greeting:554"],
    ["greeting:421"],
    ["mail:drop"],
    ["final:drop"],
    ["final:hang"],
    ["greeting:hang"]
  ]) {
    it.live(`fails as nodemailer does with ${faults.join()}`, () =>
      Effect.gen(function* () {
        // nodemailer reports a 421 with further commands under way as the end of the connection.
        const is421 = faults[0]!.includes("421")
        const server = yield* TestServer.make({ faults, extensions: { pipelining: !is421 } })
        const options = {
          host: server.host,
          port: server.port,
          ignoreTLS: true,
          ...(faults[0]!.endsWith(":hang") ? { socketTimeout: 400, greetingTimeout: 200 } : {})
        }
        const mail = { ...plain, to: is421 ? "bob@b.test" : "bob@b.test, carol@b.test" }
        const seen = ({
          code,
          command,
          permanent,
          rejected,
          rejectedErrors,
          responseCode,
          timeoutType
        }: NodemailerError) => ({
          code,
          command,
          timeoutType,
          permanent,
          rejected,
          responseCode,
          rejectedErrors: rejectedErrors?.map(({ code, command, permanent, recipient, responseCode }) => ({
            code,
            command,
            permanent,
            recipient,
            responseCode
          }))
        })
        const both = [yield* makeTheirs(options), yield* make(options)] as const
        if (faults[0]!.includes("to=")) {
          const [expected, info] = [yield* send(both[0], mail), yield* send(both[1], mail)]
          assert.deepStrictEqual([info.accepted, info.rejected], [expected.accepted, expected.rejected])
          assert.deepStrictEqual(info.rejectedErrors.map(seen), expected.rejectedErrors.map(seen))
        } else {
          const [expected, error] = yield* Effect.all([failure(both[0], mail), failure(both[1], mail)], {
            concurrency: 2
          })
          assert.deepStrictEqual(seen(error), seen(expected))
          assert.strictEqual(error.response, expected.response)
          assert.instanceOf(error, Error)
          refusedWith(error)
        }
      })
    )
  }

  it.live("fails as nodemailer does where the relay cannot do STARTTLS now", () =>
    Effect.gen(function* () {
      for (const fault of ["starttls:454", "starttls:421"]) {
        const server = yield* TestServer.make({ tls: true, faults: [fault] })
        const options = { host: "localhost", port: server.port, ignoreTLS: false }
        const [expected, error] = [yield* failure(yield* makeTheirs(options)), yield* failure(yield* make(options))]
        for (const field of ["code", "command", "response", "responseCode"] as const)
          assert.strictEqual(error[field], expected[field], `${fault} ${field}`)
        assert.strictEqual(error.code, "ETLS")
        assert.isTrue((error.cause as MailError.MailError).isRetryable)
      }
    })
  )

  it.live("tells a lost reply from a lost connection in the cause", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:drop"] })
      const transporter = yield* make(url(server), {})
      assert.strictEqual(refusedWith(yield* failure(transporter)), "OutcomeUnknown")
      assert.strictEqual(server.stats.unanswered, 1)
    })
  )

  it.live("tries again what failed for now", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:451:first=2"] })
      const transporter = yield* make(url(server), { retry: RetryPolicy.make({ base: 1 }) })
      assert.match((yield* send(transporter)).response, /^250 /)
      assert.strictEqual(server.stats.messages, 1)
    })
  )

  it.live("streams large files, also at another attempt; a stream that is gone keeps the first error", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:451:first=1"] })
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "mailrace-"))),
        (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true }))
      )
      const content = Buffer.alloc(4_000_000, "0123456789abcdef")
      const path = Path.join(folder, "large.bin")
      Fs.writeFileSync(path, content)
      const transporter = yield* make(url(server), { retry: RetryPolicy.make({ base: 1 }) })
      yield* send(transporter, { ...plain, attachments: [{ path }] })
      const parsed = yield* Effect.promise(() => simpleParser(Buffer.from(server.messages[0]!.content)))
      assert.isTrue(parsed.attachments[0]?.content.equals(content))
      yield* server.setFaults(["final:451:first=1"])
      const error = yield* failure(transporter, { ...plain, attachments: [{ content: Readable.from([content]) }] })
      assert.strictEqual(error.responseCode, 451)
    })
  )

  it.live("refuses messages that cannot be sent, with nodemailer's codes", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const transporter = yield* make(url(server))
      const theirs = yield* makeTheirs({ host: server.host, port: server.port })
      const missing = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const http = createServer((_, response) => response.writeHead(404).end()).listen(0, "127.0.0.1")
          await once(http, "listening")
          return http
        }),
        (http) => Effect.sync(() => http.close())
      )
      const href = `http://127.0.0.1:${(missing.address() as AddressInfo).port}/`
      for (const [mail, code] of [
        [{ ...plain, to: undefined }, "EENVELOPE"],
        [{ ...plain, to: "bob@b..test" }, "EENVELOPE"],
        [{ ...plain, dsn: { notify: "zzz" } }, "EENVELOPE"],
        [{ ...plain, dsn: { notify: "never,success" } }, "EENVELOPE"],
        [{ ...plain, dsn: { ret: "none" } }, "EENVELOPE"],
        [{ ...plain, attachments: [{ path: "/nowhere/at/all" }] }, "ESTREAM"],
        [{ ...plain, attachments: [{ path: "/nowhere/at/all" }], disableFileAccess: true }, "ESTREAM"],
        [{ ...plain, attachments: [{ href: `http://${server.host}:1/` }], disableUrlAccess: true }, "ESTREAM"],
        [{ ...plain, attachments: [{ href }] }, "ESTREAM"],
        [{ ...plain, attachments: [{ content: failing("EGONE") }] }, "ESTREAM"],
        [{ ...plain, attachments: [{ content: Buffer.alloc(2_000_000) }, { content: failing("EGONE") }] }, "ESTREAM"]
      ] as const) {
        const same = mail as SendMailOptions
        const error = yield* failure(transporter, same)
        assert.strictEqual(error.code, code, error.message)
        assert.strictEqual(error.command, "API")
        const expected = yield* failure(theirs, mail as SendMailOptions)
        assert.deepStrictEqual([code, error.originalCode], [expected.code, expected.originalCode], error.message)
      }
      assert.strictEqual(server.stats.messages, 0)
    })
  )

  it.live("sends as often as it says that it is idle", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: 2 })
      const transporter = yield* make(url(server), { concurrency: 4 })
      const waiting = Array.from({ length: 50 }, (_, i) => ({ ...plain, subject: String(i) }))
      let most = 0
      let isBusySeen = false
      yield* Effect.callback<void>((resume) => {
        let left = waiting.length
        const underWay = new Set<number>()
        transporter.on("idle", () => {
          while (transporter.isIdle() && waiting.length > 0) {
            const id = waiting.length
            underWay.add(id)
            most = Math.max(most, underWay.size)
            transporter.sendMail(waiting.shift()!, (error) => {
              underWay.delete(id)
              if (error !== null) resume(Effect.die(error))
              else if (--left === 0) resume(Effect.void)
            })
          }
          isBusySeen ||= !transporter.isIdle()
        })
      })
      assert.strictEqual(server.stats.messages, 50)
      assert.strictEqual(most, 4)
      assert.isTrue(isBusySeen)
      assert.isTrue(transporter.isIdle())
    })
  )

  it.live("aborts a mail that waits, and one not yet begun, and never one that may have arrived", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["mail:hang:nth=1", "final:delay=100ms"] })
      const transporter = yield* make(
        {
          host: server.host,
          port: server.port,
          ignoreTLS: true,
          mailrace: { pipelining: "envelope", interruptGrace: 200 }
        },
        { concurrency: 1 }
      )
      const [first, second] = [new AbortController(), new AbortController()]
      const errors = [first, second].map(({ signal }) => Effect.runPromise(failure(transporter, { ...plain, signal })))
      yield* server.until((stats) => stats.faults === 1)
      second.abort()
      assert.strictEqual((yield* Effect.promise(() => errors[1]!)).code, "EABORT")
      first.abort()
      const error = yield* Effect.promise(() => errors[0]!)
      assert.deepInclude({ code: error.code, name: error.name }, { code: "EABORT", name: "AbortError" })
      const late = new AbortController()
      const sent = transporter.sendMail({ ...plain, signal: late.signal })
      yield* server.until((stats) => stats.faults === 2)
      late.abort()
      assert.match((yield* Effect.promise(() => sent)).response, /^250/)
      assert.strictEqual(server.stats.messages, 1)
    })
  )

  it.live(
    "as a pool lets messages on their way finish when it is closed, fails those that wait, and takes no more",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["final:delay=100ms"] })
        const transporter = yield* make(
          { host: server.host, port: server.port, ignoreTLS: true, pool: true },
          { concurrency: 1 }
        )
        const begun = transporter.sendMail(plain)
        const waiting = Effect.runPromise(failure(transporter))
        yield* server.until((stats) => stats.faults === 1)
        const closing = transporter.close() as unknown as Promise<void>
        assert.match((yield* Effect.promise(() => begun)).response, /^250/)
        assert.strictEqual((yield* Effect.promise(() => waiting)).code, "ECONNECTION")
        yield* Effect.promise(() => Promise.all([closing, transporter.close()]))
        assert.strictEqual((yield* failure(transporter)).message, "Connection pool was closed")
        yield* server.awaitIdle
        assert.include(
          server.transcript.map(({ line }) => line),
          "QUIT"
        )
      })
  )

  it.live("not as a pool goes on after it is closed, as nodemailer's plain transport does", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=20ms"] })
      const transporter = yield* make(url(server), { concurrency: 1 })
      const sent = [transporter.sendMail(plain), transporter.sendMail(plain)]
      yield* Effect.promise(async () => transporter.close())
      for (const one of sent) assert.match((yield* Effect.promise(() => one)).response, /^250/)
      yield* server.awaitIdle
      assert.include(
        server.transcript.map(({ line }) => line),
        "QUIT"
      )
      yield* send(transporter)
      assert.strictEqual(server.stats.messages, 3)
      assert.strictEqual(server.stats.connections, 2)
    })
  )

  it.live("closes connections by itself after a pause, says so, and opens others with the next mail", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const transport = mailraceTransport(url(server), { retry: RetryPolicy.none })
      const transporter = Nodemailer.createTransport(transport)
      const cleared = new Promise<void>((resolve) => transporter.on("clear", resolve))
      yield* send(transporter)
      yield* send(transporter)
      assert.strictEqual(server.stats.connections, 1)
      yield* Effect.promise(() => cleared)
      yield* server.awaitIdle
      yield* send(transporter)
      assert.strictEqual(server.stats.connections, 2)
      const closed = new Promise<void>((resolve) => transport.on("close", resolve))
      transporter.close()
      yield* Effect.promise(() => closed)
      yield* server.awaitIdle
    })
  )

  it.live("verifies the relay and the login, by promise and by callback", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: "right" } })
      const as = (pass: string) =>
        make({ host: server.host, port: server.port, ignoreTLS: true, auth: { user: "ann", pass } })
      const [right, wrong] = [yield* as("right"), yield* as("wrong-password")]
      assert.isTrue(yield* Effect.promise(() => right.verify()))
      const error = yield* Effect.callback<NodemailerError>((resume) =>
        wrong.verify((error) => resume(error === null ? Effect.die("it verified") : Effect.succeed(error)))
      )
      assert.deepInclude({ ...error }, { code: "EAUTH", responseCode: 535 })
      assert.notInclude(error.message + JSON.stringify(error.cause), "wrong-password")
    })
  )

  it.live("takes nodemailer's TLS options, and keeps a login out of clear text", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, users: { ann: "right" }, requireAuth: true })
      const options = { host: "localhost", port: server.port, auth: { user: "ann", pass: "right" } }
      const trusting = yield* make({ ...options, tls: { ca: server.tls!.ca, servername: "localhost" } })
      yield* send(trusting)
      assert.isDefined(server.messages[0]?.tls)
      assert.strictEqual(server.messages[0]?.user, "ann")
      const strict = yield* make({ ...options, tls: {} })
      assert.strictEqual((yield* failure(strict)).code, "ETLS")
      const lax = yield* make({ ...options, tls: { rejectUnauthorized: false } })
      yield* send(lax)
      const implicit = yield* TestServer.make({ tls: { implicit: true } })
      const secure = yield* make({
        host: "localhost",
        port: implicit.port,
        secure: true,
        tls: { ca: implicit.tls!.ca }
      })
      yield* send(secure)
      assert.strictEqual(implicit.messages.length, 1)
      const inClear = yield* TestServer.make({ users: { ann: "right" } })
      const careful = yield* make({ host: inClear.host, port: inClear.port, auth: options.auth })
      assert.strictEqual((yield* failure(careful)).code, "ETLS")
    })
  )

  it("refuses options and URLs that it cannot follow, by name, and shows no password", () => {
    const refused = (relay: Relay): NodemailerError => {
      try {
        mailraceTransport(relay)
      } catch (error) {
        return error as NodemailerError
      }
      return assert.fail("it was taken")
    }
    for (const [options, expected] of [
      [{ host: "a.test", secure: false, proxy: "socks5://b.test" }, /proxy/],
      [{ host: "a.test", localAddress: "eth0" }, /localAddress "eth0" is not an address/],
      [{ url: "smtp://a.test?lmtp=true" }, /lmtp/],
      [{ host: "a.test", auth: { user: "ann", pass: "secret" }, authMethod: "NTLM" }, /authMethod.*PLAIN.*NTLM/],
      [{ host: "a.test", auth: { user: "ann", pass: "secret", method: "OAUTHBEARER" } }, /authMethod/],
      [{ host: "a.test", pipelining: "envelope" } as unknown as Relay, /"pipelining".*mailrace: { pipelining: … }/],
      [{ host: "a.test", tls: { mode: "off" } } as unknown as Relay, /"tls\.mode".*mailrace: { tls: { mode: … } }/],
      [{ mailrace: { pipeline: "off" } } as unknown as Relay, /"mailrace\.pipeline" is not known.*pipelining/],
      [{ mailrace: "smtp://a.test" } as unknown as Relay, /"mailrace" is not an object/],
      [{ host: "a.test", mailrace: { host: "b.test" } }, /"host" under mailrace/],
      [{ secure: true, mailrace: { host: "b.test" } }, /"secure" under mailrace/],
      [{ host: "a.test", ignoreTLS: true, tls: { ca: "x" } }, /"tls\.ca" demands TLS, and "ignoreTLS"/],
      [{ host: "a.test", ignoreTLS: true, servername: "x" }, /"tls\.servername" demands TLS, and "ignoreTLS"/],
      [
        { host: "a.test", mailrace: { tls: { mode: "off", verify: true } } },
        /tls\.verify demands TLS.*leave tls\.mode out/
      ],
      [
        { mailrace: { host: "a.test", tls: { mode: "opportunistic", pins: ["00".repeat(32)] } } },
        /tls\.pins demands TLS/
      ],
      ["smtp://a.test?pool=true", /"pool" is not known/],
      ["smtp://a.test?tls=opportunistic&tlsVerify=true", /tlsVerify=true demands TLS/],
      [{ hots: "a.test" } as unknown as Relay, /hots/],
      [undefined as unknown as Relay, /no relay/],
      [{ host: "a.test", secure: true, tls: { ciphers: "ALL" } }, /tls\.ciphers/],
      [{ service: "nobody's mail" }, /nobody's mail/]
    ] as ReadonlyArray<readonly [Relay, RegExp]>) {
      const error = refused(options)
      assert.strictEqual(error.code, "ECONFIG")
      assert.match(error.message, expected)
      assert.notInclude(error.message, "secret")
    }
    for (const relay of ["http://a.test", "smtp://ann:secret@a.test?odd=1", Redacted.make("smtp://ann:secret@:99999")])
      assert.notInclude(refused(relay).message, "secret")
    assert.strictEqual(mailraceTransport({ service: "Gmail", auth: { user: "ann", pass: "x" } }).name, "Mailrace")
  })

  it.live("keeps to nodemailer's switches for files and URLs", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const transporter = yield* make({
        host: server.host,
        port: server.port,
        ignoreTLS: true,
        disableFileAccess: true,
        disableUrlAccess: true
      })
      for (const attachment of [{ path: "/etc/hosts" }, { href: "http://127.0.0.1:9/" }])
        assert.match((yield* failure(transporter, { ...plain, attachments: [attachment] })).message, /access rejected/)
    })
  )

  it.live("sends through any MailTransport, of a layer or of the app's own runtime", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const layer = SmtpTransport.layer({ host: server.host, port: server.port, tls: { mode: "off" } })
      yield* send(yield* make(layer))
      const runtime = ManagedRuntime.make(layer)
      const transporter = yield* make(runtime)
      yield* send(transporter)
      yield* Effect.promise(async () => transporter.close())
      // It is the app's to close.
      yield* Effect.promise(() =>
        runtime.runPromise(Effect.flatMap(SmtpTransport.SmtpTransport, ({ verify }) => verify))
      )
      yield* Effect.promise(() => runtime.dispose())
      assert.strictEqual(server.stats.messages, 2)
      const broken = yield* make(Layer.effect(MailTransport, Effect.fail(new Error("no such relay"))))
      assert.deepInclude({ ...(yield* failure(broken)) }, { code: "ECONFIG" })
    })
  )

  it.live("gives the failure of an outbox, and a message withdrawn from it, the codes that an app looks for", () =>
    Effect.gen(function* () {
      const ending = (reason: MailError.Reason) =>
        Effect.flatMap(
          make(Layer.succeed(MailTransport, { send: () => Effect.fail(MailError.make(reason)) })),
          (transporter) => failure(transporter)
        )
      const [problem, hint] = ["the disk that holds o.db is full", "free space on that disk"]
      const full = yield* ending(
        new MailError.TransportUnavailable({ transport: "outbox", problem, hint, isRetryable: false })
      )
      assert.deepInclude({ ...full }, { code: "ECONNECTION", command: "CONN" })
      assert.include(full.message, problem)
      const withdrawn = yield* ending(new MailError.Withdrawn({ state: "expired", reply: { code: 450, text: "busy" } }))
      assert.deepInclude({ ...withdrawn }, { code: "EMESSAGE", command: "API", responseCode: 450 })
      assert.match(withdrawn.message, /expired before a relay accepted it.*450 busy/)
    })
  )
})
