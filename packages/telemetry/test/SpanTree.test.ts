/**
 * The spans of real sends, from `Mailer` over `SmtpTransport` to a server on a socket, as a collector receives them.
 */
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type * as Mail from "mailrace/Mail"
import * as Mailer from "mailrace/Mailer"
import * as Telemetry from "../src/Telemetry.ts"
import * as OtlpCollector from "./support/OtlpCollector.ts"

const mail = (to: string) => ({
  from: "Sandra Sender <sandra@shop.test>",
  to,
  subject: "Invoice Zq77",
  text: "Dear customer, Xk42 was shipped.",
  messageId: `<${to.split("@")[0]}.mid@shop.test>`
})

/** What no span may hold: local parts, names, subject, body, login. */
const personal = /sandra|quentin|rebecca|thelma|Zq77|Xk42|hunter2|clerk/i

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}

const traced = (
  server: TestServer.TestServerService,
  to: ReadonlyArray<string>,
  password = "hunter2",
  options: Partial<SmtpOptions.Options> = {}
) => tracedMails(server, to.map(mail), {}, { password, options })

const tracedMails = (
  server: TestServer.TestServerService,
  mails: ReadonlyArray<Mail.Mail>,
  telemetry: Telemetry.Options = {},
  { options = {}, password = "hunter2" }: { options?: Partial<SmtpOptions.Options>; password?: string } = {}
) =>
  Effect.gen(function* () {
    const collector = yield* OtlpCollector.make()
    const transport = SmtpTransport.layer({
      host: "localhost",
      port: server.port,
      auth: { username: "clerk", password: Redacted.make(password) },
      tls: { mode: "required", ca: server.tls?.ca ?? "" },
      maxConnections: 1,
      ...options
    })
    yield* Stream.fromIterable(mails).pipe(
      Mailer.sendAll(),
      Stream.runDrain,
      Effect.provide(transport.pipe(Layer.provideMerge(Telemetry.layer({ url: collector.url, ...telemetry })))),
      Effect.provide(Logger.layer([]))
    )
    const { spans } = collector
    const named = (name: string) => spans.filter((span) => span.name === name)
    const tree = (span: OtlpCollector.Span): Tree => ({
      name: span.name,
      children: spans.filter((child) => child.parentSpanId === span.spanId).map(tree)
    })
    const roots = spans.filter((span) => span.parentSpanId === undefined)
    return { collector, spans, named, tree, roots }
  })

const options: TestServer.Options = { tls: true, users: { clerk: "hunter2" }, requireAuth: true }

describe("the spans of a send", () => {
  it.live("are a mail's with its transactions, each linked to its connection with its phases", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const { collector, named, roots, spans, tree } = yield* traced(server, ["quentin@a.test", "rebecca@b.test"])

      const send = { name: "mailrace.send", children: [{ name: "smtp.transaction", children: [] }] }
      assert.deepStrictEqual(named("mailrace.send").map(tree), [send, send])
      const [connect, ...others] = named("smtp.connect")
      assert.isDefined(connect)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(
        new Set(tree(connect).children.map((child) => child.name)),
        new Set(["dns", "tcp", "greeting", "ehlo", "tls", "auth"])
      )
      assert.deepStrictEqual(new Set(roots.map((span) => span.name)), new Set(["mailrace.send", "smtp.connect"]))
      for (const transaction of named("smtp.transaction")) {
        assert.deepStrictEqual(transaction.links, [{ traceId: connect.traceId, spanId: connect.spanId }])
        assert.strictEqual(transaction.kind, 3)
        assert.deepInclude(transaction.attributes, {
          "server.address": "localhost",
          "server.port": server.port,
          "network.protocol.name": "smtp",
          "mailrace.recipients": 1,
          "smtp.reply.code": 250
        })
      }
      for (const one of named("mailrace.send")) {
        assert.strictEqual(one.kind, 4)
        assert.deepInclude(one.attributes, { "mailrace.outcome": "accepted", "mailrace.attempts": 1 })
      }
      assert.deepInclude(connect.attributes, {
        "server.address": "localhost",
        "server.port": server.port,
        "network.protocol.name": "smtp"
      })
      assert.deepInclude(named("auth")[0]?.attributes, { "smtp.auth.mechanism": "SCRAM-SHA-256" })
      assert.deepStrictEqual(new Set(spans.map((span) => span.status.code)), new Set([1]))
      assert.notMatch(collector.bodies.join(), personal)
    })
  )

  it.live("hold one transaction an attempt, and the reason of each that failed", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ ...options, faults: ["rcpt:450 4.7.1 come back:first=1:to=quentin@*"] })
      const { named, tree } = yield* traced(server, ["quentin@a.test"])
      const [send] = named("mailrace.send")
      assert.isDefined(send)
      assert.deepStrictEqual(
        tree(send).children.map((child) => child.name),
        ["smtp.transaction", "smtp.transaction"]
      )
      assert.deepInclude(send.attributes, { "mailrace.outcome": "accepted", "mailrace.attempts": 2 })
      assert.deepStrictEqual(
        send.events.map(({ name }) => name),
        ["composed", "leased", "backoff", "leased"]
      )
      assert.strictEqual(send.events[2]?.attributes["error.type"], "Throttled")
      assert.isAtLeast(Number(send.events[2]?.attributes["mailrace.backoff.ms"]), 100)
      const [first] = named("smtp.transaction")
      assert.deepInclude(first?.attributes, { "smtp.reply.code": 450, "smtp.reply.enhanced_code": "4.7.1" })
      const ends = named("smtp.transaction").map((span) => `${span.status.code} ${span.attributes["error.type"]}`)
      assert.deepStrictEqual(ends, ["2 Throttled", "1 undefined"])
    })
  )

  it.live("name the mail by its ids, its tenant, the relay and the codes, as OpenTelemetry names messages", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const sent = { ...mail("quentin@a.test"), id: "order 7", messageId: "<order.7@shop.test>", tenant: "acme" }
      const { named } = yield* tracedMails(server, [sent])
      assert.deepInclude(named("mailrace.send")[0]?.attributes, {
        "messaging.system": "smtp",
        "messaging.operation.type": "send",
        "messaging.message.id": "<order.7@shop.test>",
        "mailrace.id": "order 7",
        "mailrace.tenant": "acme",
        "mailrace.relay": `localhost:${server.port}`,
        "smtp.reply.code": 250,
        "smtp.reply.enhanced_code": "2.0.0"
      })
      assert.notProperty(named("mailrace.send")[0]?.attributes, "mailrace.recipient.domain")
    })
  )

  it.live("leave out of ids what is the local part of an address", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const ids = { id: "quentin.b+1@a.test/7", messageId: "<7.Quentin.B+1.mid@shop.test>" }
      const { named } = yield* tracedMails(server, [{ ...mail("quentin.b+1@a.test"), ...ids }])
      assert.deepInclude(named("mailrace.send")[0]?.attributes, {
        "mailrace.id": "…@a.test/7",
        "messaging.message.id": "<7.….mid@shop.test>"
      })
    })
  )

  it.live("name those recipient domains that the options list", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const sent = ["quentin@A.test", "rebecca@b.test"].map(mail)
      const { named } = yield* tracedMails(server, sent, { recipientDomains: ["a.Test"] })
      assert.deepStrictEqual(
        named("mailrace.send").map(({ attributes }) => attributes["mailrace.recipient.domain"]),
        ["a.test", "other"]
      )
    })
  )

  it.live("hide the addresses that a relay names in its refusal", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        ...options,
        decide: ({ from, phase, to }) =>
          phase === "rcpt" ? { type: "reply", code: 550, text: `<${to.join()}> unknown to ${from}` } : undefined
      })
      const { collector, named } = yield* traced(server, ["thelma@a.test"])
      const [send] = named("mailrace.send")
      assert.deepInclude(send?.attributes, { "mailrace.outcome": "rejected", "error.type": "RecipientsRejected" })
      assert.strictEqual(send?.status.code, 2)
      assert.strictEqual(named("smtp.transaction")[0]?.attributes["smtp.reply.code"], 550)
      assert.notMatch(collector.bodies.join(), personal)
    })
  )

  it.live("say of a connection that it is in clear because TLS failed, and of no other", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, faults: ["tls:garbage"] })
      const inClear = { auth: undefined, tls: undefined }
      const { named } = yield* traced(server, ["quentin@a.test", "rebecca@b.test"], "", inClear)
      const failures = named("smtp.connect").map(({ attributes }) => attributes["smtp.tls.failure"])
      assert.lengthOf(failures, 1)
      assert.include(String(failures[0]), "does not speak TLS")
      const whole = yield* TestServer.make({ tls: true })
      const { named: others } = yield* traced(whole, ["quentin@a.test"], "", inClear)
      assert.notProperty(others("smtp.connect")[0]?.attributes, "smtp.tls.failure")
    })
  )

  it.live("show a connection that failed at its phase", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const { collector, named } = yield* traced(server, ["quentin@a.test"], "hunter22")
      assert.strictEqual(named("auth")[0]?.status.code, 2)
      assert.strictEqual(named("smtp.connect")[0]?.status.code, 2)
      assert.strictEqual(named("smtp.connect")[0]?.attributes["error.type"], "AuthenticationFailed")
      assert.strictEqual(named("mailrace.send")[0]?.attributes["error.type"], "AuthenticationFailed")
      assert.notMatch(collector.bodies.join(), personal)
    })
  )
})
