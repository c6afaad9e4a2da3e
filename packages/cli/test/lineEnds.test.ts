/**
 * An input with content is read whatever its line ends, or refused; it never passes for an empty one.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { closeSync, openSync } from "node:fs"
import { execFileSync, spawnSync } from "node:child_process"
import { bin, folder, mail, mailrace as process_ } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const campaign = ["--from", "n@x.example", "--subject", "s", "-t"]

describe("an input's line ends", () => {
  it.live("may be CR, LF, CRLF or all of them in a CSV", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const template = dir.write("t.txt", "Hello {{name}}, {{code}}\n")
      for (const text of [
        "email,name,code\ra@x.example,A,1\rb@x.example,B,2\r",
        "email,name,code\ra@x.example,A,1\rb@x.example,B,2",
        "\uFEFFemail,name,code\r\na@x.example,A,1\rb@x.example,B,2\n",
        "email,name,code\na@x.example,A,1\r\r\nb@x.example,B,2\r\r\n"
      ]) {
        const input = dir.write("in.csv", text)
        const checked = yield* mailrace(["send", "--dry-run", "-i", input, ...campaign, template])
        assert.deepStrictEqual([checked.status, checked.stderr], [0, ""])
        assert.match(checked.stdout, /^2 of 2 messages composed/)
        const stored = yield* mailrace([
          "outbox",
          "enqueue",
          "--db",
          dir.path("o.db"),
          "-i",
          input,
          ...campaign,
          template
        ])
        assert.match(stored.stdout, /^2 messages put into/)
      }
      const input = dir.write("in.csv", "email,name,code\ra@x.example,A,1\rb@x.example,B,2\r")
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`]
      const sent = yield* process_(["send", ...relay, "-i", input, ...campaign, template])
      assert.strictEqual(sent.status, 0, sent.stderr)
      assert.deepStrictEqual(server.messages.map(({ to }) => to[0]?.address).sort(), ["a@x.example", "b@x.example"])
    })
  )

  it.live("does not hide a fault that the header has", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const template = dir.write("t.txt", "Hello {{nome}}\n")
      const input = dir.write("in.csv", "email,name\ra@x.example,A\r")
      const { status, stderr } = yield* mailrace(["send", "--dry-run", "-i", input, ...campaign, template])
      assert.strictEqual(status, 2)
      assert.include(stderr, 'it names "email", "name"\n')
    })
  )

  it.live("are reported if a JSON list has none to be cut at", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const line = '{"from":"a@x.example","to":"b@x.example","subject":"s"}'
      const { status, stderr } = yield* mailrace([
        "send",
        "--dry-run",
        "-i",
        dir.write("in.ndjson", `${line}\r${line}\r`)
      ])
      assert.strictEqual(status, 2, stderr)
    })
  )
})

describe("standard input", () => {
  it.live("that is a folder is an error and not an empty list", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      for (const args of [
        ["send", "--dry-run", "-i", "-"],
        ["outbox", "enqueue", "--db", dir.path("o.db"), "-i", "-"]
      ]) {
        const stdin = openSync(dir.path("."), "r")
        const { status, stderr } = spawnSync(process.execPath, [bin, ...args], { stdio: [stdin, "pipe", "pipe"] })
        closeSync(stdin)
        assert.strictEqual(status, 2, stderr.toString())
        assert.include(stderr.toString(), "standard input is a folder\n  try: name a file\n")
      }
    })
  )
})

describe("an input that cannot be read twice", () => {
  it.live("is read to its end, in any format", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      execFileSync("mkfifo", [dir.path("fifo")])
      for (const [format, content] of [
        ["csv", "to,subject,text\nann@x.example,s,Hi\nbob@x.example,s,Hi\n"],
        ["ndjson", mail("ann@x.example") + mail("bob@x.example")],
        ["eml", "From: n@x.example\nTo: ann@x.example, bob@x.example\n\nHi\n"]
      ] as const) {
        // The shell ends at once; its child writes as soon as the command reads.
        execFileSync("sh", ["-c", `(cat "$0" > "$1") &`, dir.write(format, content), dir.path("fifo")], {
          stdio: "ignore"
        })
        const flags = ["--dry-run", "--from", "n@x.example", "-i", dir.path("fifo"), "--format", format]
        const { status, stderr, stdout } = yield* mailrace(["send", ...flags])
        assert.deepStrictEqual([status, stderr], [0, ""], format)
        assert.match(stdout, format === "eml" ? /^1 of 1 messages composed/m : /^2 of 2 messages composed/m)
      }
    })
  )
})
