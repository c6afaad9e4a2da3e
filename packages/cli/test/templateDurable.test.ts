/**
 * Templates and people left out, with an outbox between: nothing is lost or sent again, and it is the same mails.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { statSync } from "node:fs"
import { folder, mailrace, start } from "./support/command.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const send = (db: string, server: TestServer.TestServerService, ...more: ReadonlyArray<string>) =>
  ["send", "--durable", db, "--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}`].concat(more)

/** What the server got, by recipient; each once. */
const received = (server: TestServer.TestServerService): Map<string, string> => {
  const mails = new Map(
    server.messages.map(({ content, to }) => [to[0]!.address, Buffer.from(content).toString().replaceAll("=\r\n", "")])
  )
  assert.strictEqual(mails.size, server.messages.length)
  return mails
}

const html = `<p>Dear {{name}}, no. {{order.id}}</p>${"<p>the same for all</p>".repeat(100)}`

const people = (count: number): string =>
  `email,name,order.id\n${Array.from({ length: count }, (_, n) => `r${n}@${["a", "b", "c"][n % 3]}.example,"R, ${n}",${n}\n`).join("")}`

describe.concurrent("mailrace send --durable --template", () => {
  it.live("stopped and resumed, it continues with the same template and stores that once", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: "10 millis" })
      const dir = yield* folder
      const db = dir.path("q.db")
      const count = 2000
      dir.write("terms.bin", Buffer.alloc(20_000, "terms "))
      const source = {
        from: "News <news@x.example>",
        subject: "For {{name}}",
        html,
        attachments: [{ path: "terms.bin" }]
      }
      const template = dir.write("mail.json", JSON.stringify(source))
      const args = ["-t", template, "-i", dir.write("people.csv", people(count))]
      const running = yield* start(send(db, server, ...args, "--concurrency", "20"))
      yield* server.awaitMessages(50)
      running.process.kill("SIGINT")
      assert.strictEqual((yield* running.ended).status, 1)
      assert.isBelow(server.messages.length, count)

      dir.write("mail.json", JSON.stringify({ ...source, subject: "Another" }))
      const changed = yield* mailrace(send(db, server, ...args))
      assert.deepStrictEqual([changed.status, changed.stdout], [2, ""])
      assert.match(changed.stderr, /line 2 of .*people\.csv makes a different message from the one in/)

      dir.write("mail.json", JSON.stringify(source))
      const last = yield* mailrace(send(db, server, ...args))
      assert.strictEqual(last.status, 0, last.stderr)
      const mails = received(server)
      assert.strictEqual(mails.size, count)
      for (const n of [0, 1999]) {
        const mail = mails.get(`r${n}@${["a", "b", "c"][n % 3]}.example`)!
        assert.match(mail, new RegExp(`^Subject: For R, ${n}\\r$`, "m"))
        assert.include(mail, `<p>Dear R, ${n}, no. ${n}</p>`)
        assert.include(mail, Buffer.from("terms terms ").toString("base64"))
      }
    })
  )

  it.live("stores a template once, whatever its size, and shows each mail filled in", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const db = dir.path("q.db")
      dir.write("terms.bin", Buffer.alloc(50_000, 7))
      const source = { from: "news@x.example", subject: "For {{name}}", html, attachments: [{ path: "terms.bin" }] }
      const template = ["-t", dir.write("mail.json", JSON.stringify(source))]
      const args = [...template, "-i", dir.write("people.csv", people(1000)), "--idempotency-key-field", "email"]
      const { status, stdout } = yield* mailrace(["outbox", "enqueue", "--db", db, ...args])
      assert.deepStrictEqual([status, stdout], [0, `1,000 messages put into ${db}\n`])
      assert.isBelow(statSync(db).size, 1_000_000)
      const [first] = yield* OutboxFile.entries(db)
      const shown = yield* mailrace(["outbox", "show", "--db", db, first!.id])
      assert.match(shown.stdout, /subject +For R, 0\n/)
      const eml = yield* mailrace(["outbox", "export", "--db", db, first!.id, "--format", "eml"])
      assert.match(eml.stdout, /^Subject: For R, 0\r$/m)

      const lines = [`{"to":"ann@x.example","data":{"name":"Ann"}}`, `{"to":"bob@x.example","data":{}}`].join("\n")
      const bad = yield* mailrace(
        ["outbox", "enqueue", "--db", db, "-t", dir.write("t.txt", "Hi {{name}}")].concat([
          "--from",
          "n@x.example",
          "--subject",
          "s",
          "-i",
          dir.write("in.ndjson", lines)
        ])
      )
      assert.strictEqual(bad.status, 1)
      assert.match(bad.stderr, /^skipped line 2, field "data\.name": the template needs it, it is missing/)
      assert.match(bad.stdout, /^1 message put into .*, 1 bad, skipped\n/)
    })
  )

  it.live("stores a mail whole that its template alone does not make", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      dir.write("own.txt", "for Ann alone")
      const lines = [
        { to: "ann@x.example", from: "Own <own@x.example>", attachments: [{ path: "own.txt" }], data: { name: "Ann" } },
        { to: "bob@x.example", data: {} }
      ]
      const input = dir.write("in.ndjson", lines.map((line) => JSON.stringify(line)).join("\n"))
      const template = ["-t", dir.write("t.txt", "Hi {{name}}!"), "--from", "n@x.example", "--subject", "s {{name}}"]
      const args = send(dir.path("q.db"), server, ...template, "-i", input, "--missing", "keep")
      const { status, stderr } = yield* mailrace(args)
      assert.deepStrictEqual([status, stderr], [0, ""])
      const mails = received(server)
      const ann = mails.get("ann@x.example")!
      assert.match(ann, /^From: Own <own@x\.example>\r$/m)
      assert.include(ann, "Hi Ann!")
      assert.include(ann, Buffer.from("for Ann alone").toString("base64").slice(0, 16))
      assert.match(mails.get("bob@x.example")!, /^Subject: s \{\{name\}\}\r$[^]*Hi \{\{name\}\}!/m)
    })
  )

  it.live("drops the same people in each run, and reports a mail that was enqueued before", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:450:to=late@*"] })
      const dir = yield* folder
      const db = dir.path("q.db")
      const list = (...lines: ReadonlyArray<string>) => dir.write("list.txt", lines.join("\n"))
      const rows = ["ann@x.example", "gone@x.example", "ANN@x.example", "late@x.example", "bob@x.example"]
      const input = dir.write("people.csv", ["email", ...rows].join("\n"))
      const template = ["-t", dir.write("t.txt", "Hi {{email}}"), "--from", "n@x.example", "--subject", "s"]
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
      const args = [...template, "-i", input, "--dedupe", "--suppress", list("gone@x.example"), "--retries", "0"]
      const first = yield* mailrace(send(db, server, ...args, ...files))
      assert.strictEqual(first.status, 1)
      const counts = { total: 3, accepted: 2, deferred: 1, dropped: 2, suppressed: 1, duplicates: 1 }
      assert.deepInclude(JSON.parse(dir.read("run.json")), counts)
      assert.sameDeepMembers(
        dir.lines("out.ndjson").map(({ index, outcome }) => [index, outcome]),
        [
          [0, "accepted"],
          [1, "dropped"],
          [2, "dropped"],
          [3, "deferred"],
          [4, "accepted"]
        ]
      )

      // Bob unsubscribes, someone new comes, and one of the first is in once more.
      dir.write("people.csv", ["email", ...rows, "cid@x.example", "bob@X.example"].join("\n"))
      list("gone@x.example", "late@x.example", "bob@x.example")
      const again = yield* mailrace(send(db, server, ...args, ...files))
      assert.strictEqual(again.status, 1)
      assert.match(again.stderr, /\n2 messages that would be dropped now were put into .*q\.db by an earlier run/)
      assert.deepInclude(JSON.parse(dir.read("run.json")), {
        total: 1,
        accepted: 1,
        dropped: 3,
        suppressed: 2,
        duplicates: 1
      })
      assert.deepStrictEqual([...received(server).keys()].sort(), ["ann@x.example", "bob@x.example", "cid@x.example"])
    })
  )
})
