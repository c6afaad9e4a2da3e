import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestServer from "../src/TestServer.ts"
import type { RawClient } from "./rawClient.ts"
import { connect, greeted } from "./rawClient.ts"

const codes = (replies: ReadonlyArray<string>) => replies.map((reply) => Number(reply.slice(0, 3)))

/** Brings a fresh connection to the point where the phase's answer is due, and asks for it. */
const reach: { readonly [phase: string]: (client: RawClient) => Effect.Effect<void> } = {
  connect: () => Effect.void,
  greeting: () => Effect.void,
  ehlo: (client) => Effect.map(client.replies(1), () => client.write("EHLO x\r\n")),
  mail: (client) => after(client, [], "MAIL FROM:<a@b>\r\n"),
  rcpt: (client) => after(client, ["MAIL FROM:<a@b>"], "RCPT TO:<c@d>\r\n"),
  data: (client) => after(client, envelope, "DATA\r\n"),
  bdat: (client) => after(client, envelope, "BDAT 3\r\nabc"),
  content: (client) => after(client, envelope, "BDAT 3 LAST\r\na"),
  final: (client) => after(client, [...envelope, "DATA"], "abc\r\n.\r\n"),
  rset: (client) => after(client, [], "RSET\r\n"),
  noop: (client) => after(client, [], "NOOP\r\n"),
  quit: (client) => after(client, [], "QUIT\r\n"),
  auth: (client) => after(client, [], `AUTH PLAIN ${Buffer.from("\0ann\0secret").toString("base64")}\r\n`)
}

const envelope = ["MAIL FROM:<a@b>", "RCPT TO:<c@d>"]
const after = (client: RawClient, lines: ReadonlyArray<string>, then: string) =>
  Effect.gen(function* () {
    yield* client.replies(1)
    yield* client.ask("EHLO x")
    for (const line of lines) yield* client.ask(line)
    client.write(then)
  })

const right: { readonly [phase: string]: string } = {
  connect: "220 ",
  greeting: "220 ",
  ehlo: "250-test.invalid\n",
  mail: "250 2.1.0",
  rcpt: "250 2.1.5",
  data: "354 ",
  bdat: "250 2.0.0",
  final: "250 2.0.0",
  rset: "250 2.0.0",
  noop: "250 2.0.0",
  quit: "221 2.0.0",
  auth: "235 2.7.0"
}

const at = (fault: string, phase: string) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make({ faults: [fault], users: { ann: "secret" } })
    const client = yield* connect(server.port)
    yield* reach[phase]!(client)
    return { server, client }
  })

const phases = Object.keys(reach)
const withReply = phases.filter((phase) => phase !== "content")

describe("faults on the wire", () => {
  for (const phase of phases) {
    it.live(`${phase}: drop ends the connection in order and without an answer`, () =>
      Effect.gen(function* () {
        const { server, client } = yield* at(`${phase}:drop`, phase)
        assert.deepStrictEqual(yield* client.closed, { how: "end", received: "" })
        client.end()
        yield* server.awaitIdle
        assert.strictEqual(server.stats.faults, 1)
      })
    )

    it.live(`${phase}: reset tears it down`, () =>
      Effect.gen(function* () {
        const { server, client } = yield* at(`${phase}:reset`, phase)
        assert.deepStrictEqual(yield* client.closed, { how: "ECONNRESET", received: "" })
        yield* server.awaitIdle
      })
    )

    it.live(`${phase}: another reply takes the answer's place`, () =>
      Effect.gen(function* () {
        const { client } = yield* at(`${phase}:451 4.7.1 slow down`, phase)
        assert.deepStrictEqual(yield* client.replies(1), ["451 4.7.1 slow down"])
      })
    )

    it.live(`${phase}: 421 is the last word`, () =>
      Effect.gen(function* () {
        const { client } = yield* at(`${phase}:421`, phase)
        const { how, received } = yield* client.closed
        assert.strictEqual(how, "end")
        assert.match(received, /^421 4\.3\.2 .*\r\n$/)
      })
    )
  }

  for (const phase of withReply) {
    it.live(`${phase}: hang gives no answer and goes when the client goes`, () =>
      Effect.gen(function* () {
        const { server, client } = yield* at(`${phase}:hang`, phase)
        yield* server.until((stats) => stats.faults === 1)
        client.write("NOOP\r\n")
        client.end()
        assert.deepStrictEqual(yield* client.closed, { how: "end", received: "" })
        yield* server.awaitIdle
      })
    )

    it.live(`${phase}: delay gives the right answer`, () =>
      Effect.gen(function* () {
        const { client } = yield* at(`${phase}:delay=20ms`, phase)
        const [reply] = yield* client.replies(1)
        assert.isTrue(reply!.startsWith(right[phase]!), reply)
      })
    )

    if (phase !== "connect") {
      it.live(`${phase}: drip gives it a byte at a time`, () =>
        Effect.gen(function* () {
          const server = yield* TestServer.make({ users: { ann: "secret" } })
          yield* server.setFaults([`${phase}:drip=1ms`])
          const client = yield* connect(server.port)
          yield* reach[phase]!(client)
          const [reply] = yield* client.replies(1)
          assert.isTrue(reply!.startsWith(right[phase]!), reply)
          assert.isAtLeast(client.pieces().length, 10)
        })
      )

      it.live(`${phase}: partial=close gives half of it and ends`, () =>
        Effect.gen(function* () {
          const { client } = yield* at(`${phase}:partial=close`, phase)
          const { how, received } = yield* client.closed
          assert.strictEqual(how, "end")
          assert.isTrue(right[phase]!.startsWith(received.slice(0, 4).replaceAll("\r\n", "\n")), received)
          assert.isFalse(received.endsWith("\r\n"))
        })
      )
    }

    it.live(`${phase}: garbage is no reply`, () =>
      Effect.gen(function* () {
        const { server, client } = yield* at(`${phase}:garbage`, phase)
        yield* server.until((stats) => stats.faults === 1)
        client.end()
        const { received } = yield* client.closed
        assert.isAbove(received.length, 0)
        assert.notMatch(received, /^\d{3}[ -]/m)
      })
    )
  }

  it.live("content: hang stops reading; delay goes on after a while", () =>
    Effect.gen(function* () {
      const hung = yield* at("content:hang", "content")
      yield* hung.server.until((stats) => stats.faults === 1)
      const received = hung.server.stats.bytesReceived
      hung.client.write("bc")
      const delayed = yield* at("content:delay=20ms", "content")
      delayed.client.write("bc")
      assert.deepStrictEqual(codes(yield* delayed.client.replies(1)), [250])
      assert.strictEqual(hung.server.stats.bytesReceived, received)
      assert.strictEqual(hung.server.messages.length, 0)
    })
  )

  it.live("a refused command has no effect", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        faults: ["mail:550:nth=1", "rcpt:450:nth=2", "final:552:nth=1", "bdat:500:nth=1", "data:451:nth=1"]
      })
      const client = yield* greeted(server.port)
      const said = yield* client.ask("MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RSET", "MAIL FROM:<a@b>", "RCPT TO:<c@d>")
      assert.deepStrictEqual(codes(said), [550, 503, 250, 250, 450])
      assert.deepStrictEqual(codes(yield* client.ask("RCPT TO:<e@f>", "DATA")), [250, 451])
      assert.deepStrictEqual(codes(yield* client.ask("DATA")), [354])
      client.write("x\r\n.\r\n")
      assert.deepStrictEqual(codes(yield* client.replies(1)), [552])
      client.write("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n")
      assert.deepStrictEqual(codes(yield* client.replies(4)), [250, 250, 500, 250])
      assert.deepStrictEqual(server.messages, [])
      assert.deepStrictEqual(server.unanswered, [])
      assert.deepStrictEqual(server.protocolErrors, [])
    })
  )

  for (const fault of ["drop", "reset", "hang", "partial", "partial=close", "garbage"]) {
    it.live(`final:${fault} has taken the message all the same, apart from those answered`, () =>
      Effect.gen(function* () {
        const { server } = yield* at(`final:${fault}`, "final")
        yield* server.until((stats) => stats.unanswered === 1)
        assert.strictEqual(Buffer.from(server.unanswered[0]!.content).toString(), "abc\r\n")
        assert.deepStrictEqual(server.messages, [])
      })
    )
  }

  it.live("a refused greeting leaves only QUIT", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["greeting:554"] })
      const client = yield* connect(server.port)
      assert.deepStrictEqual(codes(yield* client.replies(1)), [554])
      assert.deepStrictEqual(codes(yield* client.ask("EHLO x", "QUIT")), [554, 221])
    })
  )

  it.live("EHLO refused leaves HELO", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["ehlo:502"] })
      const client = yield* connect(server.port)
      yield* client.replies(1)
      assert.deepStrictEqual(codes(yield* client.ask("EHLO x", "HELO x", "MAIL FROM:<a@b>")), [502, 250, 250])
    })
  )

  it.live("EHLO lies: CHUNKING is not known, and PIPELINING ends in a hang-up", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["ehlo:lie=CHUNKING:nth=1", "ehlo:lie=PIPELINING:nth=1"] })
      const chunking = yield* connect(server.port)
      yield* chunking.replies(1)
      const [offers] = yield* chunking.ask("EHLO x")
      assert.include(offers, "CHUNKING")
      assert.deepStrictEqual(codes(yield* chunking.ask(...envelope)), [250, 250])
      chunking.write("BDAT 6 LAST\r\nNOOP\r\n")
      assert.deepStrictEqual(codes(yield* chunking.replies(2)), [500, 250])
      yield* server.setFaults(["ehlo:lie=PIPELINING"])
      const pipelining = yield* greeted(server.port)
      assert.deepStrictEqual(codes(yield* pipelining.ask("NOOP")), [250])
      pipelining.write("NOOP\r\nNOOP\r\n")
      assert.deepStrictEqual(yield* pipelining.closed, { how: "end", received: "" })
    })
  )

  it.live("a function can decide, with the envelope in hand", () =>
    Effect.gen(function* () {
      const events: Array<TestServer.Event> = []
      const server = yield* TestServer.make({
        mailbox: { type: "discard" },
        decide: (event) => {
          events.push(event)
          return event.phase === "final" && event.to.includes("e@f")
            ? { type: "reply", code: 554, text: "no" }
            : undefined
        }
      })
      const client = yield* greeted(server.port)
      const replies = yield* client.ask("MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RCPT TO:<e@f>", "BDAT 0 LAST")
      assert.strictEqual(replies[3], "554 no")
      assert.deepStrictEqual(
        events.map(({ phase, from, to }) => [phase, from, ...to]),
        [
          ["connect", undefined],
          ["greeting", undefined],
          ["ehlo", undefined],
          ["mail", "a@b"],
          ["rcpt", "a@b", "c@d"],
          ["rcpt", "a@b", "e@f"],
          ["bdat", "a@b", "c@d", "e@f"],
          ["final", "a@b", "c@d", "e@f"]
        ]
      )
    })
  )

  it.live("faults can be changed while the server runs", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["noop:450"] })
      const client = yield* greeted(server.port)
      assert.deepStrictEqual(codes(yield* client.ask("NOOP")), [450])
      yield* server.setFaults([])
      assert.deepStrictEqual(codes(yield* client.ask("NOOP")), [250])
    })
  )
})
