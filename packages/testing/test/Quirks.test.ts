import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestServer from "../src/TestServer.ts"
import { connect, greeted } from "./rawClient.ts"

const codes = (replies: ReadonlyArray<string>) => replies.map((reply) => Number(reply.slice(0, 3)))
const text = (content: Uint8Array | undefined) => Buffer.from(content ?? []).toString("latin1")

/** What a careful client sends to find such servers out: a refused chunk whose bytes are commands. */
const probe = "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<@@>\r\nBDAT 12 LAST\r\nNOOP\r\nNOOP\r\nRSET\r\n"
const rightAnswers = [250, 250, 501, 554, 250]

const probed = (quirks: TestServer.Quirks, replies: number) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make({ quirks })
    const client = yield* greeted(server.port)
    client.write(probe)
    return { server, client, codes: codes(yield* client.replies(replies)) }
  })

describe("quirks", () => {
  it.live("none: one reply a command", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* probed({}, 5)).codes, rightAnswers)
    })
  )

  it.live("unreadRefusedChunk runs a refused chunk's bytes as commands, and takes others whole", () =>
    Effect.gen(function* () {
      const { client, server, codes: answers } = yield* probed({ unreadRefusedChunk: true }, 7)
      assert.deepStrictEqual(answers, [250, 250, 501, 554, 250, 250, 250])
      client.write("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 6 LAST\r\nNOOP\r\n")
      assert.deepStrictEqual(codes(yield* client.replies(3)), [250, 250, 250])
      assert.strictEqual(text(server.messages[0]?.content), "NOOP\r\n")
    })
  )

  it.live("unknownBdat advertises CHUNKING, answers BDAT with 500 and runs its bytes", () =>
    Effect.gen(function* () {
      const { client, server, codes: answers } = yield* probed({ unknownBdat: true }, 7)
      assert.deepStrictEqual(answers, [250, 250, 501, 500, 250, 250, 250])
      assert.include((yield* client.ask("EHLO x"))[0], "CHUNKING")
      assert.deepStrictEqual(
        server.protocolErrors.map(({ problem }) => problem),
        ["an unknown command"]
      )
    })
  )

  it.live("doubleReply answers one command twice", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* probed({ doubleReply: "bdat" }, 6)).codes, [250, 250, 501, 554, 554, 250])
      assert.deepStrictEqual((yield* probed({ doubleReply: "rcpt" }, 6)).codes, [250, 250, 501, 501, 554, 250])
    })
  )

  it.live("lateReply answers a command after the next one, or after a while", () =>
    Effect.gen(function* () {
      const { client, codes: answers } = yield* probed({ lateReply: "rcpt" }, 5)
      assert.deepStrictEqual(answers, [250, 250, 554, 501, 250])
      assert.deepStrictEqual(codes(yield* client.ask("MAIL FROM:<a@b>")), [250])
      assert.deepStrictEqual(yield* client.ask("RCPT TO:<c@d>"), ["250 2.1.5 recipient OK"])
    })
  )

  it.live("closeAfterChunk closes after a refused chunk, or after every one", () =>
    Effect.gen(function* () {
      const refused = yield* probed({ closeAfterChunk: "refused" }, 4)
      assert.deepStrictEqual(refused.codes, [250, 250, 501, 554])
      assert.deepStrictEqual(yield* refused.client.closed, { how: "end", received: "" })
      for (const [closeAfterChunk, ends] of [
        ["refused", false],
        ["every", true]
      ] as const) {
        const server = yield* TestServer.make({ quirks: { closeAfterChunk } })
        const client = yield* greeted(server.port)
        client.write("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 2 LAST\r\nxxNOOP\r\n")
        if (!ends) assert.deepStrictEqual(codes(yield* client.replies(4)), [250, 250, 250, 250])
        else assert.strictEqual((yield* client.closed).received.trimEnd().split("\r\n").length, 3)
      }
    })
  )

  const mixing =
    "MAIL FROM:<a1@x>\r\nRCPT TO:<@@>\r\nBDAT 3 LAST\r\noneMAIL FROM:<a2@x>\r\nRCPT TO:<u@x>\r\nBDAT 3 LAST\r\ntwo"

  it.live("openAfterRefusedChunk sends the next message under the old sender, unless RSET comes between", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { openAfterRefusedChunk: true } })
      const client = yield* greeted(server.port)
      client.write(mixing)
      assert.deepStrictEqual(codes(yield* client.replies(6)), [250, 501, 554, 503, 250, 250])
      assert.strictEqual(server.messages[0]?.from.address, "a1@x")
      assert.strictEqual(text(server.messages[0]?.content), "two")
      client.write(mixing.replaceAll("MAIL", "RSET\r\nMAIL"))
      assert.deepStrictEqual(codes(yield* client.replies(8)), [250, 250, 501, 554, 250, 250, 250, 250])
      assert.strictEqual(server.messages[1]?.from.address, "a2@x")
    })
  )

  it.live("without it a refused chunk spoils the transaction until RSET", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const client = yield* greeted(server.port)
      client.write(mixing)
      assert.deepStrictEqual(codes(yield* client.replies(6)), [250, 501, 554, 503, 503, 503])
      assert.deepStrictEqual(server.messages, [])
    })
  )

  it.live("deafWhileReplying reads nothing while replies are stuck", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { deafWhileReplying: true, replyPadding: 4000 } })
      const client = yield* greeted(server.port)
      client.pause()
      const total = 5000
      client.write("NOOP\r\n".repeat(total))
      const stuck = yield* server.until((stats) => stats.commands > 100)
      assert.isBelow(stuck.commands, total)
      client.resume()
      yield* server.until((stats) => stats.commands === total + 1)
      client.write("QUIT\r\n")
      const { received } = yield* client.closed
      assert.strictEqual(received.match(/^250 2\.0\.0 OK\r$/gm)?.length, total)
      assert.isAbove(received.length, total * 4000)
    })
  )

  it.live("none: a client that never reads is not read from for ever", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { replyPadding: 400 } })
      const client = yield* greeted(server.port)
      const total = 60_000
      client.pause()
      client.write("NOOP\r\n".repeat(total))
      // While another connection is served a hundred times, all of it would have been read.
      const other = yield* greeted(server.port)
      for (let round = 0; round < 100; round++) yield* other.ask("NOOP")
      assert.isBelow(server.stats.commands, total)
      client.resume()
      yield* server.until((stats) => stats.commands === total + 102)
    })
  )

  it.live("cutAfterSent and cutAfterReceived end the connection at that byte", () =>
    Effect.gen(function* () {
      const sent = yield* TestServer.make({ quirks: { cutAfterSent: 40 } })
      const reader = yield* connect(sent.port)
      yield* reader.replies(1)
      reader.write("EHLO x\r\n")
      yield* reader.closed
      assert.strictEqual(reader.pieces().join("").length, 40)
      const received = yield* TestServer.make({ quirks: { cutAfterReceived: 14 } })
      const writer = yield* connect(received.port)
      yield* writer.replies(1)
      writer.write("EHLO x\r\nNOOP\r\nNOOP\r\n")
      yield* writer.closed
      assert.strictEqual(received.stats.commands, 2)
    })
  )

  const first = "MAIL FROM:<a1@x>\r\nRCPT TO:<b1@x>\r\nDATA\r\n"
  const second = "MAIL FROM:<a2@x>\r\nRCPT TO:<b2@x>\r\nDATA\r\n"

  const overlapped = (options: TestServer.Options) =>
    Effect.gen(function* () {
      const server = yield* TestServer.make(options)
      const client = yield* greeted(server.port)
      client.write(first)
      assert.deepStrictEqual(codes(yield* client.replies(3)), [250, 250, 354])
      client.write(`one\r\n.\r\n${second}`)
      return { server, client }
    })

  it.live("behindDot stores what comes with the end of DATA in the mail, and runs it as well", () =>
    Effect.gen(function* () {
      const { client, server } = yield* overlapped({ quirks: { behindDot: "store" } })
      assert.deepStrictEqual(codes(yield* client.replies(4)), [250, 250, 250, 354])
      assert.strictEqual(text(server.messages[0]?.content), `one\r\n.\r\n${second}`)
    })
  )

  it.live("behindDot refuses what came before the reply to the end of DATA, late as it may be", () =>
    Effect.gen(function* () {
      for (const faults of [[], ["final:delay=20ms"]]) {
        const { client, server } = yield* overlapped({ quirks: { behindDot: "refuse" }, faults })
        assert.deepStrictEqual(codes(yield* client.replies(4)), [250, 503, 503, 503])
        assert.strictEqual(text(server.messages[0]?.content), "one\r\n")
        assert.deepStrictEqual(codes(yield* client.ask("MAIL FROM:<a3@x>")), [250])
      }
    })
  )

  it.live("behindDot closes on what comes with the end of DATA, and has the mail", () =>
    Effect.gen(function* () {
      const { client, server } = yield* overlapped({ quirks: { behindDot: "close" } })
      assert.strictEqual((yield* client.closed).how, "end")
      assert.lengthOf(server.messages, 0)
      assert.strictEqual(text(server.unanswered[0]?.content), "one\r\n")
    })
  )

  it.live("behindDot is right with a client that waits", () =>
    Effect.gen(function* () {
      for (const behindDot of ["store", "refuse", "close"] as const) {
        const server = yield* TestServer.make({ quirks: { behindDot } })
        const client = yield* greeted(server.port)
        for (const envelope of [first, second]) {
          client.write(envelope)
          yield* client.replies(3)
          client.write("text\r\n.\r\n")
          assert.deepStrictEqual(codes(yield* client.replies(1)), [250])
        }
        assert.deepStrictEqual(
          server.messages.map(({ content }) => text(content)),
          ["text\r\n", "text\r\n"]
        )
      }
    })
  )

  it.live("largestAnsweredChunk is silent at a larger one, which it has", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { largestAnsweredChunk: 3 } })
      const client = yield* greeted(server.port)
      client.write("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 3 LAST\r\none")
      assert.deepStrictEqual(codes(yield* client.replies(3)), [250, 250, 250])
      client.write("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 4 LAST\r\nfour")
      assert.deepStrictEqual(codes(yield* client.replies(2)), [250, 250])
      yield* server.until(({ unanswered }) => unanswered === 1)
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("closeAfterMessages closes after so many were answered", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { closeAfterMessages: 2 } })
      const client = yield* greeted(server.port)
      client.write("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nBDAT 3 LAST\r\none".repeat(3))
      assert.lengthOf((yield* client.closed).received.match(/^250 2\.6\.0|^250 2\.0\.0/gm) ?? [], 2)
      assert.lengthOf(server.messages, 2)
    })
  )
})
