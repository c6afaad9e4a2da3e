import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Net from "node:net"
import { SmtpConnection } from "../../../src/internal/connection/smtpConnection.ts"
import type * as SmtpOptions from "../../../src/SmtpOptions.ts"
import * as RawRelay from "../../support/rawRelay.ts"
import * as Relay from "../../support/relay.ts"
import * as Stopped from "../../support/stopped.ts"

const megabytes = (count: number): Uint8Array => Buffer.alloc(count * 1_000_000, "0123456789abcdef0123456789abc\r\n.")

describe("SmtpConnection: large content", () => {
  for (const [what, message] of [
    ["in memory", () => Relay.message(1, { content: megabytes(24) })],
    ["streamed in one piece", () => Relay.streamed(1, [megabytes(24)])],
    [
      "streamed in many",
      () =>
        Relay.streamed(
          1,
          Array.from({ length: 240 }, () => megabytes(0.1))
        )
    ]
  ] as const) {
    it.live(`a peer that reads slowly but steadily is not silent (${what})`, () =>
      Effect.gen(function* () {
        const { pass } = yield* Stopped.clock
        const server = yield* TestServer.make({ mailbox: { type: "discard" } })
        const slow = yield* RawRelay.makeReluctant(server)
        const { send } = yield* Relay.open(slow, { timeouts: { content: 300 } })
        const fiber = yield* Effect.forkChild(send(message()))
        yield* server.until(({ commands }) => commands >= 4)
        // Much longer than the limit, and with more to come than the buffers of the system hold.
        for (let n = 0; n < 10; n++) {
          yield* slow.read(1_000_000)
          yield* Stopped.turns(20)
          yield* pass(100)
        }
        assert.isUndefined(fiber.pollUnsafe())
        yield* slow.readOn
        yield* Fiber.join(fiber)
        assert.strictEqual(server.stats.messages, 1)
      })
    )
  }

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
  /** Sends a message whose content the test gives piece by piece, while time passes only when the test says so. */
  const sending = (faults: ReadonlyArray<string>, timeouts: SmtpOptions.Timeouts) =>
    Effect.gen(function* () {
      const clock = yield* Stopped.clock
      const server = yield* TestServer.make({ faults })
      const { send } = yield* Relay.open(server, { timeouts })
      const pieces = yield* Queue.make<string, Cause.Done>()
      const message = {
        ...Relay.streamed(1, [Buffer.alloc(1000)]),
        content: {
          _tag: "StreamedContent" as const,
          stream: Stream.map(Stream.fromQueue(pieces), (piece) => Buffer.from(piece))
        }
      }
      const fiber = yield* Effect.forkChild(Effect.result(send(message)))
      yield* server.until(({ commands }) => commands >= 4)
      let given = server.stats.bytesReceived
      /** Gives a line, after so much time, and waits until the server has it. */
      const give = (afterMs: number) =>
        Effect.gen(function* () {
          yield* clock.pass(afterMs)
          yield* Queue.offer(pieces, "a line\r\n")
          given += 8
          yield* server.until(({ bytesReceived }) => bytesReceived >= given)
        })
      return { clock, end: Queue.end(pieces), fiber, give, server }
    })

  it.live("a slow source is not the peer's silence", () =>
    Effect.gen(function* () {
      const { end, fiber, give, server } = yield* sending([], { content: 300 })
      for (let n = 0; n < 5; n++) yield* give(290)
      yield* end
      assert.isTrue(Result.isSuccess(yield* Fiber.join(fiber)))
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("the final reply has its whole limit, from the end of the content, and no more", () =>
    Effect.gen(function* () {
      const { clock, end, fiber, give, server } = yield* sending(["final:hang"], { content: 60_000, finalReply: 400 })
      for (let n = 0; n < 3; n++) yield* give(5_000)
      yield* end
      yield* server.until(({ faults }) => faults === 1)
      yield* clock.pass(390)
      assert.isUndefined(fiber.pollUnsafe())
      yield* clock.pass(20)
      const sent = yield* Fiber.join(fiber)
      assert.isTrue(Result.isFailure(sent) && sent.failure.reason._tag === "OutcomeUnknown")
    })
  )
})

describe("SmtpConnection: unsolicited replies", () => {
  it.live("are kept when they are few, and a violation when they are many", () =>
    Effect.gen(function* () {
      for (const [count, tag] of [
        [3, "Lost"],
        [1000, "Violation"]
      ] as const) {
        const relay = yield* RawRelay.make((socket) => socket.end("250 x\r\n".repeat(count)))
        const socket = Net.connect(relay.port, relay.host)
        const connection = new SmtpConnection(socket)
        yield* Effect.callback<void>((resume) => {
          socket.once("close", () => resume(Effect.void))
        })
        assert.strictEqual(connection.ending?._tag, tag)
      }
    })
  )

  it.live("are not taken for the reply to the next command", () =>
    Effect.gen(function* () {
      for (const [reply, reason] of [
        ["250 x", "ProtocolViolation"],
        ["421 4.3.2 closing", "Throttled"]
      ] as const) {
        const relay = yield* RawRelay.make((socket) => socket.end(`220 ready\r\n${reply}\r\n`))
        const socket = Net.connect(relay.port, relay.host)
        const connection = new SmtpConnection(socket)
        yield* connection.exchange(undefined, "greeting", 1_000)
        const error = yield* Effect.flip(connection.exchange("AUTH PLAIN x\r\n", "auth", 1_000))
        assert.strictEqual(error.reason._tag, reason)
      }
    })
  )
})

describe("SmtpConnection: an exception where a socket calls", () => {
  it.live("ends the connection and not the process, in whichever callback", () =>
    Effect.gen(function* () {
      for (const when of ["onReply", "onBatchEnd", "onEnd"] as const) {
        const relay = yield* RawRelay.make((socket) => socket.end("220 hello\r\n"))
        const socket = Net.connect(relay.port, relay.host)
        const connection = new SmtpConnection(socket)
        const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
        const ends: Array<string> = []
        const broken = (): never => {
          throw new RangeError("a bug")
        }
        const receiver = {
          onReply: () => {},
          onBatchEnd: () => {},
          onDrain: () => {},
          onEnd: ({ _tag }: { readonly _tag: string }) => void ends.push(_tag),
          limit: () => undefined
        }
        connection.receive({ ...receiver, [when]: broken })
        yield* Effect.promise(() => closed)
        if (when === "onEnd") continue
        assert.deepStrictEqual(ends, ["Lost"])
        assert.deepInclude(connection.ending, {
          _tag: "Lost",
          problem: "Mailrace failed unexpectedly: RangeError: a bug"
        })
      }
    })
  )

  it.live("is the error of the message that it was about, and the next goes on", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = yield* Relay.open(server, { pipelining: "envelope", maxConnections: 1 })
      const early = yield* Effect.flip(relay.send(unreadable))
      assert.deepInclude(early.reason, { _tag: "InvalidMessage", field: "envelope" })
      assert.include(early.message, "RangeError: a bug")
      // Taken by the relay, and broken afterwards.
      const late = yield* Effect.flip(relay.send(brittle))
      assert.strictEqual(late.reason._tag, "OutcomeUnknown")
      assert.include(late.message, "Mailrace failed unexpectedly: RangeError: a bug")
      yield* relay.send(Relay.message(2))
      assert.deepStrictEqual(
        server.messages.map(({ from }) => from.address),
        ["from-1@test.example", "from-2@test.example"]
      )
      assert.strictEqual(server.stats.connections, 1)
    })
  )
})

const bug = (): never => {
  throw new RangeError("a bug")
}

/** A message that breaks off before anything of it is written. */
const unreadable = {
  ...Relay.message(1),
  envelope: {
    ...Relay.message(1).envelope,
    get from() {
      return bug()
    }
  }
}

/** A message that breaks off when its outcome is put together: commands are made by a loop, outcomes by `map`. */
const brittle = {
  ...Relay.message(1),
  envelope: { ...Relay.message(1).envelope, to: Object.assign([...Relay.message(1).envelope.to], { map: bug }) }
}
