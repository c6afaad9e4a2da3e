import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as RelayMemory from "../../../src/RelayMemory.ts"
import * as SmtpOpening from "../../../src/SmtpOpening.ts"
import * as SmtpOptions from "../../../src/SmtpOptions.ts"
import { failure, said } from "../../support/handshake.ts"
import * as RawRelay from "../../support/rawRelay.ts"
import * as Relay from "../../support/relay.ts"

const brief = ({ timeout }: { readonly timeout: number }): SmtpOptions.Timeouts => ({
  connect: timeout,
  tls: timeout,
  greeting: timeout,
  command: timeout,
  content: timeout,
  finalReply: timeout
})

describe("SmtpHandshake: greeting and EHLO", () => {
  it.live("sends its name and reads the relay's offers", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { smtp } = yield* Relay.open(server, { name: "mail.client.example" })
      yield* smtp.verify
      assert.strictEqual(server.connections[0]?.clientName, "mail.client.example")
      assert.strictEqual((yield* smtp.stats).pipelining, "envelope")
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("takes a refusal at the greeting by its code", () =>
    Effect.gen(function* () {
      for (const [fault, code, isRetryable] of [
        ["greeting:421", 421, true],
        ["greeting:450", 450, true],
        ["greeting:554", 554, false],
        ["connect:554 go away", 554, false],
        ["greeting:250", 250, true]
      ] as const) {
        const server = yield* TestServer.make({ faults: [fault] })
        const error = yield* failure(server)
        assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "greeting" }, fault)
        assert.strictEqual(error.reply?.code, code)
        assert.strictEqual(error.isRetryable, isRetryable, fault)
      }
    })
  )

  it.live("a refused EHLO name comes with the remedy to set another", () =>
    Effect.gen(function* () {
      for (const [code, remedy] of [
        ["504 5.5.2 need a full host name", "full host name"],
        ["450 4.7.1 not yet", "later"]
      ] as const) {
        const relay = yield* RawRelay.make((socket) => {
          socket.write("220 ready\r\n")
          socket.on("data", () => socket.write(`${code}\r\n`))
        })
        const error = yield* failure(relay)
        assert.include(error.message, "client.example")
        assert.include(error.remedy, remedy)
      }
    })
  )

  it.live("says its address where its name means nothing to a relay", () =>
    Effect.gen(function* () {
      for (const host of ["127.0.0.1", "::1"]) {
        const server = yield* TestServer.make({ host })
        // Whatever this machine is called.
        const settings = { ...SmtpOptions.resolve({ host, port: server.port, tls: { mode: "off" } }), name: undefined }
        const session = yield* SmtpOpening.open(settings, RelayMemory.make(), () => false)
        assert.strictEqual(server.connections[0]?.clientName, host === "::1" ? "[IPv6:::1]" : "[127.0.0.1]")
        yield* session.close
      }
    })
  )

  it.live("passes over empty lines until commands go out in groups", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = yield* RawRelay.make((socket) => {
        const upstream = RawRelay.handOn(socket, server)
        upstream.removeAllListeners("data")
        // After each whole piece of replies, which one at a time ends with a line.
        upstream.on("data", (bytes) => socket.write(Buffer.concat([bytes, Buffer.from("\r\n")])))
      })
      const one = yield* Relay.open(relay, { pipelining: "off" })
      yield* one.send(Relay.message(1))
      yield* one.send(Relay.message(2))
      assert.lengthOf(server.messages, 2)
      const groups = yield* Relay.open(relay, { pipelining: "envelope" })
      const error = yield* Effect.flip(groups.send(Relay.message(3)))
      assert.include(error.message, 'this is no SMTP reply: ""')
    })
  )

  it.live("takes 250 alone for a yes to EHLO", () =>
    Effect.gen(function* () {
      for (const code of [220, 251, 334, 354]) {
        const relay = yield* RawRelay.make((socket) => {
          socket.write("220 ready\r\n")
          socket.on("data", () => socket.write(`${code} ready again\r\n`))
        })
        const error = yield* failure(relay)
        assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "greeting" })
        assert.include(error.message, `answered EHLO by ${code} and not by 250`)
        assert.include(error.remedy, "another port")
      }
    })
  )

  it.live("a farewell in place of an answer to EHLO is no refusal of the name", () =>
    Effect.gen(function* () {
      const relay = yield* RawRelay.make((socket) => {
        socket.write("220 ready\r\n")
        socket.on("data", () => socket.end("421 4.3.2 shutting down\r\n"))
      })
      const error = yield* failure(relay)
      assert.include(error.message, "does not accept this client now")
      assert.notInclude(error.message, "name")
      assert.isTrue(error.isRetryable)
    })
  )

  it.live("a relay that closes after it refused the name has said why", () =>
    Effect.gen(function* () {
      for (const last of ["", "421 4.7.0 too many errors\r\n"]) {
        const relay = yield* RawRelay.make((socket) => {
          socket.write("220 ready\r\n")
          socket.on("data", (line) =>
            String(line).startsWith("EHLO") ? socket.write("550 5.7.1 bad name\r\n") : socket.end(last)
          )
        })
        const error = yield* failure(relay)
        assert.strictEqual(error.reply?.code, 550)
        assert.isFalse(error.isRetryable)
        assert.include(error.remedy, "`name`")
      }
    })
  )

  it.live("what follows an unknown EHLO counts", () =>
    Effect.gen(function* () {
      const relay = yield* RawRelay.make((socket) => {
        socket.write("220 ready\r\n")
        socket.on("data", (line) =>
          String(line).startsWith("EHLO") ? socket.write("502 what?\r\n") : socket.end("421 too busy\r\n")
        )
      })
      const error = yield* failure(relay)
      assert.strictEqual(error.reply?.code, 421)
      assert.isTrue(error.isRetryable)
    })
  )

  it.live("names the phase in which the connection was lost", () =>
    Effect.gen(function* () {
      for (const [fault, phase] of [
        ["connect:drop", "greeting"],
        ["greeting:drop", "greeting"],
        ["greeting:partial=close", "greeting"],
        ["ehlo:drop", "ehlo"],
        ["ehlo:reset", "ehlo"],
        ["ehlo:partial=close", "ehlo"]
      ] as const) {
        const server = yield* TestServer.make({ faults: [fault] })
        const error = yield* failure(server)
        assert.deepInclude(error.reason, { _tag: "ConnectionLost", phase }, fault)
        assert.isTrue(error.isRetryable)
      }
    })
  )

  it.live("gives up on a peer that does not speak SMTP", () =>
    Effect.gen(function* () {
      for (const fault of ["connect:garbage", "greeting:garbage", "ehlo:garbage"]) {
        const server = yield* TestServer.make({ faults: [fault] })
        assert.strictEqual((yield* failure(server)).reason._tag, "ProtocolViolation", fault)
      }
    })
  )

  it.live("says HELO to a relay that does not know EHLO, and then uses no extension", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["ehlo:502"] })
      const { send, smtp } = yield* Relay.open(server)
      yield* send(Relay.message(1))
      assert.deepStrictEqual(said(server).slice(0, 4), [
        "EHLO client.example",
        "HELO client.example",
        "MAIL FROM:<from-1@test.example>",
        "RCPT TO:<to-1@test.example>"
      ])
      assert.strictEqual((yield* smtp.stats).pipelining, "off")
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("does not take a passing refusal of EHLO for a lack of it", () =>
    Effect.gen(function* () {
      for (const code of [421, 450]) {
        const server = yield* TestServer.make({ faults: [`ehlo:${code}`] })
        const error = yield* failure(server)
        assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "greeting" })
        assert.isTrue(error.isRetryable)
        assert.notInclude(said(server), "HELO client.example")
      }
    })
  )

  it.live("reads a farewell before the end, and refuses a flood of replies", () =>
    Effect.gen(function* () {
      for (const [greeting, tag] of [
        ["554 go away\r\nwhat is this\r\n", "ConnectFailed"],
        [`220 hi\r\n${"220 hi\r\n".repeat(100)}`, "ProtocolViolation"]
      ] as const) {
        const listener = yield* Effect.acquireRelease(
          Effect.callback<Net.Server>((resume) => {
            const server = Net.createServer((socket) => {
              socket.on("error", () => {})
              socket.end(greeting)
            })
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const { port } = listener.address() as Net.AddressInfo
        assert.strictEqual((yield* failure({ host: "127.0.0.1", port })).reason._tag, tag)
      }
    })
  )

  it.live("opens nothing on a session that the relay ends as it opens", () =>
    Effect.gen(function* () {
      const probe = yield* TestServer.make()
      yield* Effect.scoped(Effect.flatMap(Relay.open(probe, { pipelining: "off" }), ({ smtp }) => smtp.verify))
      const opening = said(probe, "server").filter((line) => !line.startsWith("221"))
      const cutAfterSent = opening.reduce((sum, line) => sum + line.length + 2, 0)
      const server = yield* TestServer.make({ quirks: { cutAfterSent } })
      const { send } = yield* Relay.open(server, { pipelining: "off", minConnections: 1 })
      const error = yield* Effect.flip(send(Relay.message(1)))
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      assert.isTrue(error.isRetryable)
      // It is neither asked again and again nor given up for ever.
      assert.isBelow(server.stats.connections, 6)
    })
  )
})

describe("SmtpHandshake: silence", () => {
  for (const [fault, phase] of [
    ["connect:hang", "greeting"],
    ["greeting:hang", "greeting"],
    ["greeting:partial", "greeting"],
    ["greeting:drip=40ms", "greeting"],
    ["ehlo:hang", "ehlo"],
    ["ehlo:partial", "ehlo"],
    ["starttls:hang", "starttls"],
    ["tls:hang", "tls"],
    ["auth:hang", "auth"]
  ] as const) {
    it.live(`is borne only so long (${fault})`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ tls: true, faults: [fault], users: { ann: "secret" } })
        const { reason } = yield* failure(
          { host: "localhost", port: server.port },
          {
            tls: { mode: "required", ca: server.tls!.ca },
            auth: Relay.password("ann", "secret"),
            // A shorter limit after a longer one is kept too.
            timeouts: {
              ...brief({ timeout: 10_000 }),
              [phase === "ehlo" || phase === "auth" || phase === "starttls" ? "command" : phase]: 150
            }
          }
        )
        assert.deepInclude(reason, { _tag: "Timeout", phase, limitMs: 150 })
      })
    )
  }
})
