import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import * as Digest from "../src/Digest.ts"
import type * as Inbox from "../src/Inbox.ts"
import * as TestServer from "../src/TestServer.ts"
import { connect, greeted } from "./rawClient.ts"

const text = (message: Inbox.Message | undefined) => Buffer.from(message?.content ?? []).toString("latin1")
const codes = (replies: ReadonlyArray<string>) => replies.map((reply) => Number(reply.slice(0, 3)))
const problems = (server: TestServer.TestServerService) => server.protocolErrors.map(({ problem }) => problem)

describe("TestServer, in order", () => {
  it.live("takes a message by DATA with its envelope and its bytes", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const client = yield* greeted(server.port)
      yield* client.ask(
        "MAIL FROM:<ann@a.example> SIZE=20 BODY=8BITMIME",
        'RCPT TO:<"b>b"@b.example>',
        "RCPT TO:<c@[127.0.0.1]>"
      )
      assert.deepStrictEqual(codes(yield* client.ask("DATA")), [354])
      client.write("a: b\r\n\r\n..dot\r\nend\r\n.\r\n")
      assert.deepStrictEqual(codes(yield* client.replies(1)), [250])
      const [message] = yield* server.awaitMessages(1)
      assert.strictEqual(text(message), "a: b\r\n\r\n.dot\r\nend\r\n")
      assert.deepStrictEqual(message?.from, {
        address: "ann@a.example",
        parameters: { SIZE: "20", BODY: "8BITMIME" }
      })
      assert.deepStrictEqual(
        message?.to.map(({ address }) => address),
        ['"b>b"@b.example', "c@[127.0.0.1]"]
      )
      assert.isFalse(message?.chunked)
      assert.deepStrictEqual(codes(yield* client.ask("QUIT")), [221])
      assert.strictEqual((yield* client.closed).how, "end")
      assert.deepStrictEqual(server.protocolErrors, [])
      assert.deepStrictEqual(
        server.connections.map(({ clientName, quit }) => ({ clientName, quit })),
        [{ clientName: "client.example", quit: true }]
      )
    })
  )

  it.live("answers a group with one piece, and takes content and the next envelope in one write", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const client = yield* greeted(server.port)
      const before = client.pieces().length
      const envelope = ["MAIL FROM:<>", "RCPT TO:<a@b>", "DATA"]
      assert.deepStrictEqual(codes(yield* client.ask(...envelope)), [250, 250, 354])
      assert.strictEqual(client.pieces().length, before + 1)
      client.write(`one\r\n.\r\n${envelope.join("\r\n")}\r\n`)
      assert.deepStrictEqual(codes(yield* client.replies(4)), [250, 250, 250, 354])
      assert.strictEqual(client.pieces().length, before + 2)
      client.write("two\r\n.\r\n")
      yield* client.replies(1)
      assert.deepStrictEqual(server.messages.map(text), ["one\r\n", "two\r\n"])
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("reads BDAT chunks as bytes, refused ones too", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const client = yield* greeted(server.port)
      client.write("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 6\r\nQUIT\r\nBDAT 3 LAST\r\n.\r\n")
      assert.deepStrictEqual(codes(yield* client.replies(4)), [250, 250, 250, 250])
      assert.strictEqual(text(server.messages[0]), "QUIT\r\n.\r\n")
      assert.isTrue(server.messages[0]?.chunked)
      client.write("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<@@>\r\nBDAT 12 LAST\r\nNOOP\r\nNOOP\r\nRSET\r\n")
      assert.deepStrictEqual(codes(yield* client.replies(5)), [250, 250, 501, 554, 250])
      assert.deepStrictEqual(
        codes(yield* client.ask("MAIL FROM:<a@b>", "RCPT TO:<c@d>", "BDAT 0 LAST")),
        [250, 250, 250]
      )
      assert.strictEqual(server.messages.length, 2)
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.effect.prop(
    "receives any content by DATA and by BDAT, however its bytes are cut",
    [
      Schema.Array(Schema.Literals([13, 10, 46, 65, 255])).check(Schema.isMaxLength(30)),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 80 })),
      Schema.Boolean
    ],
    ([bytes, cut, chunked]) =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ checkContent: false })
        const client = yield* greeted(server.port)
        const content = Buffer.from([...bytes, 13, 10]).toString("latin1")
        const stuffed = content.replaceAll(/(^|\r\n)\./g, "$1..")
        const sent = chunked
          ? `MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT ${content.length} LAST\r\n${content}`
          : `${stuffed}.\r\n`
        if (!chunked) yield* client.ask("MAIL FROM:<>", "RCPT TO:<a@b>", "DATA")
        client.write(Buffer.from(sent.slice(0, cut), "latin1"))
        client.write(Buffer.from(`${sent.slice(cut)}NOOP\r\n`, "latin1"))
        const replies = yield* client.replies(chunked ? 4 : 2)
        assert.isTrue(codes(replies).every((code) => code === 250))
        assert.strictEqual(text(server.messages[0]), content)
      }),
    { arbitrary: { runs: 60 } }
  )

  it.live("keeps parameters of DSN and REQUIRETLS, and refuses those it did not offer", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const client = yield* greeted(server.port)
      const good = yield* client.ask(
        "MAIL FROM:<a@b> RET=HDRS ENVID=x+2By",
        "RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@d"
      )
      assert.deepStrictEqual(codes(good), [250, 250])
      assert.deepStrictEqual(codes(yield* client.ask("RCPT TO:<c@d> NOTIFY=NEVER,SUCCESS")), [501])
      assert.deepStrictEqual(codes(yield* client.ask("RSET", "MAIL FROM:<a@b> REQUIRETLS")), [250, 555])
      const bare = yield* TestServer.make({
        extensions: { dsn: false, size: false, eightBitMime: false, smtpUtf8: false }
      })
      const other = yield* greeted(bare.port)
      for (const parameter of ["RET=FULL", "SIZE=1", "BODY=8BITMIME", "SMTPUTF8"]) {
        assert.deepStrictEqual(codes(yield* other.ask(`MAIL FROM:<a@b> ${parameter}`)), [555], parameter)
      }
      assert.strictEqual(bare.protocolErrors.length, 4)
    })
  )

  it.live("wants SMTPUTF8 for addresses beyond ASCII", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const client = yield* greeted(server.port)
      client.write(
        Buffer.from("MAIL FROM:<jörg@b>\r\nMAIL FROM:<jörg@b> SMTPUTF8\r\nRCPT TO:<用户@例.example>\r\nBDAT 0 LAST\r\n")
      )
      assert.deepStrictEqual(codes(yield* client.replies(4)), [553, 250, 250, 250])
      assert.strictEqual(server.messages[0]?.from.address, "jörg@b")
      assert.strictEqual(server.messages[0]?.to[0]?.address, "用户@例.example")
    })
  )

  it.live("advertises exactly what is switched on", () =>
    Effect.gen(function* () {
      const capabilities = (options: TestServer.Options) =>
        Effect.gen(function* () {
          const server = yield* TestServer.make(options)
          const client = yield* connect(server.port)
          yield* client.replies(1)
          const [reply] = yield* client.ask("EHLO x")
          return reply!
            .split("\n")
            .slice(1)
            .map((line) => line.slice(4))
        })
      const off = { pipelining: false, chunking: false, size: false, eightBitMime: false, smtpUtf8: false, dsn: false }
      assert.deepStrictEqual(yield* capabilities({ extensions: { ...off, enhancedStatusCodes: false } }), [])
      assert.deepStrictEqual(
        yield* capabilities({ maxMessageSize: 1000, users: { a: "b" }, extensions: { limits: { rcptMax: 5 } } }),
        [
          "PIPELINING",
          "CHUNKING",
          "SIZE 1000",
          "8BITMIME",
          "SMTPUTF8",
          "DSN",
          "ENHANCEDSTATUSCODES",
          "AUTH SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN",
          "LIMITS RCPTMAX=5"
        ]
      )
    })
  )

  it.live("enforces size and limits, and demands TLS and login if configured", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        maxMessageSize: 10,
        extensions: { limits: { rcptMax: 1, mailMax: 3 }, enhancedStatusCodes: false }
      })
      const client = yield* greeted(server.port)
      assert.deepStrictEqual(yield* client.ask("MAIL FROM:<a@b> SIZE=11"), ["552 message too large"])
      assert.deepStrictEqual(
        codes(yield* client.ask("MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RCPT TO:<e@f>", "DATA")),
        [250, 250, 452, 354]
      )
      client.write("123456789\r\n.\r\n")
      assert.deepStrictEqual(codes(yield* client.replies(1)), [552])
      client.write(
        "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 11 LAST\r\n12345678901MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 10 LAST\r\n1234567890"
      )
      assert.deepStrictEqual(codes(yield* client.replies(6)), [250, 250, 552, 250, 250, 250])
      assert.deepStrictEqual(codes(yield* client.ask("MAIL FROM:<a@b>")), [421])
      assert.strictEqual((yield* client.closed).how, "end")
      assert.deepStrictEqual(server.messages.map(text), ["1234567890"])

      const strict = yield* TestServer.make({ requireTls: true, tls: true })
      assert.deepStrictEqual(codes(yield* (yield* greeted(strict.port)).ask("MAIL FROM:<a@b>")), [530])
      const closed = yield* TestServer.make({ requireAuth: true, users: { a: "b" } })
      assert.deepStrictEqual(codes(yield* (yield* greeted(closed.port)).ask("MAIL FROM:<a@b>")), [530])
    })
  )
})

describe("TestServer, when the client is wrong", () => {
  const wrong: ReadonlyArray<readonly [string, string, ReadonlyArray<number>, string]> = [
    ["commands out of order", "RCPT TO:<a@b>\r\n", [503], "RCPT out of order"],
    ["a nested MAIL", "MAIL FROM:<a@b>\r\nMAIL FROM:<c@d>\r\n", [250, 503], "MAIL within a transaction"],
    ["DATA without a transaction", "DATA\r\n", [503], "DATA without recipients"],
    ["BDAT without recipients", "MAIL FROM:<a@b>\r\nBDAT 2 LAST\r\nxx", [250, 554], "BDAT without recipients"],
    ["text that is no command", "Hello Bob,\r\n", [500], "an unknown command"],
    ["a command ended by LF alone", "NOOP\n", [500], "a command ended by a bare LF"],
    [
      "content before the 354",
      "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx",
      [250, 250, 354, 554],
      "content before the 354"
    ],
    [
      "a bare LF in the content",
      "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 3 LAST\r\na\nb",
      [250, 250, 250],
      "a bare LF in the content"
    ],
    ["AUTH without it being offered", "AUTH PLAIN AGEAYg==\r\n", [502], "AUTH without it being offered"],
    ["STARTTLS without it being offered", "STARTTLS\r\n", [502], "STARTTLS without it being offered"],
    ["a line without end", "x".repeat(17_000), [500], "a line longer than 16 KiB"]
  ]
  for (const [name, said, expected, problem] of wrong) {
    it.live(`notes ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const client = yield* greeted(server.port)
        client.write(said)
        assert.deepStrictEqual(codes(yield* client.replies(expected.length)), expected)
        assert.deepStrictEqual(problems(server), [problem])
      })
    )
  }

  it.live("reports no violation for commands sent together with a refused one", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["mail:550:from=bad@*", "rcpt:550:to=bad@*"] })
      const client = yield* greeted(server.port)
      client.write(
        "MAIL FROM:<bad@x>\r\nRCPT TO:<a@b>\r\nBDAT 2 LAST\r\nxxRSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bad@x>\r\nDATA\r\n"
      )
      assert.deepStrictEqual(codes(yield* client.replies(7)), [550, 503, 503, 250, 250, 550, 554])
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("records commands sent ahead without PIPELINING, and a client that speaks before the greeting", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ extensions: { pipelining: false } })
      const client = yield* greeted(server.port)
      assert.deepStrictEqual(codes(yield* client.ask("MAIL FROM:<a@b>", "RCPT TO:<c@d>")), [250, 250])
      const slow = yield* TestServer.make({ connectDelay: 30 })
      const early = yield* connect(slow.port)
      early.write("EHLO x\r\n")
      assert.deepStrictEqual(codes(yield* early.replies(2)), [220, 250])
      assert.deepStrictEqual(problems(server), ["commands sent ahead without PIPELINING"])
      assert.deepStrictEqual(problems(slow), ["the client spoke before it was greeted"])
    })
  )
})

describe("TestServer, its mailbox", () => {
  const submit = (port: number, contents: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const client = yield* greeted(port)
      const replies: Array<string> = []
      for (const content of contents) {
        client.write(`MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT ${content.length} LAST\r\n${content}`)
        replies.push((yield* client.replies(3))[2]!)
      }
      return replies
    })

  it.live("wakes fibers that wait for messages, and only for messages", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const waiting = yield* Effect.forkChild(server.awaitMessages(2), { startImmediately: true })
      yield* submit(server.port, ["one"])
      assert.isUndefined(waiting.pollUnsafe())
      yield* submit(server.port, ["two"])
      assert.deepStrictEqual((yield* Fiber.join(waiting)).map(text), ["one", "two"])
    })
  )

  it.live("refuses content when full, and takes it again after a reset", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ mailbox: { type: "keep", maxMessages: 1 } })
      assert.deepStrictEqual(codes(yield* submit(server.port, ["one", "two"])), [250, 452])
      yield* server.reset
      assert.deepStrictEqual(server.messages, [])
      assert.deepStrictEqual(codes(yield* submit(server.port, ["three"])), [250])
      assert.strictEqual(server.stats.messages, 1)
    })
  )

  it.live("counts and hashes discarded messages in any order, and still calls back", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const contents = ["one", "two", "three", "three"]
      const server = yield* TestServer.make({
        mailbox: { type: "discard", digest: true },
        onMessage: (message) => seen.push(text(message))
      })
      yield* submit(server.port, contents)
      const reversed = Digest.of(contents.toReversed().map((content) => Buffer.from(content)))
      assert.isTrue(Digest.equals(server.digest, reversed))
      assert.isFalse(
        Digest.equals(server.digest, Digest.of(["one", "two", "three", "thrxe"].map((c) => Buffer.from(c))))
      )
      assert.deepStrictEqual(seen, contents)
      assert.deepStrictEqual(server.messages, [])
    })
  )

  it.live("writes files that go on after those already there", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "mailrace-"))),
        (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
      )
      for (const contents of [["one", "two"], ["three"]]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* TestServer.make({ mailbox: { type: "directory", path: path.join(directory, "in") } })
            yield* submit(server.port, contents)
          })
        )
      }
      const names = yield* Effect.promise(() => fs.readdir(path.join(directory, "in")))
      assert.deepStrictEqual(names.sort(), ["00000001.eml", "00000002.eml", "00000003.eml"])
      assert.strictEqual(
        yield* Effect.promise(() => fs.readFile(path.join(directory, "in", names[2]!), "utf8")),
        "three"
      )
    })
  )

  it.live("keeps what was said on each connection", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ name: "relay.example" })
      yield* submit(server.port, ["one"])
      assert.deepStrictEqual(
        server.transcript.filter(({ by }) => by === "client").map(({ line }) => line),
        ["EHLO client.example", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "BDAT 3 LAST"]
      )
      assert.strictEqual(server.transcript[0]?.line, "220 relay.example ESMTP test server")
    })
  )
})

describe("TestServer, its life", () => {
  it.live("leaves no socket open when its scope closes, and its port free", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(TestServer.make(), scope)
      const client = yield* greeted(server.port)
      assert.strictEqual(server.stats.open, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(server.stats.open, 0)
      yield* client.closed
      const again = yield* TestServer.make({ port: server.port })
      assert.strictEqual(again.port, server.port)
    })
  )

  it.live("says why it cannot start", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const error = yield* Effect.flip(TestServer.start({ port: server.port }))
      assert.include(error.message, `127.0.0.1:${server.port}`)
      assert.include(error.message, "EADDRINUSE")
    })
  )

  it.live("counts connections and reports when none is left", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const bothOpen = yield* Deferred.make<void>()
      const session = Effect.scoped(Effect.andThen(greeted(server.port), Deferred.await(bothOpen)))
      const clients = yield* Effect.forkChild(Effect.all([session, session], { concurrency: 2 }))
      yield* server.until((stats) => stats.open === 2)
      yield* Deferred.succeed(bothOpen, undefined)
      yield* Fiber.join(clients)
      yield* server.awaitIdle
      const { connections, open, peak } = server.stats
      assert.deepStrictEqual({ connections, open, peak }, { connections: 2, open: 0, peak: 2 })
    })
  )

  it.live("delays bytes both ways without mixing or losing any", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: 20 })
      const started = performance.now()
      const client = yield* connect(server.port)
      yield* client.replies(1)
      yield* client.ask("EHLO x")
      const one = (index: number) =>
        `MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 4 LAST\r\n${String(index).padStart(4, "0")}`
      client.write(Array.from({ length: 500 }, (_, index) => one(index)).join(""))
      yield* client.replies(1500)
      // Half a round trip for the greeting, one for EHLO, one for the 500 messages together.
      assert.isAtLeast(performance.now() - started, 49)
      assert.deepStrictEqual(
        server.messages.map((message) => Number(text(message))),
        Array.from({ length: 500 }, (_, i) => i)
      )
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  it.live("can be a layer", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.TestServer
      const client = yield* greeted(server.port)
      assert.deepStrictEqual(codes(yield* client.ask("NOOP")), [250])
    }).pipe(Effect.provide(Layer.fresh(TestServer.layer())))
  )
})
