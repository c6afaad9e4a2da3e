import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Net from "node:net"
import { SmtpConnection } from "../src/SmtpConnection.ts"
import { handOn, make as makeRaw } from "./support/rawRelay.ts"
import * as Relay from "./support/relay.ts"

const megabytes = (count: number): Uint8Array => Buffer.alloc(count * 1_000_000, "0123456789abcdef0123456789abc\r\n.")

/** A message whose content comes in so many pieces, one at a time with a pause before each. */
const trickled = (count: number, pauseMs: number) => ({
  ...Relay.streamed(1, [Buffer.alloc(1000)]),
  content: {
    _tag: "StreamedContent" as const,
    stream: Stream.range(1, count).pipe(
      Stream.rechunk(1),
      Stream.mapEffect((n) => Effect.as(Effect.sleep(pauseMs), Buffer.from(`line ${n}\r\n`)))
    )
  }
})

describe("SmtpConnection: large content in memory", () => {
  it.live("a peer that reads slowly but steadily is not silent", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ mailbox: { type: "discard" } })
      // The rest is quick, so that what the system still holds when all is written costs the final reply no time.
      const slow = yield* makeRaw((socket) => handOn(socket, server, 20_000_000))
      const { send } = yield* Relay.open(slow, { timeouts: { content: 300, finalReply: 300 } })
      yield* send(Relay.message(1, { content: megabytes(24) }))
      assert.strictEqual(server.stats.messages, 1)
    })
  )

  it.live("a connection cut in its middle is a loss, and leaves no doubt", () =>
    Effect.gen(function* () {
      for (const fault of ["content:drop", "content:reset"]) {
        const server = yield* TestServer.make({ faults: [fault] })
        const { send } = yield* Relay.open(server)
        const error = yield* Effect.flip(send(Relay.message(1, { content: megabytes(5) })))
        assert.strictEqual(error.reason._tag, "ConnectionLost", fault)
        assert.isTrue(error.isRetryable)
      }
    })
  )
})

describe("SmtpConnection: limits of streamed content", () => {
  it.live("a source that is slow is no silence of the peer", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { send } = yield* Relay.open(server, { timeouts: { content: 200 } })
      yield* send(trickled(10, 40))
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("the final reply has its whole limit, from the end of the content", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=250ms"] })
      const { send } = yield* Relay.open(server, { timeouts: { content: 300, finalReply: 400 } })
      yield* send(trickled(6, 50))
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("the final reply has no more than its limit, although content may take longer", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:hang"] })
      const { send } = yield* Relay.open(server, { timeouts: { content: 60_000, finalReply: 60 } })
      const { reason } = yield* Effect.flip(send(trickled(3, 20)))
      assert.strictEqual(reason._tag, "OutcomeUnknown")
    })
  )
})

describe("SmtpConnection: replies that nobody asked for", () => {
  it.live("are kept when they are few, and a violation when they are many", () =>
    Effect.gen(function* () {
      for (const [count, tag] of [
        [3, "Lost"],
        [1000, "Violation"]
      ] as const) {
        const relay = yield* makeRaw((socket) => socket.end("250 x\r\n".repeat(count)))
        const socket = Net.connect(relay.port, relay.host)
        const connection = new SmtpConnection(socket)
        yield* Effect.callback<void>((resume) => {
          socket.once("close", () => resume(Effect.void))
        })
        assert.strictEqual(connection.ending?._tag, tag)
      }
    })
  )

  it.live("are not taken for the answer to what is said next", () =>
    Effect.gen(function* () {
      for (const [reply, reason] of [
        ["250 x", "ProtocolViolation"],
        ["421 4.3.2 closing", "Throttled"]
      ] as const) {
        const relay = yield* makeRaw((socket) => socket.end(`220 ready\r\n${reply}\r\n`))
        const socket = Net.connect(relay.port, relay.host)
        const connection = new SmtpConnection(socket)
        yield* connection.exchange(undefined, "greeting", 1_000)
        const error = yield* Effect.flip(connection.exchange("AUTH PLAIN x\r\n", "auth", 1_000))
        assert.strictEqual(error.reason._tag, reason)
      }
    })
  )
})
