/**
 * Mails that end without an attempt: they expired, or they cannot be read. Each is reported like any other end.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { DatabaseSync } from "node:sqlite"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const setUp = Effect.gen(function* () {
  const server = yield* TestServer.make()
  const dir = yield* folder
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
  const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
  return {
    server,
    dir,
    db: dir.path("q.db"),
    args: [...relay, ...files],
    report: () => JSON.parse(dir.read("run.json"))
  }
})

/** As time does. */
const change = (db: string, sql: string): void => {
  const database = new DatabaseSync(db)
  database.exec(sql)
  database.close()
}

const expire = (db: string): void => change(db, "UPDATE outbox SET due_at = 1, expires_at = 2 WHERE state = 0")

describe.concurrent("mails of an outbox that end without an attempt", () => {
  it.live("expired: --drain counts, logs and writes them down, and exits with 1", () =>
    Effect.gen(function* () {
      const { args, db, dir, report } = yield* setUp
      yield* mailrace(["outbox", "enqueue", "--db", db, "-i", "-", "--expires-in", "1h"], {
        stdin: mail("ann@x.example", { id: "mine" }) + mail("bob@x.example")
      })
      expire(db)
      yield* OutboxFile.fill(db, ["cid@x.example"])
      const { status, stderr, stdout } = yield* mailrace(["outbox", "run", "--drain", "--db", db, ...args])
      assert.strictEqual(status, 1)
      assert.match(
        stdout,
        /^1 of 3 messages accepted in [^]*\n {2}expired {4}2 +66\.7 % {2}expired before they could be tried\n/
      )
      assert.match(
        stdout,
        /\n {6}2 {2}Expired\n.*it expired before it could be tried \(message \w+\)\n +try: .*outbox retry --state expired/
      )
      assert.strictEqual(stderr.match(/it expired before/g)?.length, 1)
      assert.match(
        stderr,
        /^message \w{20}: it expired before it could be tried; further ones are counted but not shown\n/m
      )
      assert.deepInclude(report(), { total: 3, accepted: 1, expired: 2 })
      const told = dir.lines("out.ndjson").filter(({ outcome }) => outcome === "expired")
      assert.deepStrictEqual(
        told.map(({ attempts, error, id, recipients }) => [
          id === "mine",
          attempts,
          recipients,
          (error as { reason: string }).reason
        ]),
        ["ann", "bob"].map((name) => [
          name === "ann",
          0,
          [{ address: `${name}@x.example`, outcome: "expired", code: null, enhanced: null, reply: null }],
          "Expired"
        ])
      )
      // Once told they are over.
      const again = yield* mailrace(["outbox", "run", "--drain", "--db", db, ...args])
      assert.deepStrictEqual([again.status, again.stdout], [0, "No messages\n"])
    })
  )

  it.live(
    "expired: a send --durable that is resumed too late reports it in that run, with the positions in the input",
    () =>
      Effect.gen(function* () {
        const { args, db, dir, report, server } = yield* setUp
        yield* server.setFaults(["rcpt:450:to=r1@*", "rcpt:450:to=r2@*"])
        const input = dir.write("in.ndjson", ["r0", "r1", "r2"].map((name) => mail(`${name}@x.example`)).join(""))
        const send = ["send", "--durable", db, "--input", input, "--retries", "0", ...args]
        const first = yield* mailrace(send)
        assert.match(first.stdout, /\n {2}deferred {3}2 +66\.7 % {2}refused for now, tried again later\n/)
        expire(db)
        const late = yield* mailrace(send)
        assert.strictEqual(late.status, 1)
        assert.match(late.stderr, /already: 1 accepted, 2 waiting\nline 2: it expired before it could be tried; /)
        assert.match(late.stdout, /^0 of 2 messages accepted/)
        assert.notInclude(late.stderr, "no message was left to send")
        assert.deepInclude(report(), { total: 2, accepted: 0, expired: 2 })
        assert.sameMembers(
          dir.lines("out.ndjson").map(({ index, outcome }) => `${index} ${outcome}`),
          ["0 accepted", "1 deferred", "2 deferred", "1 expired", "2 expired"]
        )
      })
  )

  it.live("thousands at once are all counted, with one line for the user", () =>
    Effect.gen(function* () {
      const { args, db, report } = yield* setUp
      const stdin = Array.from({ length: 3000 }, (_, n) => mail(`r${n}@${n % 7}.example`)).join("")
      yield* mailrace(["outbox", "enqueue", "--db", db, "-i", "-"], { stdin })
      expire(db)
      const { status, stderr } = yield* mailrace(["outbox", "run", "--drain", "--db", db, ...args])
      assert.strictEqual(status, 1)
      assert.strictEqual(stderr.match(/it expired before/g)?.length, 1)
      assert.deepInclude(report(), { total: 3000, expired: 3000 })
    })
  )

  it.live("unreadable: it is reported as invalid, with what to check", () =>
    Effect.gen(function* () {
      const { args, db, dir, report } = yield* setUp
      const stdin = mail("ann@x.example") + mail("bob@x.example")
      yield* mailrace(["outbox", "enqueue", "--db", db, "-i", "-"], { stdin })
      change(db, "UPDATE outbox_body SET payload = '{' WHERE seq = 1")
      const { status, stdout } = yield* mailrace(["outbox", "run", "--drain", "--db", db, ...args])
      assert.strictEqual(status, 1)
      assert.match(stdout, /Unreadable\n.*cannot be read \(message \w+\)\n +try: .*outbox show/)
      assert.deepInclude(report(), { total: 2, accepted: 1, invalid: 1 })
      assert.include(dir.read("out.ndjson"), '"outcome":"invalid","recipients":[{"address":"ann@x.example"')
      const { id } = (yield* OutboxFile.entries(db))[0]!
      const shown = yield* mailrace(["outbox", "show", "--db", db, id])
      assert.strictEqual(shown.status, 0)
      assert.match(shown.stdout, /dead[^]*the stored mail cannot be read/)
    })
  )
})
