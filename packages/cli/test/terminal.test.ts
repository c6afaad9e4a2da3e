/**
 * Whatever relays, files and data say, nothing that the command prints can do anything to a terminal.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { folder, mail, mailrace as process_ } from "./support/command.ts"
import { assertPrintable, hostile } from "./support/hostile.ts"
import { mailrace } from "./support/inProcess.ts"

/** A relay that greets, and answers each command, with a text of its choice. */
const relay = (answer: (command: string) => string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = createServer((socket) => {
          socket.on("error", () => {})
          socket.write(`${answer("")}\r\n`, "utf8")
          socket.on("data", (data) => {
            for (const line of data.toString().split("\r\n").slice(0, -1)) socket.write(`${answer(line)}\r\n`, "utf8")
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => `smtp://127.0.0.1:${(server.address() as { port: number }).port}?pipelining=off&connections=1`
  )

const said = hostile.replaceAll(/[\r\n]/g, "")

describe("what is printed", () => {
  it.live("names fields, columns, templates, files and ids without their control characters", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      mkdirSync(dir.path("eml"))
      const csv = dir.write("in.csv", `email,"${hostile.replaceAll('"', "")}"\na@x.example,A\n`)
      const list = dir.write("list.ndjson", mail("a@x.example"))
      const flags = ["--from", "n@x.example", "--subject", "s"]
      const text = dir.write("t.txt", "hi")
      dir.write(`eml/${hostile}.eml`, "no mail")
      const dry = (...args: ReadonlyArray<string>) => ["send", "--dry-run", ...args]
      const runs: ReadonlyArray<ReadonlyArray<string>> = [
        dry("-i", dir.write("a.ndjson", mail("a@x.example", { [hostile]: 1 }))),
        dry("-i", dir.write("b.ndjson", mail("a@x.example", { headers: { [hostile]: 1 } }))),
        dry("-i", dir.write("c.ndjson", mail("a@x.example", { headers: { [hostile]: "x" } }))),
        dry("-i", dir.write("d.ndjson", mail(hostile))),
        dry("-i", dir.write("e.ndjson", mail("a@x.example", { attachments: [{ path: `${hostile}.pdf` }] }))),
        dry("-i", dir.write("f.ndjson", `{"from": ${hostile}}\n`)),
        dry("-i", csv, ...flags, "-t", dir.write("u.txt", "{{nobody}}")),
        dry("-i", csv, ...flags, "-t", dir.write("v.txt", `{{${hostile}}}`)),
        dry("-i", csv, ...flags, "-t", dir.write(`${hostile}.html`, "{{#if x}}")),
        dry("-i", csv, ...flags, "-t", dir.write("w.json", JSON.stringify({ [hostile]: "x" }))),
        dry("-i", dir.write(`${hostile}.csv`, "a,b\n"), ...flags, "-t", text),
        dry("-i", dir.path("eml")),
        dry("-i", dir.path(`${hostile}.ndjson`)),
        dry("-i", list, "--suppress", dir.write(`${hostile}.list`, "")),
        dry("-i", list, "--suppress", dir.write("gone.list", hostile)),
        dry("-i", dir.write("g.ndjson", mail(`info@x.example`, { id: hostile })), "--role-addresses", "warn"),
        dry("-i", list, "--preview", "1", "--preview-dir", dir.path(hostile)),
        dry("-i", list, `--${hostile}`),
        ["outbox", "show", "--db", dir.path(`${hostile}.db`), hostile],
        ["send", "-i", list, "-r", `smtp://${hostile}`]
      ]
      for (const args of runs) {
        const { stderr, stdout } = yield* mailrace(args)
        assert.notStrictEqual(stderr + stdout, "")
        assertPrintable(stderr, `stderr of ${JSON.stringify(args)}`)
        assertPrintable(stdout, `stdout of ${JSON.stringify(args)}`)
      }
    })
  )

  it.live("is one line per fault, whatever line ends its text has", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const forged = "x\nmailrace: all is well\r\nskipped line 9"
      for (const args of [
        ["-i", dir.path(forged)],
        ["-i", dir.write("a.ndjson", mail("a@x.example", { headers: { [forged]: 1 } }))],
        ["-i", dir.write("b.ndjson", mail("a@x.example", { [forged]: 1 }))],
        ["-i", dir.write("c.ndjson", mail("a@x.example") + mail("a@x.example", { headers: { [forged]: "x" } }))]
      ]) {
        const { stderr } = yield* mailrace(["send", "--dry-run", ...args])
        assert.notMatch(stderr, /^(?:mailrace: all is well|skipped line 9)/m)
        assert.include(stderr, "all is well")
      }
    })
  )

  it.live("of an outbox is printable, and its JSON reads back as it was enqueued", () =>
    Effect.gen(function* () {
      // Processes of their own: a dozen SQLite threads that begin and end in one process have crashed V8 13.6.
      const dir = yield* folder
      const line = mail("a@x.example", { id: hostile, tenant: hostile, subject: "s" })
      const input = dir.write("in.ndjson", line)
      const db = ["--db", dir.path("o.db")]
      const put = yield* process_(["outbox", "enqueue", ...db, "-i", input, "--json"])
      assert.strictEqual(put.status, 0, put.stderr)
      assertPrintable(put.stdout, "enqueue --json")
      const receipt = JSON.parse(put.stdout) as { readonly id: string; readonly mailId: string }
      assert.strictEqual(receipt.mailId, hostile)
      for (const args of [
        ["list"],
        ["show", receipt.id],
        ["stats"],
        ["list", "--tenant", hostile],
        ["export", "--format", "ndjson"],
        ["pause", hostile],
        ["cancel", "--yes", receipt.id]
      ])
        for (const json of args[0] === "export" || args[0] === "pause" ? [[]] : [[], ["--json"]]) {
          const [name = "", ...rest] = args
          const { stderr, stdout } = yield* process_(["outbox", name, ...db, ...rest, ...json])
          assert.notStrictEqual(stderr + stdout, "")
          assertPrintable(stdout, `${args.join(" ")} ${json}: stdout`)
          assertPrintable(stderr, `${args.join(" ")} ${json}: stderr`)
        }
      const exported = yield* process_(["outbox", "export", ...db, "--format", "ndjson"])
      assert.deepInclude(JSON.parse(exported.stdout), { id: hostile, tenant: hostile })
      // A message's bytes are what was asked for.
      const eml = yield* process_(["outbox", "export", ...db, "--format", "eml"])
      assert.include(eml.stdout, "\r\n")
    })
  )

  it.live("of a relay's greeting and replies is printable, in errors, logs, summary and report", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("a@x.example"))
      const scripts: ReadonlyArray<(command: string) => string> = [
        () => `554 ${said}`,
        () => said,
        (command) => (command === "" ? `220 ${said}` : `500 ${said}`),
        (command) =>
          command === ""
            ? "220 hi"
            : /^(?:EHLO|HELO)/.test(command)
              ? `250 ${said}`
              : command.startsWith("RCPT")
                ? `550 5.1.1 ${said}`
                : command === "DATA"
                  ? `354 ${said}`
                  : `250 ${said}`,
        (command) =>
          command === "" ? "220 hi" : command.startsWith("EHLO") ? "250-hi\r\n250 AUTH PLAIN LOGIN" : `535 ${said}`
      ]
      for (const [index, script] of scripts.entries()) {
        const url = yield* relay(script)
        const login = index === 4 ? `${url.replace("smtp://", "smtp://u:p@")}&tls=off&allowInsecureAuth=true` : url
        const files = ["--report", dir.path("r.json"), "--deliveries", dir.path("d.ndjson"), "--retries", "0"]
        const { status, stderr, stdout } = yield* process_(["send", "-r", login, "-i", input, ...files])
        assert.notStrictEqual(status, 0)
        assertPrintable(stderr, `stderr of script ${index}`)
        assertPrintable(stdout, `stdout of script ${index}`)
        for (const name of ["r.json", "d.ndjson"])
          if (existsSync(dir.path(name))) assertPrintable(dir.read(name), `${name} of script ${index}`)
      }
    })
  )
})
