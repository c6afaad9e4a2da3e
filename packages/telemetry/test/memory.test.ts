/**
 * The memory and the traces of a campaign of which every mail fails, in a process of its own, whose memory holds nothing of the
 * test's.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as OtlpCollector from "./support/OtlpCollector.ts"

interface Output {
  readonly ended: number
  readonly grownBytes: number
  readonly durationMs: number
}

const count = 100_000
const mostGrownBytes = 10e6
const program = fileURLToPath(new URL("support/allFailing.ts", import.meta.url))

const run = (url: string) =>
  Effect.callback<Output>((resume) => {
    const args = ["--expose-gc", "--max-semi-space-size=2", program, url, String(count)]
    const child = execFile(process.execPath, args, (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(JSON.parse(stdout)) : Effect.die(new Error(`${error.message}\n${stderr}`)))
    )
    return Effect.sync(() => child.kill())
  })

describe("100,000 mails that all fail", () => {
  it.live(
    "are traced within the bound, and in memory that does not grow",
    () =>
      Effect.gen(function* () {
        const once = Effect.flatMap(OtlpCollector.make(), (collector) =>
          Effect.map(run(collector.url), (output) => ({ ...output, collector }))
        )
        // It grows by 0.3 to 5 MB, and sometimes by 17 on a busy machine; the spans of all would be 245 MB each time.
        const { collector, durationMs, ended, grownBytes } = yield* Effect.repeat(once, {
          until: ({ grownBytes }) => grownBytes < mostGrownBytes,
          times: 2
        })
        assert.strictEqual(ended, count)
        assert.isBelow(grownBytes, mostGrownBytes)
        const roots = collector.spans.filter(({ name }) => name === "mailrace.send")
        const kept = roots.filter(({ attributes }) => attributes["mailrace.trace.kept"] === "failure")
        // A window holds 50 of a kind and the ten slowest, however long the machine takes.
        const windows = Math.ceil(durationMs / 10_000) + 1
        assert.isAtLeast(kept.length, 50)
        assert.isAtMost(kept.length, windows * 50 + count / 100)
        assert.isAtMost(roots.length, windows * 60 + count / 100 + (count / 100) * 1.3)
        const leftOut = kept.reduce((sum, { attributes }) => sum + Number(attributes["mailrace.trace.left_out"]), 0)
        assert.isAbove(leftOut + roots.length, count * 0.99)
      }),
    120_000
  )
})
