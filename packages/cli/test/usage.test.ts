/**
 * What is wrong with the command line is said on stderr and costs nothing else.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { generateKeyPairSync } from "node:crypto"
import { closeSync, existsSync, openSync, symlinkSync } from "node:fs"
import { folder, mail, mailrace } from "./support/command.ts"
import { mailrace as mailraceWithin } from "./support/inProcess.ts"

describe("mailrace", () => {
  it.live.each(["send", "sink", "demo", "probe", "preflight", "top"])("shows help with examples for %s", (name) =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* mailrace([name, "--help"])
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, new RegExp(`EXAMPLES\\n(.*\\n)* {2}.*mailrace ${name}`))
    })
  )

  it.live("prints completions", () =>
    Effect.gen(function* () {
      const { status, stdout } = yield* mailrace(["--completions", "bash"])
      assert.strictEqual(status, 0)
      assert.include(stdout, "--on-bad-line")
    })
  )

  it.live("names a flag that it does not know, and the one that was meant", () =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* mailrace(["send", "--txt-file", "x", "--input", "-"])
      assert.deepStrictEqual([status, stdout], [2, ""])
      assert.match(stderr, /^mailrace: Unrecognized flag: --txt-file[^]*--text-file/)
    })
  )

  it.live("takes what follows a flag as its value, and shows help where help is asked for", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const people = dir.write("people.csv", "to,text\nann@x.example,Hello\n")
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      for (const subject of ["-h", "-v", "-50% today", "-hv", "--", "--- news ---"]) {
        const args = ["send", ...relay, "-i", people, "--from", "a@x.example", "--subject", subject]
        const { status, stderr, stdout } = yield* mailraceWithin(args)
        assert.deepStrictEqual([status, stderr], [0, ""], subject)
        assert.match(stdout, /^1 of 1 messages accepted/)
        assert.include(Buffer.from(server.messages.at(-1)!.content).toString(), `\r\nSubject: ${subject}\r\n`)
      }
      const past = yield* mailraceWithin([
        "outbox",
        "enqueue",
        "--db",
        dir.path("q.db"),
        "-i",
        people,
        "--send-at",
        "-2h"
      ])
      assert.strictEqual(past.status, 2)
      assert.match(past.stderr, /^mailrace: --send-at: /)
      const userless = yield* mailraceWithin(["send", ...relay, "-i", people, "--password", "-hunter2"])
      assert.match(userless.stderr, /name the user in the relay's URL/)
      assert.notInclude(userless.stderr, "hunter2")
      const none = yield* mailraceWithin(["outbox", "list", "--recipient", "-v", "--db", dir.path("none.db")])
      assert.match(none.stderr, /none\.db does not exist/)
      const forgotten = yield* mailraceWithin(["send", "-i", people, "--subject", "--from", "a@x.example"])
      assert.strictEqual(forgotten.status, 2)
      assert.match(
        forgotten.stderr,
        /^mailrace: --subject needs a value, but the flag --from follows\n {2}try: .*write --subject=--from\n$/
      )
      for (const args of [
        ["send", "--subject", "x", "-h"],
        ["send", "--input", "--help"],
        ["outbox", "list", "-h"]
      ]) {
        assert.match((yield* mailrace(args)).stdout, /USAGE/, args.join(" "))
      }
    })
  )

  it.live("finds faults before it connects", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const good = dir.write("good.ndjson", mail("ann@x.example"))
      const twin = dir.path("twin.ndjson")
      symlinkSync(good, twin)
      const db = dir.path("out.db")
      const pem = dir.write(
        "s1.pem",
        generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" })
      )
      const toml = dir.write("m.toml", '[dkim."x.example"]\nselector = "s1"\nkey = { file = "s1.pem" }\n')
      const text = dir.write("t.txt", "ann@x.example")
      const nameless = dir.write("people", mail("ann@x.example"))
      const sheet = dir.write("people.xlsx", "PK\u0003\u0004")
      const csv = dir.write("people.csv", "to,name\nann@x.example,Ann\n")
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [["--input", dir.path("none.ndjson")], /none\.ndjson does not exist/],
        [["--input", nameless], /the format of .*people cannot be told from its name/],
        ...[[], ["--format", "csv"]].map(
          (args) =>
            [["--input", sheet, ...args], /people\.xlsx is a spreadsheet\n {2}try: save .*as CSV \(UTF-8\)/] as const
        ),
        [
          ["--input", "-"],
          /^mailrace: line 1, column 1: .*\n {2}try: .*standard input is read as NDJSON; .*--format csv/
        ],
        [["--input", good, "--rate", "fast"], /"fast" is not a rate; write it as 100\/s/],
        [["--input", good, "--tenant-rate", "acme=5/s"], /no message in .*good\.ndjson has that tenant/],
        [
          ["--input", good, "--report", dir.path("no/run.json")],
          /run\.json cannot be written: there is no such folder/
        ],
        [
          ["--input", good, "--report", `${good}/run.json`],
          /run\.json cannot be written: a part of its path is not a folder/
        ],
        ...(existsSync("/dev/full")
          ? [[["--input", good, "--report", "/dev/full"], /: its disk is full\n/] as const]
          : []),
        [["--input", good, "--trace-sample", "0.1"], /--trace-sample needs a collector to send traces to\n.*--otlp/],
        [["--input", good, "--otlp", "localhost:4318"], /--otlp: expected an address like http:\/\/localhost:4318/],
        [["--input", good, "--otlp-metrics", "localhost:4318"], /--otlp-metrics: expected an address like http:/],
        [["--input", good, "--deliveries", "-"], /--deliveries needs a file, not standard output/],
        [["--input", csv, "--from", "a@x.example", "--subject", "Hi"], /no column "text" or "html"\n.*--text-file/],
        [["--input", good, "--tls-ca", csv], /people\.csv holds no certificate\n.*BEGIN CERTIFICATE/],
        [["--input", good, "--deliveries", twin], /--deliveries would overwrite .*twin\.ndjson, which --input names/],
        [
          ["--input", good, "--config", toml, "--report", toml],
          /--report would overwrite .*m\.toml, which --config names/
        ],
        [
          ["--input", good, "--config", toml, "--transcript", pem],
          /--transcript would overwrite .*s1\.pem, which --config/
        ],
        [
          ["--input", csv, "--text-file", text, "--deliveries", text],
          /would overwrite .*t\.txt, which --text-file names/
        ],
        [["--input", good, "--suppress", text, "--report", text], /would overwrite .*t\.txt, which --suppress names/],
        [["--input", good, "--config", toml, "--suppress-add", pem], /would overwrite .*s1\.pem, which --config names/],
        [
          ["--input", good, "--durable", db, "--report", db],
          /--report would overwrite .*out\.db, which --durable names/
        ],
        [
          ["--input", good, "--report", db, "--deliveries", db],
          /--deliveries would overwrite .*out\.db, which --report names/
        ],
        [["--input", csv, "--from", "a@x.example", "--subject", "{{nme}}"], /\{\{nme\}\}.*\n.*\{\{name\}\}/]
      ]
      const ends = yield* Effect.forEach(
        cases,
        ([args]) =>
          mailraceWithin(["send", "--progress", "none", "-r", `smtp://127.0.0.1:${server.port}`, ...args], {
            stdin: "to,name\nann@x.example,Ann\n"
          }),
        { concurrency: 2 }
      )
      ends.forEach(({ status, stderr, stdout }, index) => {
        assert.deepStrictEqual([status, stdout], [2, ""])
        assert.match(stderr, cases[index]![1])
      })
      assert.strictEqual(server.messages.length, 0)
      assert.strictEqual(dir.read("good.ndjson"), mail("ann@x.example"))
      assert.match(dir.read("m.toml"), /^\[dkim/)
      assert.match(dir.read("s1.pem"), /^-----BEGIN/)
      assert.strictEqual(dir.read("t.txt"), "ann@x.example")
    })
  )

  it.live.skipIf(!existsSync("/dev/full"))("fails when standard output takes no more", () =>
    Effect.gen(function* () {
      const full = yield* Effect.acquireRelease(
        Effect.sync(() => openSync("/dev/full", "w")),
        (file) => Effect.sync(() => closeSync(file))
      )
      const args = ["dkim", "keygen", "--domain", "x.example", "--selector", "s1", "--out", "-"]
      const { status, stderr } = yield* mailrace(args, { stdoutFile: full })
      assert.strictEqual(status, 2)
      assert.match(stderr, /mailrace: standard output cannot be written: its disk is full\n/)
    })
  )
})
