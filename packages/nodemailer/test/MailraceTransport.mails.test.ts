/**
 * What happens to a mail between nodemailer and the transport: options of the transport that nodemailer applies to its mails,
 * and messages that an app compiled itself.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Nodemailer from "nodemailer"
import type { NodemailerError, SendMailOptions } from "nodemailer"
import { PassThrough, type Readable } from "node:stream"
import { mailraceTransport, type NodemailerOptions, type SentInfo } from "../src/MailraceTransport.ts"

const mail: SendMailOptions = { from: "ann@a.test", to: "bob@b.test", subject: "Hello", text: "Hi" }

const relayOf = (server: TestServer.TestServerService): NodemailerOptions => ({
  host: server.host,
  port: server.port,
  ignoreTLS: true
})

const open = (options: NodemailerOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => mailraceTransport(options, { retry: RetryPolicy.none })),
    (transport) => Effect.promise(() => transport.close())
  )

const contentOf = ({ messages }: TestServer.TestServerService) =>
  Buffer.from(messages.at(-1)!.content).toString("latin1")

describe("The transport's options for messages", () => {
  it.live("are applied as by nodemailer's own transport", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const options = {
        ...relayOf(server),
        attachDataUrls: true,
        disableFileAccess: true,
        disableUrlAccess: true,
        maxRecipients: 2,
        normalizeHeaderKey: (key: string) => key.toUpperCase()
      }
      const image = `<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">`
      for (const transport of [mailraceTransport(options), options]) {
        const transporter = Nodemailer.createTransport(transport as typeof options)
        yield* Effect.promise(() => transporter.sendMail({ ...mail, html: image, headers: { "X-Own": "1" } }))
        const content = contentOf(server)
        assert.match(content, /^SUBJECT: Hello/m)
        assert.match(content, /^X-OWN: 1/m)
        assert.match(content, /<img src="cid:[0-9a-f]+/)
        const code = (fields: SendMailOptions) =>
          Effect.promise(() =>
            transporter.sendMail({ ...mail, ...fields }).then(
              () => "sent",
              (error: { readonly code: string }) => error.code
            )
          )
        assert.strictEqual(yield* code({ to: "a@b.test, b@b.test, c@b.test" }), "EMAXRECIPIENTS")
        const open = { disableFileAccess: false, disableUrlAccess: false } as const
        assert.strictEqual(yield* code({ ...open, attachments: [{ path: import.meta.filename }] }), "ESTREAM")
        assert.strictEqual(yield* code({ ...open, attachments: [{ href: "http://127.0.0.1:1/" }] }), "ESTREAM")
        transporter.close()
      }
    })
  )

  it.live("limit how many messages of a pool are begun in a period, and no others", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      for (const [pool, isLimited] of [
        [true, true],
        [false, false]
      ]) {
        const before = server.stats.messages
        const transport = yield* open({ ...relayOf(server), pool, rateLimit: 3, rateDelta: 600_000 })
        const transporter = Nodemailer.createTransport(transport)
        const sent = Array.from({ length: 5 }, () => transporter.sendMail(mail))
        yield* Effect.promise(() => Promise.all(isLimited ? sent.slice(0, 3) : sent))
        assert.strictEqual(transport.pendingCount(), isLimited ? 2 : 0)
        const left = Promise.allSettled(sent)
        yield* Effect.promise(() => transport.close())
        const failed = (yield* Effect.promise(() => left)).filter(({ status }) => status === "rejected")
        assert.deepStrictEqual([failed.length, server.stats.messages - before], isLimited ? [2, 3] : [0, 5])
      }
    })
  )
})

describe("A message that the app compiled itself", () => {
  /** No more than nodemailer's transports ask of one. */
  const message = (envelope: object, content: string) => ({
    getEnvelope: () => envelope,
    messageId: () => "<own@a.test>",
    createReadStream: (): Readable => new PassThrough().end(content)
  })

  const sendOver = (transport: { readonly send: (mail: any, callback: any) => void }, own: object) =>
    Effect.callback<SentInfo, Error>((resume) =>
      transport.send({ data: {}, message: own }, (error: Error | null, info: SentInfo) =>
        resume(error === null ? Effect.succeed(info) : Effect.fail(error))
      )
    )

  it.live("may name its recipients in any form that nodemailer's transports take", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const transport = yield* open(relayOf(server))
      for (const [from, to, recipients] of [
        ["ann@a.test", "bob@b.test", ["bob@b.test"]],
        ["ann@a.test", ["bob@b.test", { address: "carol@b.test", name: "Carol" }], ["bob@b.test", "carol@b.test"]],
        [{ address: "ann@a.test", name: "Ann" }, { address: "bob@b.test" }, ["bob@b.test"]],
        [false, "bob@b.test", ["bob@b.test"]]
      ] as const) {
        const info = yield* sendOver(transport, message({ from, to }, "Subject: own\r\n\r\nHi\r\n"))
        assert.deepStrictEqual(info.accepted, [...recipients])
        assert.deepStrictEqual(info.envelope, { from: from === false ? "" : "ann@a.test", to: [...recipients] })
      }
      const error = yield* Effect.flip(sendOver(transport, message({ from: "ann@a.test" }, "")))
      assert.deepInclude({ ...(error as NodemailerError) }, { code: "EENVELOPE", command: "API" })
    })
  )

  it.live("is refused where it is to be signed and cannot be", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dkim = { domainName: "a.test", keySelector: "s", privateKey: "-----BEGIN PRIVATE KEY-----" }
      const transport = yield* open({ ...relayOf(server), dkim })
      const own = message({ from: "ann@a.test", to: "bob@b.test" }, "Subject: own\r\n\r\nHi\r\n")
      const error = yield* Effect.flip(sendOver(transport, own))
      assert.deepInclude({ ...(error as NodemailerError) }, { code: "ECONFIG" })
      assert.match(error.message, /processFunc.*leave the option dkim out/)
      assert.strictEqual(server.stats.messages, 0)
    })
  )

  it.live("declares no size that nobody knows, and the one that its envelope names", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const transport = yield* open(relayOf(server))
      const content = `Subject: own\r\n\r\n${"a line\r\n".repeat(200_000)}`
      for (const size of [undefined, content.length]) {
        const own = message({ from: "ann@a.test", to: "bob@b.test", size }, content)
        const { messageSize } = yield* sendOver(transport, own)
        assert.strictEqual(messageSize, content.length + 3)
        assert.strictEqual(server.messages.at(-1)!.from.parameters["SIZE"], size?.toString())
      }
    })
  )
})
