/**
 * Files that hold addresses are their owner's alone, whatever the umask; those that are there keep their permissions.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs"
import { bin, folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

/** Runs the command under a umask, in another folder if so wanted. */
const under = (umask: string, args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly status: number | null; readonly stderr: string }>((resume) => {
    const script = `umask ${umask}; exec "$0" "$@"`
    const child = spawn("sh", ["-c", script, process.execPath, bin, ...args], { stdio: ["ignore", "ignore", "pipe"] })
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.on("close", (status) => resume(Effect.succeed({ status, stderr })))
  })

describe("files that hold addresses", () => {
  for (const umask of ["000", "077"])
    it.live(`are made for their owner alone under umask ${umask}`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const dir = yield* folder
        const input = dir.write("in.ndjson", mail("a@x.example"))
        const relay = ["--relay", `smtp://127.0.0.1:${server.port}`]
        const run = (...args: ReadonlyArray<string>) =>
          Effect.map(under(umask, args), ({ status, stderr }) => assert.deepStrictEqual([status, stderr], [0, ""]))
        const made = ["r.json", "d.ndjson"].map(dir.path)
        const files = ["--progress", "none", "--report", made[0]!, "--deliveries", made[1]!]
        yield* run("send", ...relay, "-i", input, ...files, "--durable", dir.path("s.db"))
        yield* run("outbox", "enqueue", "--db", dir.path("o.db"), "-i", input)
        yield* run("send", "--dry-run", "-i", input, "--preview", "1", "--preview-dir", dir.path("preview"))
        yield* run("dkim", "keygen", "--domain", "x.example", "--selector", "s", "--out", dir.path("key.pem")).pipe(
          Effect.catchDefect(() => Effect.void)
        )
        const db = ["--db", dir.path("o.db")]
        yield* under(umask, ["outbox", "export", ...db, "--output", dir.path("all.ndjson")])
        yield* under(umask, ["outbox", "export", ...db, "--output", dir.path("all"), "--format", "eml"])
        made.push(
          ...["s.db", "s.db-dispatcher", "o.db", "preview/1.eml", "key.pem", "all.ndjson"].map(dir.path),
          ...readdirSync(dir.path("all")).map((name) => dir.path(`all/${name}`))
        )
        assert.deepStrictEqual(
          made.map((path) => [path, modeOf(path)]),
          made.map((path) => [path, "600"])
        )
      })
    )

  it.live("are a group's with --mode, under any umask, and the log beside them too", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("a@x.example"))
      for (const umask of ["000", "022", "077"]) {
        const db = dir.path(`${umask}.db`)
        const { status } = yield* under(umask, ["outbox", "enqueue", "--db", db, "--mode", "0660", "-i", input])
        assert.deepStrictEqual([status, modeOf(db)], [0, "660"])
      }
      for (const mode of ["0440", "rw", "0o660", "0688"]) {
        const wrong = yield* mailrace(["outbox", "enqueue", "--db", dir.path("w.db"), "--mode", mode, "-i", input])
        assert.strictEqual(wrong.status, 2)
        assert.match(
          wrong.stderr,
          /--mode .* does not let the owner read and write\n {2}try: write it in octal, as 0600/
        )
        assert.isFalse(existsSync(dir.path("w.db")))
      }
      const send = yield* mailrace(["send", "-i", input, "--mode", "0660", "-r", "smtp://127.0.0.1:1"])
      assert.match(send.stderr, /no outbox is named\n {2}try: name it with --durable/)
    })
  )

  it.live("keep the permissions that they have; of an outbox that all can read there is one warning", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("a@x.example"))
      const db = ["--db", dir.path("o.db")]
      yield* mailrace(["outbox", "enqueue", ...db, "-i", input])
      const enqueue = mailrace(["outbox", "enqueue", ...db, "--mode", "0660", "-i", input])
      chmodSync(dir.path("o.db"), 0o640)
      assert.strictEqual((yield* enqueue).stderr, "")
      chmodSync(dir.path("o.db"), 0o644)
      const { status, stderr } = yield* enqueue
      assert.strictEqual(status, 0)
      assert.strictEqual(
        stderr,
        `every user of this machine can read ${dir.path("o.db")}, with all its messages; to prevent that, run chmod o= ${dir.path("o.db")}*\n`
      )
      assert.strictEqual(modeOf(dir.path("o.db")), "644")
      const looked = yield* mailrace(["outbox", "list", ...db])
      assert.strictEqual(looked.stderr, "")
      mkdirSync(dir.path("preview"))
      dir.write("preview/1.eml", "")
      chmodSync(dir.path("preview/1.eml"), 0o664)
      yield* mailrace(["send", "--dry-run", "-i", input, "--preview", "1", "--preview-dir", dir.path("preview")])
      assert.strictEqual(modeOf(dir.path("preview/1.eml")), "664")
    })
  )
})
