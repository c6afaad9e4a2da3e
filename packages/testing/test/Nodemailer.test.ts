/** nodemailer as an independent client: what it sends is what the server keeps. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import nodemailer from "nodemailer"
import type * as Inbox from "../src/Inbox.ts"
import * as TestServer from "../src/TestServer.ts"

const transport = (server: TestServer.TestServerService, options: object = {}) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      nodemailer.createTransport({
        host: "localhost",
        port: server.port,
        tls: server.tls === undefined ? {} : { ca: server.tls.ca },
        ...options
      })
    ),
    (made) => Effect.sync(() => made.close())
  )

const mail = { from: "ann@a.example", to: ["bob@b.example", "eve@e.example"], subject: "Hello", text: "..\n.\ntext" }

const send = (server: TestServer.TestServerService, options: object = {}, message: object = mail) =>
  Effect.scoped(
    Effect.flatMap(transport(server, options), (made) =>
      Effect.tryPromise({
        try: () => made.sendMail(message),
        catch: (error) => error as Error & { responseCode?: number }
      })
    )
  )

const text = (message: Inbox.Message | undefined) => Buffer.from(message?.content ?? []).toString()
const body = (message: Inbox.Message | undefined) => text(message).split("\r\n\r\n").slice(1).join("\r\n\r\n")

describe("nodemailer as the client", () => {
  it.live("in clear: envelope and body arrive", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      yield* send(server)
      const [message] = yield* server.awaitMessages(1)
      assert.strictEqual(message?.from.address, "ann@a.example")
      assert.deepStrictEqual(
        message?.to.map(({ address }) => address),
        ["bob@b.example", "eve@e.example"]
      )
      assert.strictEqual(body(message), "..\r\n.\r\ntext\r\n")
      assert.isUndefined(message?.tls)
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("by STARTTLS and by implicit TLS, trusting the server's authority alone", () =>
    Effect.gen(function* () {
      const upgraded = yield* TestServer.make({ tls: true, requireTls: true })
      yield* send(upgraded, { requireTLS: true })
      assert.strictEqual(upgraded.messages[0]?.tls?.servername, "localhost")
      const implicit = yield* TestServer.make({ tls: { implicit: true } })
      yield* send(implicit, { secure: true })
      assert.strictEqual(implicit.messages[0]?.tls?.protocol, "TLSv1.3")
      const error = yield* Effect.flip(send(implicit, { secure: true, tls: {} }))
      assert.match(error.message, /certificate/)
      assert.deepStrictEqual([...upgraded.protocolErrors, ...implicit.protocolErrors], [])
    })
  )

  for (const method of ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"] as const) {
    const auth = (secret: string) =>
      method === "XOAUTH2"
        ? { type: "OAuth2", user: "ann", accessToken: secret }
        : { user: "ann", pass: secret, method }
    const options: TestServer.Options = {
      users: { ann: "pass word" },
      tokens: { ann: "pass word" },
      extensions: { auth: [method] },
      requireAuth: true
    }

    it.live(`logs in by ${method}, and not with a wrong secret`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make(options)
        yield* send(server, { auth: auth("pass word") })
        assert.strictEqual(server.messages[0]?.user, "ann")
        const error = yield* Effect.flip(send(server, { auth: auth("wrong") }))
        assert.strictEqual(error.responseCode, 535)
        assert.strictEqual(server.messages.length, 1)
        assert.deepStrictEqual(server.protocolErrors, [])
      })
    )
  }

  it.live("asks for delivery status notifications", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dsn = { id: "id+1", return: "headers", notify: ["success", "failure"], recipient: "ann@a.example" }
      yield* send(server, {}, { ...mail, dsn })
      const [message] = server.messages
      assert.deepStrictEqual(message?.from.parameters, { RET: "HDRS", ENVID: "id+2B1" })
      assert.deepStrictEqual(message?.to[0]?.parameters, { NOTIFY: "SUCCESS,FAILURE", ORCPT: "rfc822;ann@a.example" })
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("sends addresses beyond ASCII with SMTPUTF8", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      yield* send(server, {}, { ...mail, to: "jörg@b.example" })
      assert.strictEqual(server.messages[0]?.to[0]?.address, "jörg@b.example")
      assert.isTrue("SMTPUTF8" in server.messages[0]!.from.parameters)
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("sends large attachments through a pool, each whole", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const content = Buffer.alloc(300_000, "0123456789.\r\n")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* transport(server, { pool: true, maxConnections: 3 })
          const messages = Array.from({ length: 12 }, (_, index) => ({
            ...mail,
            subject: String(index),
            attachments: [{ filename: "a.bin", content }]
          }))
          yield* Effect.promise(() => Promise.all(messages.map((message) => pool.sendMail(message))))
        })
      )
      assert.strictEqual(server.messages.length, 12)
      for (const message of server.messages) {
        const [, encoded] = /Content-Disposition: attachment[\s\S]*?\r\n\r\n([A-Za-z0-9+/=\r\n]+)/.exec(text(message))!
        assert.isTrue(Buffer.from(encoded!, "base64").equals(content))
      }
      yield* server.awaitIdle
      assert.isAtMost(server.stats.peak, 3)
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  const refusals: ReadonlyArray<readonly [string, number]> = [
    ["mail:550", 550],
    ["rcpt:450", 450],
    ["data:451 4.7.1 slow down", 451],
    ["final:552", 552],
    ["greeting:421", 421]
  ]
  for (const [fault, code] of refusals) {
    it.live(`sees ${fault}`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: [fault] })
        const error = yield* Effect.flip(send(server))
        assert.strictEqual(error.responseCode, code)
        assert.deepStrictEqual(server.messages, [])
        yield* server.awaitIdle
      })
    )
  }
})
