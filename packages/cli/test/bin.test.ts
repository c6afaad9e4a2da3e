/**
 * The command's door: how a system and a package manager start it.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, symlinkSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { folder, mail, mailrace } from "./support/command.ts"

const bin = fileURLToPath(new URL("../bin/mailrace.js", import.meta.url))

const hasBusyBox = spawnSync("busybox", ["true"]).status === 0

describe("the command's file", () => {
  it("asks of `env` only what every system's supports", () => {
    assert.isTrue(readFileSync(bin, "utf8").startsWith("#!/usr/bin/env node\n"))
  })

  it.runIf(hasBusyBox)("starts by BusyBox's env and shell", () => {
    const [, ...interpreter] = readFileSync(bin, "utf8").split("\n", 1)[0]!.split(" ")
    const started = ["sh", "-c", 'exec busybox env "$@"', "sh", ...interpreter, bin, "--version"]
    const { status, stderr, stdout } = spawnSync("busybox", started, {
      encoding: "utf8",
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` }
    })
    assert.strictEqual(status, 0, stderr)
    assert.match(stdout, /mailrace v/)
  })

  it("says how to run it on a newer Node where there is an old one alone", () => {
    const old = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })`
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(old)}`, bin, "--password", "hunter2"],
      { encoding: "utf8", env: { ...process.env, MAILRACE_HANDED_OVER: "1" } }
    )
    assert.deepStrictEqual([status, stdout], [2, ""])
    assert.strictEqual(
      stderr,
      `mailrace: needs Node 22.19 or later, this is 20.20.2\n  try: install a newer Node, or put one before it: npx -y node@24 ${bin} …\n`
    )
  })

  it.live("takes paths from where the user is when the clone's own script starts it, and only then", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      mkdirSync(dir.path("here"))
      mkdirSync(dir.path("root"))
      dir.write("here/in.ndjson", mail("a@x.example"))
      const check = (env: Record<string, string>) =>
        spawnSync(process.execPath, [bin, "send", "--dry-run", "-i", "in.ndjson"], {
          cwd: dir.path("root"),
          encoding: "utf8",
          env: { ...process.env, INIT_CWD: dir.path("here"), ...env }
        })
      const own = check({ npm_package_name: "mailrace-workspace", npm_lifecycle_event: "mailrace" })
      assert.deepStrictEqual([own.status, own.stderr], [0, ""])
      const other = check({ npm_package_name: "somebodys-app", npm_lifecycle_event: "mailrace" })
      assert.strictEqual(other.status, 2)
      assert.include(other.stderr, "in.ndjson does not exist")
    })
  )

  it.live("bounds garbage, however long a run is", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const line = mail("a@x.example", { text: "x".repeat(900) })
      const input = dir.write("in.ndjson", line.repeat(40_000))
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      const { status, stderr, stdout } = yield* mailrace(["send", ...relay, "-i", input, "--json"])
      assert.strictEqual(status, 0, stderr)
      // Without a bound it is 300 MB, with it less than 210.
      assert.isBelow((JSON.parse(stdout) as { readonly rssPeakBytes: number }).rssPeakBytes, 250e6)
    })
  )

  it.live("is found through the link that a package manager makes", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      symlinkSync(bin, dir.path("mailrace"))
      const { status, stdout } = spawnSync(process.execPath, [dir.path("mailrace"), "--version"], { encoding: "utf8" })
      assert.deepStrictEqual([status, stdout.startsWith("mailrace v")], [0, true])
    })
  )
})
