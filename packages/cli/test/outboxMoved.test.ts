/**
 * `mailrace send --durable` knows an input by its messages: wherever it lies by then, it goes on where it was.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { folder, mail, start } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const people = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, n) => mail(`r${from + n}@x.example`)).join("")

/** An outbox, and what comes from it to a server. */
const campaign = Effect.gen(function* () {
  const server = yield* TestServer.make()
  const dir = yield* folder
  const db = dir.path("q.db")
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none", "--durable", db]
  return {
    dir,
    db,
    server,
    relay,
    send: (input: string, ...more: ReadonlyArray<string>) => mailrace(["send", ...relay, "--input", input, ...more]),
    sendFrom: (stdin: string, ...more: ReadonlyArray<string>) =>
      mailrace(["send", ...relay, "--input", "-", ...more], { stdin }),
    arrived: () => server.messages.map(({ to }) => to[0]!.address.replace("@x.example", ""))
  }
})

describe.concurrent("mailrace send --durable and an input by another path", () => {
  it.live("a switched link, a moved file, a copy and standard input go on where it was, and say so", () =>
    Effect.gen(function* () {
      const { arrived, db, dir, send, sendFrom } = yield* campaign
      for (const release of ["1", "2"]) {
        mkdirSync(dir.path(release))
        dir.write(`${release}/p.ndjson`, people(3))
      }
      symlinkSync(dir.path("1"), dir.path("current"))
      assert.strictEqual((yield* send(dir.path("current/p.ndjson"))).status, 0)
      rmSync(dir.path("current"))
      symlinkSync(dir.path("2"), dir.path("current"))
      const switched = yield* send(dir.path("current/p.ndjson"))
      assert.deepStrictEqual([switched.status, switched.stdout], [0, "No messages\n"])
      const said = `${db} holds these messages already, from ${dir.path("1/p.ndjson")}: 3 accepted; `
      assert.include(switched.stderr, `${said}${dir.path("current/p.ndjson")} continues there\n`)

      renameSync(dir.path("1/p.ndjson"), dir.path("renamed.jsonl"))
      const renamed = yield* send(dir.path("renamed.jsonl"))
      assert.include(renamed.stderr, said)
      const piped = yield* sendFrom(people(3))
      assert.include(piped.stderr, `${said}standard input continues there\n`)
      execFileSync("mkfifo", [dir.path("fifo.ndjson")])
      const writing = writeFile(dir.path("fifo.ndjson"), people(3))
      const fifo = yield* send(dir.path("fifo.ndjson"))
      yield* Effect.promise(() => writing)
      assert.include(fifo.stderr, said)
      assert.deepStrictEqual(arrived(), ["r0", "r1", "r2"])
    })
  )

  it.live("sends lines that are added under the new path, and treats both as one input from then on", () =>
    Effect.gen(function* () {
      const { arrived, dir, send } = yield* campaign
      yield* send(dir.write("a.ndjson", people(3)))
      const longer = yield* send(dir.write("b.ndjson", people(5)))
      assert.strictEqual(longer.status, 0)
      assert.match(longer.stdout, /^2 of 2 messages accepted/)
      const back = yield* send(dir.write("a.ndjson", people(6)))
      assert.match(back.stderr, /5 messages of .*a\.ndjson are in .*q\.db already: 5 accepted/)
      assert.deepStrictEqual(arrived().sort(), ["r0", "r1", "r2", "r3", "r4", "r5"])
    })
  )

  it.live("one line that was changed, put in or moved stops it before anything is sent", () =>
    Effect.gen(function* () {
      const { arrived, dir, send } = yield* campaign
      yield* send(dir.write("a.ndjson", people(20)))
      const lines = people(20).split("\n").slice(0, -1)
      const variants: ReadonlyArray<readonly [string, ReadonlyArray<string>, number]> = [
        ["first.ndjson", [mail("new@x.example").trimEnd(), ...lines.slice(1)], 1],
        ["later.ndjson", [...lines.slice(0, 9), mail("new@x.example").trimEnd(), ...lines.slice(10)], 10],
        ["inserted.ndjson", [mail("new@x.example").trimEnd(), ...lines], 1],
        ["sorted.ndjson", lines.toReversed(), 1]
      ]
      for (const [name, changed, line] of variants) {
        const { status, stderr } = yield* send(dir.write(name, `${changed.join("\n")}\n`))
        assert.strictEqual(status, 2, name)
        assert.match(
          stderr,
          new RegExp(
            `mailrace: line ${line} of .*${name} makes a different message from the one in .*q\\.db, from .*a\\.ndjson: the input or a flag has changed since\n {2}try: .*--again`
          )
        )
      }
      assert.strictEqual(arrived().length, 20)
    })
  )

  it.live("another input is sent, also when it begins with the same test address", () =>
    Effect.gen(function* () {
      const { arrived, dir, send } = yield* campaign
      const me = mail("me@x.example")
      const inputs = {
        "test.ndjson": me,
        "one.ndjson": mail("you@x.example") + me + people(20),
        "two.ndjson": me + people(20, 100)
      }
      const said: Array<string> = []
      for (const [name, text] of Object.entries(inputs)) {
        const { status, stderr } = yield* send(dir.write(name, text))
        assert.strictEqual(status, 0, stderr)
        said.push(stderr)
      }
      assert.strictEqual(said[0], "")
      assert.match(
        said[1]!,
        /^1 of the first 22 messages of .*one\.ndjson is in .*q\.db already, from .*test\.ndjson; .*all of it is sent\n$/
      )
      assert.sameMembers(
        arrived().filter((name) => name.startsWith("r")),
        [...Array.from({ length: 20 }, (_, n) => `r${n}`), ...Array.from({ length: 20 }, (_, n) => `r${100 + n}`)]
      )
    })
  )

  it.live("messages that come one by one are waited for where the first of them do not tell", () =>
    Effect.gen(function* () {
      const { arrived, db, dir, relay, send, server } = yield* campaign
      const me = mail("me@x.example")
      yield* send(dir.write("one.ndjson", me + people(20)))
      const before = server.stats.connections
      const running = yield* start(["send", ...relay, "--input", "-"], { stdin: me, keepStdin: true })
      // Its connection is there, so it reads; what it has read does not tell, and is not sent.
      yield* server.until(({ connections }) => connections > before)
      running.process.stdin!.end(people(20, 100))
      const { status, stderr } = yield* running.ended
      assert.strictEqual(status, 0, stderr)
      assert.include(
        stderr,
        `1 of the first 21 messages of standard input is in ${db} already, from ${dir.path("one.ndjson")}`
      )
      assert.strictEqual(arrived().length, 42)
      // Those that do tell are not waited for.
      const next = yield* start(["send", ...relay, "--input", "-"], { stdin: me + people(20, 100), keepStdin: true })
      yield* Effect.callback<void>((resume) => {
        next.process.stderr!.on("data", (text: string) => text.includes("already") && resume(Effect.void))
      })
      next.process.stdin!.end(people(1, 500))
      assert.strictEqual((yield* next.ended).status, 0)
      assert.strictEqual(arrived().length, 43)
    })
  )

  it.live("a run that was stopped early goes on under another path", () =>
    Effect.gen(function* () {
      const { arrived, db, dir, send, server } = yield* campaign
      yield* server.setFaults(["rcpt:450:to=r1@*"])
      const first = yield* send(dir.write("a.ndjson", people(2)), "--retries", "0")
      assert.strictEqual(first.status, 1)
      yield* server.setFaults([])
      yield* mailrace(["outbox", "retry", "--db", db, "--yes", "--all"])
      renameSync(dir.path("a.ndjson"), dir.path("b.ndjson"))
      writeFileSync(dir.path("b.ndjson"), people(50))
      const next = yield* send(dir.path("b.ndjson"))
      assert.strictEqual(next.status, 0)
      assert.match(next.stderr, /holds these messages already, from .*a\.ndjson: 1 accepted, 1 waiting; /)
      assert.strictEqual(new Set(arrived()).size, 50)
      assert.strictEqual(arrived().length, 50)
    })
  )

  it.live("with template, flags, attachments beside it and .eml files, moved as a whole or one by one", () =>
    Effect.gen(function* () {
      const { dir, send, server } = yield* campaign
      mkdirSync(dir.path("1"))
      dir.write("1/list.pdf", "what is attached")
      dir.write(
        "1/t.json",
        JSON.stringify({ from: "n@x.example", subject: "s", text: "Hi {{n}}", attachments: [{ path: "list.pdf" }] })
      )
      dir.write("1/in.ndjson", [1, 2].map((n) => `{"to":"r${n}@x.example","data":{"n":${n}}}\n`).join(""))
      dir.write("1/own.ndjson", mail("own@x.example", { attachments: [{ path: "list.pdf" }] }))
      dir.write("1/in.csv", "email,n\nc1@x.example,1\nc2@x.example,2\n")
      dir.write("1/hello.txt", "Hello {{n}}")
      mkdirSync(dir.path("1/mails"))
      for (const n of [1, 2])
        dir.write(`1/mails/${n}.eml`, `From: a@x.example\r\nTo: m${n}@x.example\r\nSubject: s\r\n\r\n${n}\r\n`)
      const all = (at: string) =>
        Effect.forEach(
          [
            send(dir.path(`${at}/in.ndjson`), "--template", dir.path(`${at}/t.json`)),
            send(dir.path(`${at}/own.ndjson`)),
            send(
              dir.path(`${at}/in.csv`),
              "--from",
              "n@x.example",
              "--subject",
              "s {{n}}",
              "--text-file",
              dir.path(`${at}/hello.txt`)
            ),
            send(dir.path(`${at}/mails`)),
            send(dir.path(`${at}/mails/1.eml`))
          ],
          (sending) => sending
        )
      const first = yield* all("1")
      assert.deepStrictEqual(
        first.map(({ status }) => status),
        [0, 0, 0, 0, 0]
      )
      assert.strictEqual(server.messages.length, 7)
      cpSync(dir.path("1"), dir.path("2"), { recursive: true })
      renameSync(dir.path("2/mails/2.eml"), dir.path("2/mails/0.eml"))
      for (const { status, stderr, stdout } of yield* all("2")) {
        assert.deepStrictEqual([status, stdout], [0, "No messages\n"], stderr)
      }
      const changed = dir.write("2/hello.txt", "Good bye {{n}}")
      const flags = ["--from", "n@x.example", "--subject", "s {{n}}", "--text-file", changed]
      const refused = yield* send(dir.path("1/in.csv"), ...flags)
      assert.strictEqual(refused.status, 2)
      assert.match(refused.stderr, /mailrace: line 2 of .*in\.csv makes a different message/)
      assert.strictEqual(server.messages.length, 7)
    })
  )

  it.live("--again sends all once more, and without it that run goes on", () =>
    Effect.gen(function* () {
      const { arrived, dir, send, server } = yield* campaign
      const input = dir.write("a.ndjson", people(3))
      yield* send(input)
      yield* server.setFaults(["rcpt:450:to=r2@*"])
      const again = yield* send(input, "--again", "--retries", "0")
      assert.strictEqual(again.status, 1)
      assert.match(
        again.stderr,
        /^3 messages of .* are in .* already: 3 accepted; as --again asks, they are sent again\n/
      )
      assert.match(again.stderr, /\nrun the same command again without --again then, or mailrace outbox run\n$/)
      assert.deepStrictEqual(arrived().sort(), ["r0", "r0", "r1", "r1", "r2"])
      const next = yield* send(input)
      assert.match(next.stderr, /3 messages of .* already: 2 accepted, 1 waiting\n/)

      // What was changed meanwhile is another input, under the same path and under another.
      yield* server.setFaults([])
      dir.write("a.ndjson", people(3).replaceAll("Hello", "Hallo"))
      assert.strictEqual((yield* send(input)).status, 2)
      const changed = yield* send(input, "--again")
      assert.strictEqual(changed.status, 0, changed.stderr)
      const moved = yield* send(dir.write("b.ndjson", people(3).replaceAll("Hello", "Hallo")), "--again")
      assert.match(
        moved.stderr,
        /holds these messages already, from .*a\.ndjson: 3 accepted; .*; as --again asks, they are sent again\n/
      )
      assert.strictEqual(arrived().length, 5 + 3 + 3)
      // Each of them is known by its messages.
      for (const text of [people(3), people(3).replaceAll("Hello", "Hallo")]) {
        dir.write("a.ndjson", text)
        assert.match((yield* send(input)).stdout, /^No messages/)
      }
    })
  )

  it.live("--again without an outbox is refused, with what to do", () =>
    Effect.gen(function* () {
      const { status, stderr } = yield* mailrace(["send", "--input", "-", "--again"])
      assert.strictEqual(status, 2)
      assert.match(
        stderr,
        /^mailrace: --again sends the messages of an outbox again, but no outbox is named\n {2}try: .*--durable/
      )
    })
  )
})
