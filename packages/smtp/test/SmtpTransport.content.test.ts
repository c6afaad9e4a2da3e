import { assert, describe, it } from "@effect/vitest"
import * as Digest from "@mailrace/testing/Digest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Pipelining from "../src/Pipelining.ts"
import * as Relay from "./support/relay.ts"

describe("SmtpTransport: content", () => {
  const block = Buffer.alloc(65_536, "0123456789abcdef0123456789abc\r\n.")
  const blocks = (count: number) => Array.from({ length: count }, () => block)

  it.live("streams large content whole and in step", () =>
    Effect.gen(function* () {
      for (const pipelining of Pipelining.modes) {
        const server = yield* TestServer.make({ mailbox: { type: "discard", digest: true } })
        const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
        const pieces = blocks(40)
        yield* relay.send(Relay.message(1))
        yield* Effect.all([relay.send(Relay.streamed(2, pieces)), relay.send(Relay.message(3))], { concurrency: 2 })
        const whole = Buffer.concat(pieces)
        const contents = [
          Relay.message(1).content,
          Relay.message(3).content,
          Buffer.concat([whole, Buffer.from("\r\n")])
        ]
        assert.deepStrictEqual(server.digest, Digest.of(contents as ReadonlyArray<Uint8Array>))
      }
    })
  )

  it.live("fails only the message whose content breaks off", () =>
    Effect.gen(function* () {
      for (const pipelining of Pipelining.modes) {
        const server = yield* TestServer.make()
        const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
        const failing = (n: number, error: MailError.MailError) => ({
          ...Relay.streamed(n, []),
          content: {
            _tag: "StreamedContent" as const,
            stream: Stream.concat(Stream.fromIterable(blocks(2)), Stream.fail(error))
          }
        })
        const results = yield* Effect.forEach(
          [
            Relay.message(1),
            failing(2, MailError.invalid("attachments[0].path", "the file is gone")),
            Relay.message(3),
            Relay.message(4)
          ],
          (message) => Effect.result(relay.send(message)),
          { concurrency: 4 }
        )
        const [, broken, ...others] = results
        assert.isTrue(Result.isFailure(broken!))
        if (Result.isFailure(broken!)) {
          assert.deepInclude(broken.failure.reason, { _tag: "InvalidMessage", field: "attachments[0].path" })
        }
        assert.isTrue(others.every(Result.isSuccess))
        assert.deepStrictEqual(
          server.messages.map(({ from }) => from.address).toSorted(),
          [1, 3, 4].map((n) => `from-${n}@test.example`)
        )
      }
    })
  )

  it.live("reports a connection that is lost in the middle of content as not sent", () =>
    Effect.gen(function* () {
      for (const fault of ["content:drop", "content:reset"]) {
        const server = yield* TestServer.make({ faults: [`${fault}:first=1`] })
        const relay = yield* Relay.open(server)
        const error = yield* Effect.flip(relay.send(Relay.streamed(1, blocks(200))))
        assert.strictEqual(error.reason._tag, "ConnectionLost", fault)
        yield* relay.send(Relay.streamed(1, blocks(2)))
        assert.lengthOf(server.messages, 1)
      }
    })
  )

  it.live("knows of a large content that it did not go out whole", () =>
    Effect.gen(function* () {
      const large = Buffer.concat(blocks(200))
      const server = yield* TestServer.make({ faults: ["content:reset:first=1"] })
      const relay = yield* Relay.open(server)
      const error = yield* Effect.flip(relay.send(Relay.message(1, { content: large })))
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      yield* relay.send(Relay.message(1, { content: large }))
      assert.strictEqual(server.messages[0]?.content.length, large.length + 2)
    })
  )

  it.live("gives up on a peer that stops reading", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["content:hang"] })
      const relay = yield* Relay.open(server, { timeouts: { content: 40 } })
      const { reason } = yield* Effect.flip(relay.send(Relay.streamed(1, blocks(400))))
      assert.deepInclude(reason, { _tag: "Timeout", phase: "content", limitMs: 40 })
    })
  )

  it.live("hears a refusal in the middle of content", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["content:552 5.3.4 too large:first=1"] })
      const relay = yield* Relay.open(server, { pipelining: "overlap", maxConnections: 1 })
      const results = yield* Effect.forEach(
        [Relay.streamed(1, blocks(400)), Relay.message(2), Relay.message(3)],
        (message) => Effect.result(relay.send(message)),
        { concurrency: 3 }
      )
      const [large, ...others] = results
      assert.isTrue(Result.isFailure(large!) && ["SizeExceeded", "ConnectionLost"].includes(large.failure.reason._tag))
      assert.isTrue(others.every(Result.isSuccess))
      assert.lengthOf(server.messages, 2)
    })
  )

  it.live("does not stand still when both sides have much to say", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        quirks: { deafWhileReplying: true, replyPadding: 3_000 },
        mailbox: { type: "discard" }
      })
      const relay = yield* Relay.open(server, { maxConnections: 1, depth: 64 })
      yield* Effect.forEach(
        Array.from({ length: 400 }, (_, n) => Relay.message(n, { content: block.subarray(0, 20_000) })),
        relay.send,
        { concurrency: 64 }
      )
      assert.strictEqual(server.stats.messages, 400)
    })
  )
})
