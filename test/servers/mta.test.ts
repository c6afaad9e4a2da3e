/**
 * The real servers of test/support, driven by plain sockets and by nodemailer. Other tests rely on reading back from them
 * exactly what was sent.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as Nodemailer from "nodemailer"
import type SMTPPool from "nodemailer/lib/smtp-pool/index.js"
import * as Exim from "./support/Exim.ts"
import * as Mta from "./support/Mta.ts"
import * as Postfix from "./support/Postfix.ts"
import * as RealServers from "./support/RealServers.ts"

/** Milliseconds: generous, because the servers are many processes on a machine that others use. */
const limit = 60_000

const mail = (index: number) => ({
  envelope: { from: `sender${index}@a.test`, to: [`r${index}@b.test`, `s${index}@c.test`] },
  raw: Buffer.from(
    [
      `From: Sender <sender${index}@a.test>`,
      `To: r${index}@b.test, undisclosed`,
      `Bcc: kept${index}@d.test`,
      `Message-ID: <${index}@a.test>`,
      `Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= ${index}`,
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: 8bit",
      "",
      `Grüße ${index}`,
      ".",
      "..two",
      "",
      "x".repeat(1500),
      `${index} `.repeat(index % 300),
      ""
    ].join("\r\n")
  )
})

/** A message that no server rewrites: all required fields, full addresses, no Bcc, no line beyond 998 bytes. */
const plain = (index: number) => {
  const { envelope, raw } = mail(index)
  const text = raw.toString()
  return {
    envelope,
    raw: Buffer.from(
      text
        .replace(", undisclosed", "")
        .replace(/^Bcc: .*$/m, "Date: Sat, 21 Nov 2026 10:00:00 +0000")
        .replace("x".repeat(1500), "x".repeat(998))
        .replace(/(\d+ ){90}/g, "$&\r\n")
    )
  }
}

const pool = (mta: Mta.RealServer & Partial<Mta.Mta>, options: SMTPPool.Options = {}) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      Nodemailer.createTransport({
        pool: true,
        host: mta.host,
        port: mta.port,
        maxConnections: 10,
        maxMessages: Number.POSITIVE_INFINITY,
        ...(mta.certificate !== undefined && { tls: { ca: mta.certificate } }),
        ...(mta.login && { auth: { user: mta.login.username, pass: mta.login.password } }),
        ...options
      })
    ),
    (transport) => Effect.sync(() => transport.close())
  )

/** Writes the commands in one piece, which both servers allow after EHLO, and returns all final reply lines. */
const talk = (mta: Mta.Mta, ...commands: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, Error> =>
  Effect.callback((resume) => {
    let text = ""
    const socket = Net.connect(mta.port, mta.host)
    let greeted = 0
    socket.on("error", (error) => resume(Effect.fail(error)))
    socket.on("data", (data) => {
      text += data.toString("latin1")
      if (greeted === 0 && /^220 .*\r\n/.test(text)) {
        greeted = 1
        socket.write("EHLO client.test\r\n")
      } else if (greeted === 1 && /^250 .*\r\n/m.test(text)) {
        greeted = 2
        socket.write([...commands, "QUIT", ""].join("\r\n"), "latin1")
      }
    })
    socket.on("close", () => resume(Effect.succeed(text.split("\r\n").filter((line) => /^\d{3} /.test(line)))))
    return Effect.sync(() => socket.destroy())
  })

const byIndex = (arrived: ReadonlyArray<Mta.Arrived>) =>
  new Map(arrived.map((message) => [Number(/^sender(\d+)@/.exec(message.from)?.[1]), message]))

/** Sends 200 mails at once over pooled connections, and compares what arrived. */
const roundTrip = (mta: Mta.RealServer & Partial<Mta.Mta>, make: typeof mail) =>
  Effect.gen(function* () {
    const transport = yield* pool(mta, { ignoreTLS: true })
    const mails = Array.from({ length: 200 }, (_, index) => make(index))
    yield* Effect.promise(() => Promise.all(mails.map((one) => transport.sendMail(one))))
    const arrived = yield* mta.arrived
    assert.strictEqual(arrived.length, mails.length)
    const found = byIndex(arrived)
    mails.forEach(({ envelope, raw }, index) => {
      const message = found.get(index)
      assert.isDefined(message)
      assert.strictEqual(message.from, envelope.from)
      assert.deepStrictEqual([...message.to].sort(), envelope.to)
      assert.strictEqual(message.content.toString("latin1"), raw.toString("latin1"))
    })
    return arrived
  })

const roundTripTitle = "returns envelope and bytes of 200 messages over pooled connections"

for (const { name, start } of RealServers.all.filter(({ name }) => name !== "Postfix" && name !== "Exim")) {
  describe(`real ${name}`, () => {
    it.live(
      roundTripTitle,
      (context) => Effect.flatMap(start, (mta) => roundTrip(mta, plain)).pipe(Effect.scoped, Mta.orSkip(context)),
      limit
    )
  })
}

for (const [name, make] of [
  ["Postfix", Postfix.make],
  ["Exim", Exim.make]
] as const) {
  describe(`real ${name}`, () => {
    it.live(
      roundTripTitle,
      (context) =>
        Effect.gen(function* () {
          const arrived = yield* roundTrip(yield* make(), mail)
          for (const { received } of arrived) assert.match(received, / with E?SMTP /i)
        }).pipe(Mta.orSkip(context)),
      limit
    )

    it.live(
      "takes mail over STARTTLS under a certificate that verifies",
      (context) =>
        Effect.gen(function* () {
          const mta = yield* make()
          const transport = yield* pool(mta, { requireTLS: true, host: "localhost" })
          yield* Effect.promise(() => transport.sendMail(mail(7)))
          const [message, ...more] = yield* mta.arrived
          assert.deepStrictEqual(more, [])
          assert.match(message?.received ?? "", / with ESMTPS /i)
          assert.strictEqual(message?.content.toString("latin1"), mail(7).raw.toString("latin1"))
        }).pipe(Mta.orSkip(context)),
      limit
    )

    it.live(
      "refuses by rule, at MAIL and at RCPT, and keeps to its size limit",
      (context) =>
        Effect.gen(function* () {
          const mta = yield* make({ messageSizeLimit: 50_000 })
          const codes = (yield* talk(
            mta,
            "MAIL FROM:<refused1@a.test>",
            "MAIL FROM:<a@a.test> SIZE=60000",
            "RSET",
            "MAIL FROM:<>",
            "RCPT TO:<bad1@b.test>",
            "RCPT TO:<later1@b.test>",
            "RCPT TO:<good@b.test>"
          )).map((line) => line.slice(0, 3))
          assert.deepStrictEqual(codes, "220 250 550 552 250 250 550 450 250 221".split(" "))
          assert.deepStrictEqual(yield* mta.arrived, [])
        }).pipe(Mta.orSkip(context)),
      limit
    )

    it.live(
      "takes BDAT, 8-bit bytes, Unicode addresses and the null sender",
      (context) =>
        Effect.gen(function* () {
          const mta = yield* make()
          const content = Buffer.from("Subject: Grüße\r\n\r\nnaïve\r\n.\r\nend\r\n")
          const unicode = Buffer.from("jörg@bücher.test").toString("latin1")
          const bdat = `BDAT ${content.length} LAST\r\n${content.toString("latin1")}`
          const lines = yield* talk(
            mta,
            `MAIL FROM:<${unicode}> SMTPUTF8 BODY=8BITMIME`,
            `RCPT TO:<${unicode}>`,
            `${bdat}MAIL FROM:<> SMTPUTF8 BODY=8BITMIME`,
            `RCPT TO:<one@b.test>`,
            bdat.slice(0, -2)
          )
          assert.deepStrictEqual(
            lines.map((line) => line[0]),
            [..."222222222"]
          )
          const arrived = yield* mta.arrived
          assert.deepStrictEqual(
            new Set(arrived.map(({ content, from, to }) => `${from} ${to.join()} ${content.toString("base64")}`)),
            new Set([
              `jörg@bücher.test jörg@bücher.test ${content.toString("base64")}`,
              ` one@b.test ${content.toString("base64")}`
            ])
          )
        }).pipe(Mta.orSkip(context)),
      limit
    )

    it.live(
      "starts several at once, each with its own mail",
      (context) =>
        Effect.gen(function* () {
          const mtas = yield* Effect.all([make(), make()], { concurrency: "unbounded" })
          for (const [index, mta] of mtas.entries()) {
            const transport = yield* pool(mta)
            yield* Effect.promise(() => transport.sendMail(mail(index)))
          }
          for (const [index, mta] of mtas.entries()) {
            assert.deepStrictEqual([...byIndex(yield* mta.arrived).keys()], [index])
          }
        }).pipe(Mta.orSkip(context)),
      limit
    )
  })
}

describe("real Exim with a login", () => {
  const login = { username: "relay$user", password: 'pa$s{wo}rd\\ " ü' }
  for (const method of ["PLAIN", "LOGIN", "CRAM-MD5"]) {
    it.live(
      `knows the right password from a wrong one by ${method}`,
      (context) =>
        Effect.gen(function* () {
          const exim = yield* Exim.make({ login })
          const verify = (pass: string) =>
            Effect.flatMap(pool(exim, { authMethod: method, auth: { user: login.username, pass } }), (transport) =>
              Effect.promise(() => transport.verify().catch((error: { responseCode?: number }) => error.responseCode))
            )
          assert.strictEqual(yield* verify(login.password), true)
          assert.strictEqual(yield* verify(`${login.password}x`), 535)
        }).pipe(Mta.orSkip(context)),
      limit
    )
  }
})

describe("a missing server", () => {
  it.live("is a typed error that names the program", () =>
    Effect.gen(function* () {
      const before = process.env.MAILRACE_EXIM
      process.env.MAILRACE_EXIM = "/nowhere/exim4"
      const error = yield* Effect.flip(Exim.make()).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            if (before === undefined) delete process.env.MAILRACE_EXIM
            else process.env.MAILRACE_EXIM = before
          })
        )
      )
      assert.instanceOf(error, Mta.MtaMissing)
      assert.include(error.message, "/nowhere/exim4")
    })
  )
})
