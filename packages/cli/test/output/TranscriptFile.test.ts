import { assert, describe, it } from "@effect/vitest"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, statSync } from "node:fs"
import * as TranscriptFile from "../../src/output/TranscriptFile.ts"
import { folder } from "../support/command.ts"

const line = (text: string) => ({ at: 0, relay: "r:25", connection: 1, by: "client", text }) as const

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

const opened = (path: string, options: TranscriptFile.Options) =>
  Effect.provide(TranscriptFile.open(path, options), NodeStdio.layer)

describe("TranscriptFile", () => {
  it.live("is its owner's alone, also if it was there before, and is emptied unless it is to be added to", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const path = dir.write("t.txt", "earlier\n")
      chmodSync(path, 0o644)
      for (const [appends, text] of [
        [true, "earlier\n1970-01-01T00:00:00.000Z r:25 1 C: NOOP\n"],
        [false, "1970-01-01T00:00:00.000Z r:25 1 C: NOOP\n"]
      ] as const) {
        yield* Effect.scoped(Effect.map(opened(path, { appends }), (add) => add(line("NOOP"))))
        assert.strictEqual(dir.read("t.txt"), text)
        assert.strictEqual(modeOf(path), "600")
      }
    })
  )

  it.live("keeps the newest lines in two files", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const path = dir.path("t.txt")
      const text = "x".repeat(1_000)
      yield* Effect.scoped(
        Effect.map(opened(path, { appends: true, maxSize: 200_000 }), (add) => {
          for (let n = 0; n < 1_000; n++) add(line(`${n} ${text}`))
        })
      )
      for (const name of ["t.txt", "t.txt.1"]) {
        assert.isAtMost(statSync(dir.path(name)).size, 200_000)
        assert.strictEqual(modeOf(dir.path(name)), "600")
      }
      const lines = `${dir.read("t.txt.1")}${dir.read("t.txt")}`.trimEnd().split("\n")
      const numbers = lines.map((whole) => Number(whole.split(" ")[4]))
      assert.deepStrictEqual(
        numbers,
        Array.from({ length: numbers.length }, (_, n) => 1_000 - numbers.length + n)
      )
      assert.isFalse(existsSync(dir.path("t.txt.2")))
    })
  )

  it.live("throws once it can take no more, and says nothing twice", () =>
    Effect.gen(function* () {
      const failures: Array<unknown> = []
      yield* Effect.scoped(
        Effect.map(opened("/dev/full", { appends: true }), (add) => {
          for (let n = 0; n < 200; n++)
            try {
              add(line("x".repeat(1_000)))
            } catch (error) {
              failures.push(error)
            }
        })
      )
      assert.isAbove(failures.length, 1)
      assert.match(String(failures[0]), /ENOSPC/)
    })
  )

  it.live("refuses pipes and folders, and takes devices", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      execFileSync("mkfifo", [dir.path("pipe")])
      const pipe = yield* Effect.flip(Effect.scoped(opened(dir.path("pipe"), { appends: false })))
      assert.include(pipe.problem, "is a pipe")
      assert.include(pipe.remedy, "tail -f")
      const directory = yield* Effect.flip(Effect.scoped(opened(dir.path("."), { appends: false })))
      assert.include(directory.problem, "is a folder")
      const missing = yield* Effect.flip(Effect.scoped(opened(dir.path("no/t.txt"), { appends: false })))
      assert.include(missing.problem, "no such folder")
      const mode = modeOf("/dev/null")
      yield* Effect.scoped(Effect.map(opened("/dev/null", { appends: false }), (add) => add(line("NOOP"))))
      assert.strictEqual(modeOf("/dev/null"), mode)
    })
  )
})
