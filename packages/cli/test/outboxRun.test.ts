/**
 * `mailrace outbox run`: the dispatcher, alone, beside others, and stopped.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, mailrace, start } from "./support/command.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const run = (db: string, server: TestServer.TestServerService, ...more: ReadonlyArray<string>) =>
  ["outbox", "run", "--db", db, "--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}`].concat(more)

describe.concurrent("mailrace outbox run", () => {
  it.live("sends what others enqueue until Ctrl-C; a second one on the same file is told which process owns it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const db = dir.path("q.db")
      const first = yield* start(run(db, server))
      yield* server.until(({ connections }) => connections > 0)
      const enqueued = yield* mailrace(["outbox", "enqueue", "--input", "-"], {
        stdin: mail("ann@x.example") + mail("bob@y.example"),
        env: { MAILRACE_OUTBOX: db }
      })
      assert.strictEqual(enqueued.status, 0)
      yield* server.awaitMessages(2)

      const second = yield* mailrace(run(db, server))
      assert.deepStrictEqual([second.status, second.stdout], [2, ""])
      assert.match(
        second.stderr,
        new RegExp(
          `^mailrace: process ${first.process.pid} on .* already sends from .*q\\.db \\(since .*\\)\n {2}try: leave the sending to that process`
        )
      )
      first.process.kill("SIGINT")
      const ended = yield* first.ended
      assert.strictEqual(ended.status, 0)
      assert.match(ended.stderr, /^stopping: messages in flight are finished first/)
      assert.match(ended.stdout, /^2 of 2 messages accepted in /)
      assert.deepInclude(yield* OutboxFile.states(db), { due: 0, claimed: 0, accepted: 2 })
    })
  )

  it.live(
    "with --drain ends when nothing is due, keeps paused lanes back, and exits with 1 when some were refused",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["rcpt:550:to=gone@*"] })
        const dir = yield* folder
        const db = dir.path("q.db")
        const [, gone] = yield* OutboxFile.fill(db, ["x@a.example", "w@a.example", "y@held.example"])
        yield* OutboxFile.fill(db, ["later@a.example"], { sendAt: new Date(Date.now() + 3_600_000) })
        yield* mailrace(["outbox", "pause", "held.example", "--db", db])
        const args = ["--drain", "--deliveries", dir.path("out.ndjson"), "--json"]
        const drained = yield* mailrace(run(db, server, ...args))
        assert.strictEqual(drained.status, 0)
        assert.deepInclude(JSON.parse(drained.stdout), { total: 2, accepted: 2 })
        assert.match(drained.stderr, /^2 messages wait in .*q\.db/m)
        const lines = dir.lines("out.ndjson")
        assert.deepStrictEqual(lines.map(({ index }) => index).sort(), [0, 1])
        assert.isTrue(lines.some(({ id, outcome }) => id === gone && outcome === "accepted"))
        assert.deepInclude(yield* OutboxFile.states(db), { due: 2, accepted: 2 })

        yield* mailrace(["outbox", "enqueue", "--db", db, "--input", "-"], { stdin: mail("gone@b.example") })
        const refused = yield* mailrace(run(db, server, "--drain"))
        assert.strictEqual(refused.status, 1)
        assert.match(refused.stdout, /RecipientsRejected {2}550 5\.1\.1\n.*\(message \w{20}\)/)
      })
  )

  it.live("a second Ctrl-C ends at once; the next run sends again what was in flight", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:hang"] })
      const dir = yield* folder
      const db = dir.path("q.db")
      yield* OutboxFile.fill(db, ["x@a.example"])
      const running = yield* start(run(db, server))
      yield* server.until(({ unanswered }) => unanswered > 0)
      running.process.stderr!.on("data", (text: string) => {
        if (text.includes("stopping")) running.process.kill("SIGINT")
      })
      running.process.kill("SIGINT")
      const { status, stderr } = yield* running.ended
      assert.strictEqual(status, 130)
      assert.match(stderr, /stopped: 1 message in flight may have arrived; the next run sends it again/)
      assert.deepInclude(yield* OutboxFile.states(db), { claimed: 1 })
      yield* server.setFaults([])
      const next = yield* mailrace(run(db, server, "--drain"))
      assert.strictEqual(next.status, 0)
      const ids = [...server.unanswered, ...server.messages].map(
        ({ content }) => /^message-id: (.*)\r$/im.exec(Buffer.from(content).toString())![1]
      )
      assert.deepStrictEqual([ids.length, new Set(ids).size], [2, 1])
    })
  )

  it.live("keeps to the rate", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const db = dir.path("q.db")
      yield* OutboxFile.fill(
        db,
        Array.from({ length: 10 }, (_, n) => `r${n}@a.example`)
      )
      const { status, stdout } = yield* mailrace(run(db, server, "--drain", "--rate", "20/s", "--json"))
      assert.strictEqual(status, 0)
      const report = JSON.parse(stdout)
      assert.strictEqual(report.accepted, 10)
      // 10 mails have 9 waits of 50 ms between them. Not as they arrive: the first may wait for its connection.
      assert.isAtLeast(report.durationMs, 9 * 50 - 5)
    })
  )
})
