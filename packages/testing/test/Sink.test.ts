import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import * as Digest from "../src/Digest.ts"
import * as Sink from "../src/Sink.ts"
import * as TestServer from "../src/TestServer.ts"
import { greeted } from "./rawClient.ts"

const submit = (port: number, count: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* greeted(port)
      client.write("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 4 LAST\r\na\r\nb".repeat(count))
      const replies = yield* client.replies(3 * count)
      client.write("QUIT\r\n")
      yield* client.closed
      return replies
    })
  )

describe("Sink", () => {
  it.live("ends after so many messages, each of them answered and its sender bidden goodbye", () =>
    Effect.gen(function* () {
      const { sending, snapshot } = yield* Effect.scoped(
        Effect.gen(function* () {
          const sink = yield* Sink.make({ count: 500, latency: 4 })
          const sending = yield* Effect.forkDetach(submit(sink.port, 500), { startImmediately: true })
          return { sending, snapshot: yield* sink.done }
        })
      )
      assert.strictEqual(snapshot.messages, 500)
      const replies = yield* Fiber.join(sending)
      assert.strictEqual(replies.filter((reply) => reply.startsWith("250")).length, 1500)
    })
  )

  it.live("gives figures while it runs, and the last ones at the end", () =>
    Effect.gen(function* () {
      const sink = yield* Sink.make({ count: 30, digest: true, faults: ["ehlo:delay=1ms:nth=1"] })
      const watching = yield* Effect.forkChild(Stream.runCollect(sink.snapshots("2 millis")), {
        startImmediately: true
      })
      for (let round = 0; round < 3; round++) yield* submit(sink.port, 10)
      const snapshots = yield* Fiber.join(watching)
      const counts = snapshots.map(({ messages }) => messages)
      assert.deepStrictEqual(
        counts,
        counts.toSorted((a, b) => a - b)
      )
      assert.strictEqual(counts.at(-1), 30)
      assert.isAbove(snapshots.at(-1)!.ratePerSecond, 0)
      assert.strictEqual(snapshots.at(-1)!.faults, 1)
      const expected = Digest.of(Array.from({ length: 30 }, () => Buffer.from("a\r\nb")))
      assert.deepStrictEqual(yield* sink.digest, expected)
      assert.deepStrictEqual(yield* sink.protocolErrors, [])
    })
  )

  it.live("writes to a directory, all of it before it ends", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "mailrace-"))),
        (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
      )
      const inbox = path.join(directory, "inbox")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const sink = yield* Sink.make({ count: 1200, directory: inbox })
          const sending = yield* Effect.forkChild(submit(sink.port, 1200), { startImmediately: true })
          yield* sink.done
          yield* Fiber.join(sending)
        })
      )
      assert.strictEqual((yield* Effect.promise(() => fs.readdir(inbox))).length, 1200)
    })
  )

  it.live("says why it cannot start", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      assert.include((yield* Effect.flip(Sink.run({ port: server.port }))).message, "EADDRINUSE")
      const notADirectory = yield* Effect.flip(Sink.run({ directory: "/dev/null/inbox" }))
      assert.include(notADirectory.message, "/dev/null")
    })
  )
})
