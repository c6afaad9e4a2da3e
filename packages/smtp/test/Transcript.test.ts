import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import { MailTransport } from "mailrace/MailTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as SmtpAuth from "../src/SmtpAuth.ts"
import * as SmtpOptions from "../src/SmtpOptions.ts"
import * as SmtpTransport from "../src/SmtpTransport.ts"
import * as Transcript from "../src/Transcript.ts"
import * as RawRelay from "./support/rawRelay.ts"
import * as Relay from "./support/relay.ts"

const collecting = () => {
  const lines: Array<Transcript.Line> = []
  const marked = () => lines.map((line) => Transcript.format(line).split(" ").slice(3).join(" "))
  return { lines, marked, transcript: (line: Transcript.Line) => void lines.push(line) }
}

describe("Transcript", () => {
  it("formats a line with its time, its connection and who said it", () => {
    const line = { at: 0, relay: "r:25", connection: 3, by: "relay", text: "220 hi" } as const
    assert.strictEqual(Transcript.format(line), "1970-01-01T00:00:00.000Z r:25 3 S: 220 hi")
    assert.match(Transcript.format({ ...line, by: "client" }), / 3 C: 220 hi$/)
    assert.match(Transcript.format({ ...line, by: "note" }), / 3 \* 220 hi$/)
  })

  it.live("tells a whole session in order, without the content", () =>
    Effect.gen(function* () {
      const { lines, marked, transcript } = collecting()
      const server = yield* TestServer.make({ extensions: { chunking: false } })
      yield* Effect.scoped(
        Effect.flatMap(Relay.open(server, { transcript }), (relay) =>
          relay.send(Relay.message(1, { content: "Subject: secret plans\r\n\r\nhello\r\n" }))
        )
      )
      const text = marked().join("\n")
      assert.match(text, new RegExp(`^\\* connected to 127.0.0.1 port ${server.port} from 127.0.0.1`))
      const order = [
        "S: 220 ",
        "C: EHLO client.example",
        "S: 250-",
        "C: MAIL FROM:<from-1@test.example>",
        "C: RCPT TO:<to-1@test.example>",
        "C: DATA",
        "S: 354",
        "C: <32 octets>",
        "C: .",
        "S: 250",
        "C: QUIT",
        "S: 221",
        "* the connection ended: Mailrace closed the connection"
      ]
      let at = 0
      for (const part of order) {
        const found = text.indexOf(part, at)
        assert.isAtLeast(found, at, part)
        at = found
      }
      assert.notInclude(text, "secret plans")
      assert.isTrue(lines.every(({ connection, relay }) => connection === 1 && relay === `127.0.0.1:${server.port}`))
    })
  )

  it.live("tells large content, streams and chunks by their length", () =>
    Effect.gen(function* () {
      const { marked, transcript } = collecting()
      const server = yield* TestServer.make()
      const relay = yield* Relay.open(server, { transcript, maxConnections: 1 })
      const large = Buffer.alloc(300_000, `${"x".repeat(98)}\r\n`)
      yield* relay.send(Relay.message(1, { content: large }))
      yield* relay.send(Relay.streamed(2, [large, large]))
      assert.include(marked(), "C: <300,000 octets>")
      assert.include(marked(), "C: <600,000 octets>")
      yield* Relay.sendMany(relay, 40)
      const text = marked().join("\n")
      assert.match(text, /C: BDAT \d+ LAST\nC: <\d+ octets>\n/)
      assert.notInclude(text, "NOOP")
      assert.notInclude(text, "this is")
      assert.notInclude(text, "xxx")
    })
  )

  for (const mechanism of SmtpAuth.mechanisms) {
    it.live(`holds no secret of a login by ${mechanism}, refused or not`, () =>
      Effect.gen(function* () {
        const secret = "correct horse battery"
        const { marked, transcript } = collecting()
        const server = yield* TestServer.make({
          tls: true,
          users: { ann: secret },
          tokens: { ann: secret },
          extensions: { auth: [mechanism] }
        })
        const auth = (value: string): SmtpAuth.Credentials => {
          const { password, username } = Relay.password("ann", value) as SmtpAuth.Credentials & { password: never }
          return SmtpAuth.usesToken(mechanism) ? { username, token: Effect.succeed(password) } : { username, password }
        }
        const tls = { mode: "required", ca: server.tls!.ca } as const
        for (const value of [secret, `wrong ${secret}`])
          yield* Effect.scoped(
            Effect.flatMap(Relay.open(server, { host: "localhost", tls, auth: auth(value), transcript }), ({ smtp }) =>
              Effect.exit(smtp.verify)
            )
          )
        const text = marked().join("\n")
        assert.match(text, /\* TLSv1\.[23], \S+, certificate verified/)
        assert.match(text, new RegExp(`C: AUTH ${mechanism}( <credentials>)?\n`))
        assert.match(text, /S: 235/)
        assert.match(text, /S: 535/)
        for (const { by, line } of server.transcript) {
          const answer = /^(?:AUTH \S+ )?([A-Za-z0-9+/=]{8,})$/.exec(line)?.[1]
          if (by === "client" && answer !== undefined && answer !== "STARTTLS") assert.notInclude(text, answer)
        }
        assert.notInclude(text, "horse")
      })
    )
  }

  it.live("tells connections apart and quotes garbage", () =>
    Effect.gen(function* () {
      const { lines, marked, transcript } = collecting()
      const server = yield* RawRelay.make((socket, n) => socket.end(n === 1 ? "HTTP/1.1 400\r\n" : "554 go away\r\n"))
      const relay = yield* Relay.open(server, { transcript })
      yield* Effect.flip(relay.smtp.verify)
      yield* Effect.flip(relay.smtp.verify)
      assert.include(marked(), "S: HTTP/1.1 400")
      assert.include(marked(), "S: 554 go away")
      assert.deepStrictEqual([...new Set(lines.map(({ connection }) => connection))], [1, 2])
    })
  )

  it.live("mail goes on after a sink has thrown, and a warning tells of it once", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const server = yield* TestServer.make()
      const options = { host: server.host, port: server.port, tls: { mode: "off" }, name: "client.example" } as const
      const transcript = (): never => {
        throw new Error("disk full")
      }
      yield* Effect.gen(function* () {
        const transport = Context.get(yield* SmtpTransport.make({ ...options, transcript }), MailTransport)
        yield* Effect.forEach([1, 2, 3], (n) => transport.send(Relay.message(n)), { concurrency: 3 })
      }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void warnings.push(String(message)))])))
      assert.lengthOf(server.messages, 3)
      assert.lengthOf(warnings, 1)
      assert.match(warnings[0]!, /the transcript of 127\.0\.0\.1:\d+ ends here: .*disk full/)
    })
  )

  it("must be a function", () => {
    const options = { host: "relay.example", transcript: "yes" } as unknown as SmtpOptions.Options
    assert.throws(() => SmtpOptions.resolve(options), /transcript is not a function/)
  })
})
