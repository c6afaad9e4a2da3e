import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as Transcript from "@mailrace/smtp/Transcript"
import * as Effect from "effect/Effect"
import * as nodemailer from "nodemailer"
import { vi } from "vitest"
import { mailraceTransport, type NodemailerOptions } from "../../src/MailraceTransport.ts"

const secret = "s3cr3t-w0rd"

/** Sends a mail with a login, and gives what the logger was told. */
const logged = (options: NodemailerOptions) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make({ users: { ann: secret } })
    const entries: Array<{
      readonly level: string
      readonly tnx: string
      readonly text: string
      readonly data: object
    }> = []
    const log =
      (level: string) =>
      (data: { readonly tnx: string }, text: string): void =>
        void entries.push({ level, tnx: data.tnx, text, data })
    const logger = {
      trace: log("trace"),
      debug: log("debug"),
      info: log("info"),
      warn: log("warn"),
      error: log("error")
    }
    const transport = mailraceTransport({
      host: server.host,
      port: server.port,
      ignoreTLS: true,
      auth: { user: "ann", pass: secret, method: "PLAIN" },
      logger,
      ...options
    })
    const transporter = nodemailer.createTransport(transport)
    const mail = { from: "a@x.example", to: "b@y.example", subject: "hidden words", text: "more of them" }
    yield* Effect.promise(() => transporter.sendMail(mail))
    yield* Effect.promise(() => transport.close())
    assert.lengthOf(server.messages, 1)
    // nodemailer itself logs beside its transports.
    return entries.filter(({ tnx }) => ["client", "server", "network"].includes(tnx))
  })

describe("transcriptLogger", () => {
  for (const option of ["debug", "transactionLog"] as const)
    it.live(`with ${option} the logger is told what both sides say, without password and content`, () =>
      Effect.gen(function* () {
        const entries = yield* logged({ [option]: true })
        const said = entries.map(({ level, text, tnx }) => `${level} ${tnx} ${text}`)
        for (const line of [
          "debug client AUTH PLAIN <credentials>",
          "debug server 235 2.7.0",
          "debug client RCPT TO:<b@y.example>",
          "debug client .",
          "debug client QUIT"
        ])
          assert.include(said, line)
        assert.isTrue(said.some((line) => line.startsWith("info network connected to 127.0.0.1 port ")))
        assert.deepInclude(entries[0]!.data, { component: "mailrace", sid: "1" })
        const all = said.join("\n")
        assert.notInclude(all, secret)
        assert.notInclude(all, Buffer.from(`\0ann\0${secret}`).toString("base64"))
        assert.notInclude(all, "hidden words")
      })
    )

  it.live("without them the logger is told about connections alone", () =>
    Effect.gen(function* () {
      const entries = yield* logged({ component: "shop" })
      assert.isAbove(entries.length, 1)
      assert.isTrue(entries.every(({ level, tnx }) => level === "info" && tnx === "network"))
      assert.deepInclude(entries[0]!.data, { component: "shop" })
    })
  )

  it.live("goes beside a transcript of the app's own, and is not needed for one", () =>
    Effect.gen(function* () {
      for (const logger of [undefined, false]) {
        const lines: Array<Transcript.Line> = []
        const transcript = (line: Transcript.Line): void => void lines.push(line)
        const entries = yield* logged({ mailrace: { transcript }, ...(logger === false ? { logger } : {}) })
        assert.strictEqual(entries.length > 0, logger === undefined)
        assert.isTrue(lines.some(({ by, text }) => by === "client" && text === "QUIT"))
      }
    })
  )

  it.live("prints on the console with `logger: true`", () =>
    Effect.gen(function* () {
      const printed: Array<string> = []
      const spy = vi.spyOn(console, "log").mockImplementation((...args) => void printed.push(args.join(" ")))
      yield* Effect.ensuring(
        logged({ logger: true, debug: true }),
        Effect.sync(() => spy.mockRestore())
      )
      const all = printed.join("\n")
      assert.match(all, /\[1\] C: {1,2}AUTH PLAIN <credentials>/)
      assert.notInclude(all, secret)
    })
  )
})
