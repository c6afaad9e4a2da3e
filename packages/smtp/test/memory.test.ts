import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("support/sendMany.ts", import.meta.url))

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
  Effect.callback<Output>((resume) => {
    const child = execFile(process.execPath, [...heap, program, String(port), String(count)], (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(JSON.parse(stdout)) : Effect.die(new Error(`${error.message}\n${stderr}`)))
    )
    return Effect.sync(() => child.kill())
  })

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
