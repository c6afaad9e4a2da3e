/**
 * Which files of the machine a message may attach by their path.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, realpathSync, symlinkSync } from "node:fs"
import { folder as temporaryFolder, mail, mailrace as process } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const folder = Effect.map(temporaryFolder, (dir) => {
  for (const name of ["in", "files", "templates"]) mkdirSync(dir.path(name))
  dir.write("in/own.txt", "own")
  dir.write("files/other.txt", "other")
  return { ...dir, real: (name: string) => realpathSync(dir.path(name)) }
})

const attaching = (...paths: ReadonlyArray<string>): string =>
  paths.map((path, index) => mail(`p${index}@x.example`, { attachments: [{ path }] })).join("")

/** The ways in which a file gets into a mail, each as the flags beside those of the input. */
const ways = (dir: { readonly path: (name: string) => string }): ReadonlyArray<ReadonlyArray<string>> => [
  ["send", "--dry-run"],
  ["send", "--dry-run", "--preview", "9", "--preview-dir", dir.path("preview")],
  ["outbox", "enqueue", "--db", dir.path("o.db")]
]

describe("files attached by their path", () => {
  it.live("come from the real folder of the input and from nowhere else", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      symlinkSync("/etc/passwd", dir.path("in/passwd"))
      symlinkSync("../files", dir.path("in/files"))
      const outside = ["/etc/passwd", "../files/other.txt", dir.path("files/other.txt"), "passwd", "files/other.txt"]
      const input = dir.write("in/list.ndjson", attaching("own.txt", dir.path("in/own.txt"), ...outside))
      for (const way of ways(dir)) {
        const { status, stderr } = yield* mailrace([...way, "-i", input])
        assert.strictEqual(status, 1, way.join(" "))
        const lines = stderr.split("\n").filter((line) => line.includes("attachments[0].path"))
        assert.strictEqual(lines.length, outside.length, stderr)
        for (const [index, line] of lines.entries()) {
          assert.include(line, `line ${index + 3}, field`)
          assert.include(line, `is not below ${dir.real("in")}, where attachments come from; `)
          assert.include(line, "name its folder with --attachments-from")
        }
      }
    })
  )

  it.live("are never devices, pipes or files that the kernel generates, even if every folder is allowed", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      execFileSync("mkfifo", [dir.path("in/pipe")])
      const paths = ["/proc/self/environ", "/proc/self/pagemap", "/dev/zero", "/dev/null", "pipe", "/sys/kernel", "."]
      const input = dir.write("in/list.ndjson", attaching(...paths))
      for (const way of ways(dir)) {
        const { status, stderr } = yield* mailrace([...way, "-i", input, "--attachments-from", "/"])
        assert.strictEqual(status, 1)
        assert.strictEqual(stderr.match(/name a regular one|is a folder; name a file/g)?.length, paths.length, stderr)
      }
    })
  )

  it.live("of a list on standard input or in a pipe come only from the folder that is named", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      execFileSync("mkfifo", [dir.path("fifo")])
      const list = attaching(dir.path("files/other.txt"))
      for (const way of ways(dir)) {
        const refused = yield* mailrace([...way, "-i", "-"], { stdin: list })
        assert.strictEqual(refused.status, 1)
        assert.match(
          refused.stderr,
          /other\.txt is not attached, because no folder for attachments is named; name its folder with --attachments-from\n/
        )
        const named = ["--attachments-from", dir.path("files")]
        const taken = yield* mailrace([...way, "-i", "-", ...named], { stdin: list })
        assert.strictEqual(taken.status, 0, taken.stderr)
        const elsewhere = yield* mailrace([...way, "-i", "-", ...named], { stdin: attaching(dir.path("in/own.txt")) })
        assert.match(elsewhere.stderr, /is not below .*files, where .*; name another --attachments-from\n/)
        for (const [flags, status] of [
          [[], 1],
          [named, 0]
        ] as const) {
          const writing = Effect.sync(() =>
            execFileSync("sh", ["-c", `(cat "$0" > "$1") &`, dir.write("l", list), dir.path("fifo")], {
              stdio: "ignore"
            })
          )
          yield* writing
          const piped = yield* mailrace([...way, "-i", dir.path("fifo"), "--format", "ndjson", ...flags])
          assert.strictEqual(piped.status, status, piped.stderr)
        }
      }
    })
  )

  it.live("of an input that is a link lie beside the file that it leads to", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("in/list.ndjson", attaching("own.txt"))
      symlinkSync("../in/list.ndjson", dir.path("files/list.ndjson"))
      dir.write("in/beside.ndjson", attaching("other.txt"))
      symlinkSync("../in/beside.ndjson", dir.path("files/beside.ndjson"))
      const own = yield* mailrace(["send", "--dry-run", "-i", dir.path("files/list.ndjson")])
      assert.deepStrictEqual([own.status, own.stderr], [0, ""])
      const beside = yield* mailrace(["send", "--dry-run", "-i", dir.path("files/beside.ndjson")])
      assert.include(beside.stderr, `there is no such file: ${dir.real("in")}/other.txt; check the path\n`)
    })
  )

  it.live("of a template lie beside the template", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("templates/logo.png", "png")
      const people = dir.write("in/people.csv", "email\na@x.example\n")
      const template = (path: string) =>
        dir.write(
          "templates/t.json",
          JSON.stringify({ from: "a@x.example", subject: "s", text: "t", attachments: [{ path }] })
        )
      for (const way of ways(dir)) {
        const run = (path: string) =>
          mailrace([...way, "-i", people, "-t", template(path), "--attachments-from", dir.path(".")])
        assert.strictEqual((yield* run("logo.png")).status, 0)
        for (const path of ["../files/other.txt", "/etc/passwd", "/proc/self/environ"]) {
          const { status, stderr } = yield* run(path)
          assert.strictEqual(status, 2)
          assert.match(
            stderr,
            /t\.json, attachments\[0\]\.path: .* is not below .*templates, where attachments come from/
          )
          assert.include(stderr, "move the file there")
        }
      }
    })
  )

  it.live("are named by a folder that is one", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in/list.ndjson", attaching("own.txt"))
      const run = (named: string) => mailrace(["send", "--dry-run", "-i", input, "--attachments-from", named])
      const file = yield* run(dir.path("in/own.txt"))
      assert.strictEqual(file.status, 2)
      assert.match(file.stderr, /--attachments-from .*own\.txt is no folder\n  try: name a folder\n/)
      const missing = yield* run(dir.path("none"))
      assert.strictEqual(missing.status, 2)
      assert.match(missing.stderr, /--attachments-from .*none does not exist\n/)
    })
  )

  it.live("do not reach a relay from elsewhere, by way of an outbox neither", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in/list.ndjson", attaching("own.txt", "/proc/self/environ"))
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`]
      const env = { MAILRACE_PASSWORD: "hunter2" }
      const sent = yield* process(["send", ...relay, "-i", input], { env })
      assert.strictEqual(sent.status, 1)
      assert.include(sent.stderr + sent.stdout, "is not below")
      const durable = yield* process(["send", ...relay, "-i", input, "--durable", dir.path("d.db")], { env })
      assert.strictEqual(durable.status, 1)
      assert.strictEqual(server.messages.length, 2)
      for (const { content } of server.messages)
        assert.include(content.toString(), Buffer.from("own").toString("base64"))
    })
  )
})
