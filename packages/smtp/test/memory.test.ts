import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Child from "./support/child.ts"

interface Output {
  readonly accepted: number
  readonly peakBytes: number
}

/**
 * As the command runs: without limits V8 lets garbage grow as long as the machine has memory, and says nothing of what is
 * held. What outgrew these would be seen, or end the process.
 */
const heap = ["--max-semi-space-size=16", "--max-old-space-size=512"]

/** Sends from a process of its own, whose memory holds nothing of the test's. */
const sendMany = (port: number, count: number) =>
  Effect.map(Child.run("sendMany.ts", [port, count], heap), (printed): Output => JSON.parse(printed))

describe("memory", () => {
  it.live(
    "does not grow with the length of the source",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ mailbox: { type: "discard" } })
        const count = 200_000
        const { accepted, peakBytes } = yield* sendMany(server.port, count)
        assert.strictEqual(accepted, count)
        assert.strictEqual(server.stats.messages, count)
        assert.isBelow(peakBytes, 200 * 1024 * 1024)
      }),
    60_000
  )
})
