/**
 * What `--deliveries` and `--report` hold when an outbox goes on over several runs.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, chmodSync, lstatSync, readdirSync, statSync, symlinkSync } from "node:fs"
import { folder, mail, start } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const people = (count: number): string => Array.from({ length: count }, (_, n) => mail(`r${n}@x.example`)).join("")

const setUp = Effect.fnUntraced(function* (latency: "0 millis" | "20 millis" = "0 millis") {
  const server = yield* TestServer.make({ latency })
  const dir = yield* folder
  const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none", ...files]
  const told = () => dir.lines("out.ndjson").map(({ id, index, outcome }) => `${index} ${id} ${outcome}`)
  return { server, dir, relay, told }
})

describe.concurrent("--deliveries and --report over several runs", () => {
  it.live("stopped and resumed, each message has its line; a run with nothing to do leaves both files intact", () =>
    Effect.gen(function* () {
      const { dir, relay, server, told } = yield* setUp("20 millis")
      const input = dir.write("in.ndjson", people(300))
      const args = ["send", ...relay, "--durable", dir.path("q.db"), "--input", input]
      const running = yield* start([...args, "--concurrency", "5"])
      yield* server.awaitMessages(20)
      running.process.kill("SIGINT")
      yield* running.ended
      const stopped = told()
      assert.isTrue(stopped.length >= 20 && stopped.length < 300)
      assert.strictEqual((yield* mailrace(args)).status, 0)
      assert.deepStrictEqual(told().slice(0, stopped.length), stopped)
      assert.strictEqual(told().length, 300)
      assert.strictEqual(new Set(told()).size, 300)
      assert.deepInclude(JSON.parse(dir.read("run.json")), { total: 300 - stopped.length })

      assert.strictEqual((yield* mailrace(args)).status, 0)
      assert.strictEqual(told().length, 300)
      assert.deepInclude(JSON.parse(dir.read("run.json")), { total: 0, accepted: 0 })
    })
  )

  it.live("reports bad lines and dropped recipients once, and each further outcome of the same message", () =>
    Effect.gen(function* () {
      const { dir, relay, server, told } = yield* setUp()
      const db = dir.path("q.db")
      yield* server.setFaults(["rcpt:450:to=r1@*"])
      const input = dir.write(
        "in.ndjson",
        `${mail("r0@x.example")}no json "{\\u2028\n${mail("gone@x.example")}${mail("r1@x.example")}`
      )
      const list = ["--suppress", dir.write("list.txt", "gone@x.example\n"), "--retries", "0"]
      const args = ["send", ...relay, "--durable", db, "--input", input, ...list]
      yield* mailrace(args)
      yield* server.setFaults([])
      yield* mailrace(["outbox", "retry", "--db", db, "--all", "--yes"])
      for (let run = 0; run < 2; run++) yield* mailrace(args)
      assert.sameMembers(told(), ["0 0 accepted", "1 1 invalid", "2 2 dropped", "3 3 deferred", "3 3 accepted"])
    })
  )

  it.live("replaces a line that a killed process left unfinished, and keeps the others", () =>
    Effect.gen(function* () {
      const { dir, relay, told } = yield* setUp()
      const args = (input: string) => ["send", ...relay, "--durable", dir.path("q.db"), "--input", input]
      yield* mailrace(args(dir.write("in.ndjson", people(2))))
      appendFileSync(dir.path("out.ndjson"), `{"index":2,"id":"é`)
      yield* mailrace(args(dir.write("in.ndjson", people(3))))
      assert.deepStrictEqual(told(), ["0 0 accepted", "1 1 accepted", "2 2 accepted"])
      appendFileSync(dir.path("out.ndjson"), "a note of mine")
      yield* mailrace(args(dir.write("in.ndjson", people(4))))
      assert.match(dir.read("out.ndjson"), /\na note of mine\n\{"index":3,/)
    })
  )

  it.live("outbox run appends too, and send without an outbox starts a new file", () =>
    Effect.gen(function* () {
      const { dir, relay, told } = yield* setUp()
      const db = dir.path("q.db")
      for (const to of ["ann@x.example", "bob@x.example"]) {
        yield* OutboxFile.fill(db, [to])
        assert.strictEqual((yield* mailrace(["outbox", "run", "--drain", "--db", db, ...relay])).status, 0)
      }
      assert.strictEqual(told().length, 2)
      yield* mailrace(["send", "--input", dir.write("in.ndjson", people(1)), ...relay])
      assert.deepStrictEqual(told(), ["0 0 accepted"])
    })
  )

  it.live("a report stays until the next is there, in its place and with its permissions", () =>
    Effect.gen(function* () {
      const { dir, relay, server } = yield* setUp()
      const input = dir.write("in.ndjson", people(1))
      const args = ["send", ...relay, "--input", input]
      yield* mailrace(args)
      const before = dir.read("run.json")
      assert.deepStrictEqual(
        [statSync(dir.path("run.json")).mode & 0o777, statSync(dir.path("out.ndjson")).mode & 0o777],
        [0o600, 0o600]
      )

      yield* server.setFaults(["final:hang"])
      const running = yield* start(args)
      yield* server.until(({ unanswered }) => unanswered > 0)
      running.process.kill("SIGKILL")
      yield* running.ended
      assert.strictEqual(dir.read("run.json"), before)

      yield* server.setFaults([])
      chmodSync(dir.path("run.json"), 0o640)
      symlinkSync(dir.path("run.json"), dir.path("latest.json"))
      yield* mailrace([
        "send",
        "--input",
        dir.write("two.ndjson", people(2)),
        "--relay",
        relay[1]!,
        "--progress",
        "none",
        "--report",
        dir.path("latest.json")
      ])
      assert.deepInclude(JSON.parse(dir.read("run.json")), { total: 2 })
      assert.isTrue(lstatSync(dir.path("latest.json")).isSymbolicLink())
      assert.strictEqual(statSync(dir.path("run.json")).mode & 0o777, 0o640)
      assert.deepStrictEqual(
        readdirSync(dir.path(".")).filter((name) => name.includes("tmp")),
        []
      )
    })
  )
})
