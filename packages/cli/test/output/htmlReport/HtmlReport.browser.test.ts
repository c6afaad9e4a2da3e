/**
 * The page in a browser. Skipped by name where there is none.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { pageOf } from "../../support/reportPage.ts"

const names = ["chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"]

const browser = (process.env["PATH"] ?? "")
  .split(delimiter)
  .flatMap((folder) => names.map((name) => join(folder, name)))
  .find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** The page's document after its scripts have run, and what it wrote to the console. */
const openPage = (file: string, profile: string) =>
  Effect.callback<{ readonly document: string; readonly console: ReadonlyArray<string> }>((resume) => {
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    const options = { timeout: 25_000, maxBuffer: 16 * 1024 * 1024 }
    execFile(browser!, [...flags, `--user-data-dir=${profile}`, `file://${file}`], options, (_, stdout, stderr) =>
      resume(
        Effect.succeed({ document: stdout, console: stderr.split("\n").filter((line) => line.includes("CONSOLE")) })
      )
    )
  })

describe("the page of --report-html", () => {
  it.live.skipIf(browser === undefined)(
    "draws every plot in Chromium without a word on the console, and runs nothing that the relay said",
    () =>
      Effect.gen(function* () {
        const { data, dir } = yield* pageOf(20, (input) => ["send", "--input", input])
        const page = yield* openPage(dir.path("run.html"), dir.path("profile"))
        assert.deepStrictEqual(page.console, [])
        assert.include(page.document, `data-plots="${data.plots.length}"`)
        assert.strictEqual([...page.document.matchAll(/<canvas/g)].length, data.plots.length)
        assert.notInclude(page.document.replace(/<script.*/s, ""), "<img")
      })
  )
})
