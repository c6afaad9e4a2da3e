import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { TestClock } from "effect/testing"
import { stripVTControlCharacters } from "node:util"
import * as Progress from "../../src/output/Progress.ts"

const snapshot: Progress.Snapshot = {
  counts: { accepted: 6190, rejected: 13, deferred: 2, unknown: 1, invalid: 4 },
  dropped: 0,
  done: 6210,
  expected: 10_000,
  isExact: true,
  retries: 12,
  p99Ms: 43,
  connections: 10
}

const screen = (isTerminal: boolean, columns: number) => {
  const written: Array<string> = []
  const layer = Layer.merge(
    Stdio.layerTest({
      stderrIsTerminal: Effect.succeed(isTerminal),
      stderr: () => Sink.forEach((text) => Effect.sync(() => written.push(String(text))))
    }),
    Layer.succeed(
      Terminal.Terminal,
      Terminal.make({
        columns: Effect.succeed(columns),
        rows: Effect.succeed(24),
        size: Effect.die("unused"),
        readInput: Effect.die("unused"),
        readLine: Effect.die("unused"),
        display: () => Effect.die("stdout is for data")
      })
    )
  )
  return { written, layer }
}

// A machine without a terminal may say that it has a dumb one.
beforeAll(() => void vi.stubEnv("TERM", "xterm"))
afterAll(() => void vi.unstubAllEnvs())

describe("Progress", () => {
  it("draws a bar, the rate, the time left and the counts", () => {
    assert.deepStrictEqual(Progress.frame({ snapshot, ratePerSecond: 2105, columns: 110, colors: false }), [
      `${"█".repeat(25)}${"░".repeat(15)} 62 %  6,210 of 10,000  2,105/s  2 s left`,
      "accepted 6,190  rejected 13  deferred 2  unknown 1  invalid 4  p99 43 ms  10 connections  12 retries"
    ])
  })

  it("counts dropped recipients once there are any", () => {
    const left = { ...snapshot, dropped: 1234 }
    const [, counts] = Progress.frame({ snapshot: left, ratePerSecond: 1, columns: 110, colors: false })
    assert.include(counts, "invalid 4  dropped 1,234  p99")
    assert.include(Progress.line(left, 1), "invalid 4, dropped 1,234, p99")
  })

  it("says about when the number is guessed, and how far it is when it cannot be guessed", () => {
    const draw = (more: Partial<Progress.Snapshot>) =>
      Progress.frame({ snapshot: { ...snapshot, ...more }, ratePerSecond: 10, columns: 70, colors: false })[0]
    assert.include(draw({ isExact: false }), "6,210 of about 10,000")
    assert.strictEqual(draw({ expected: undefined }), "6,210 done  10/s")
  })

  it.prop(
    "never draws wider than the terminal, coloured or not",
    { columns: Schema.Int, done: Schema.Int, expected: Schema.UndefinedOr(Schema.Int), colors: Schema.Boolean },
    ({ columns, done, expected, colors }) => {
      const width = 11 + (Math.abs(columns) % 200)
      const view = {
        snapshot: {
          ...snapshot,
          done: Math.abs(done),
          expected: expected === undefined ? undefined : Math.abs(expected)
        },
        ratePerSecond: 12.3,
        columns: width,
        colors
      }
      for (const line of Progress.frame(view)) assert.isTrue(stripVTControlCharacters(line).length < width, line)
    }
  )

  it.effect("on a terminal redraws itself, keeps printed lines and restores the cursor", () =>
    Effect.gen(function* () {
      const { layer, written } = screen(true, 80)
      const scope = yield* Scope.make()
      const progress = yield* Progress.run("auto", Effect.succeed(snapshot)).pipe(
        Scope.provide(scope),
        Effect.provide(layer)
      )
      yield* TestClock.adjust("250 millis")
      yield* progress.log("skipped line 3")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 second")
      const all = written.join("")
      assert.isTrue(all.startsWith("\u001B[?25l"))
      assert.isTrue(all.split("6,210 of 10,000").length - 1 >= 4)
      assert.include(all, "\r\u001B[Jskipped line 3\n")
      assert.isTrue(all.endsWith("\r\u001B[J\u001B[?25h"))
    })
  )

  it.effect("elsewhere prints a plain line every few seconds", () =>
    Effect.gen(function* () {
      const { layer, written } = screen(false, 0)
      yield* Effect.provide(Progress.run("auto", Effect.succeed(snapshot)), layer)
      yield* TestClock.adjust("6500 millis")
      assert.strictEqual(written.length, 2)
      assert.match(written[0]!, /^6,210 of 10,000, [\d,]+\/s, accepted 6,190, .* 10 connections\n$/)
    })
  )

  it.effect("without one prints only messages", () =>
    Effect.gen(function* () {
      const { layer, written } = screen(true, 80)
      const progress = yield* Effect.provide(Progress.run("none", Effect.succeed(snapshot)), layer)
      yield* TestClock.adjust("10 seconds")
      yield* progress.log("skipped line 3")
      assert.deepStrictEqual(written, ["skipped line 3\n"])
    })
  )
})
