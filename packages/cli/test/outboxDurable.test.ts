/**
 * `mailrace send --durable`: whatever ends it, the same command goes on where it was, and the server gets every message.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { generateKeyPairSync } from "node:crypto"
import { folder, mail, mailrace, start } from "./support/command.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const send = (db: string, input: string, server: TestServer.TestServerService, ...more: ReadonlyArray<string>) =>
  ["send", "--durable", db, "--input", input, "--progress", "none"].concat(
    ["--relay", `smtp://127.0.0.1:${server.port}`],
    more
  )

/** How often the server took each message, by its only recipient. */
const arrivals = (server: TestServer.TestServerService): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const { to } of server.messages) counts.set(to[0]!.address, (counts.get(to[0]!.address) ?? 0) + 1)
  return counts
}

const people = (count: number): string =>
  Array.from({ length: count }, (_, n) => mail(`r${n}@${["a", "b", "c"][n % 3]}.example`)).join("")

describe.concurrent("mailrace send --durable", () => {
  it.live("killed twice, it continues: nothing is missing, and only messages in flight arrive twice", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: "5 millis" })
      const dir = yield* folder
      const db = dir.path("q.db")
      const count = 6000
      const input = dir.write("people.ndjson", people(count))
      let inFlight = 0
      for (const enough of [300, 2000]) {
        const running = yield* start(send(db, input, server))
        yield* server.until(({ messages }) => messages >= enough)
        running.process.kill("SIGKILL")
        yield* running.ended
        yield* server.awaitIdle
        inFlight += (yield* OutboxFile.states(db)).claimed
      }
      assert.isBelow(server.messages.length, count)
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
      const { status, stderr, stdout } = yield* mailrace(send(db, input, server, ...files))
      assert.strictEqual(status, 0)
      assert.match(stderr, /messages of .*people\.ndjson are in .*q\.db already: [\d,]+ accepted, [\d,]+ waiting/)
      assert.match(stdout, /messages accepted in/)

      const counts = arrivals(server)
      assert.strictEqual(counts.size, count)
      const twice = server.messages.length - count
      assert.isAtMost(twice, inFlight)
      assert.isTrue([...counts.values()].every((times) => times <= 3))
      const ids = server.messages.map(
        ({ content }) => /^message-id: (.*)\r$/im.exec(Buffer.from(content).toString())![1]
      )
      assert.strictEqual(new Set(ids).size, count)

      // The last run reports what it did itself, under the messages' places in the input.
      const { accepted, total } = JSON.parse(dir.read("run.json"))
      const lines = dir.lines("out.ndjson")
      assert.deepStrictEqual([accepted, lines.length], [total, total])
      assert.isTrue(lines.every(({ index, recipients }) => JSON.stringify(recipients).includes(`"r${Number(index)}@`)))

      const done = yield* mailrace(send(db, input, server))
      assert.deepStrictEqual([done.status, done.stdout], [0, "No messages\n"])
      assert.match(done.stderr, /6,000 accepted\nno message was left to send\n$/)
      assert.strictEqual(server.messages.length, count + twice)
    })
  )

  it.live("stopped by Ctrl-C, it leaves nothing claimed; added lines are sent, changed ones refused", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: "20 millis" })
      const dir = yield* folder
      const db = dir.path("q.db")
      const input = dir.write("people.ndjson", people(1000))
      const running = yield* start(send(db, input, server, "--concurrency", "20"))
      yield* server.awaitMessages(50)
      running.process.kill("SIGINT")
      const stopped = yield* running.ended
      assert.strictEqual(stopped.status, 1)
      assert.match(stopped.stderr, /^stopping: [^]*messages wait in .*q\.db\nrun the same command again to continue\n$/)
      const before = yield* OutboxFile.states(db)
      assert.deepStrictEqual([before.claimed, before.accepted], [0, server.messages.length])
      assert.isAbove(before.due, 0)

      dir.write("people.ndjson", people(1000).replace("Hello", "Hallo"))
      const changed = yield* mailrace(send(db, input, server))
      assert.deepStrictEqual([changed.status, changed.stdout], [2, ""])
      assert.match(changed.stderr, /mailrace: line 1 of .*people\.ndjson makes a different message from the one in/)
      const subject = yield* mailrace(send(db, dir.write("other.ndjson", "{}\n"), server, "--on-bad-line", "abort"))
      assert.strictEqual(subject.status, 2)
      assert.deepStrictEqual((yield* OutboxFile.states(db)).accepted, before.accepted)

      dir.write("people.ndjson", people(1001))
      const last = yield* mailrace(send(db, input, server))
      assert.strictEqual(last.status, 0)
      assert.strictEqual(arrivals(server).size, 1001)
      assert.strictEqual(server.messages.length, 1001)
    })
  )

  it.live("reports each message's outcome, and what waits for another run", () =>
    Effect.gen(function* () {
      const faults = ["rcpt:550:to=gone@*", "rcpt:450:to=busy@*"]
      const server = yield* TestServer.make({ faults })
      const dir = yield* folder
      const db = dir.path("q.db")
      const first = ["ok@x.example", "gone@x.example", "busy@y.example"].map((to) => mail(to))
      const input = dir.write("in.ndjson", [first[0], "no json\n", first[1], first[2]].join(""))
      const key = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" })
      const signing = ["--dkim-domain", "x.example", "--dkim-selector", "s1", "--dkim-key", dir.write("key.pem", key)]
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
      const args = [...signing, ...files, "--retries", "0"]
      const { status, stderr } = yield* mailrace(send(db, input, server, ...args))
      assert.strictEqual(status, 1)
      assert.match(
        stderr,
        /^skipped line 2, [^]*\n1 message waits in .*q\.db, until [\d: -]+\nrun the same command again then/
      )
      assert.match(Buffer.from(server.messages[0]!.content).toString(), /^DKIM-Signature: .* d=x\.example;/)
      const counts = { total: 4, accepted: 1, rejected: 1, deferred: 1, invalid: 1 }
      assert.deepInclude(JSON.parse(dir.read("run.json")), counts)
      const outcomes = dir.lines("out.ndjson").map(({ index, outcome }) => [index, outcome])
      assert.sameDeepMembers(outcomes, [
        [0, "accepted"],
        [1, "invalid"],
        [2, "rejected"],
        [3, "deferred"]
      ])

      // A line that was put right is new; one that failed for good is not tried again, and is not forgotten.
      dir.write("in.ndjson", [first[0], mail("new@x.example"), first[1], first[2]].join(""))
      const again = yield* mailrace(send(db, input, server, "--json"))
      assert.strictEqual(again.status, 1)
      assert.deepInclude(JSON.parse(again.stdout), { total: 1, accepted: 1 })
      assert.match(again.stderr, /3 messages of .* are in .* already: 1 accepted, 1 rejected, 1 waiting\n/)
      assert.match(again.stderr, /1 message of earlier runs failed for good/)
    })
  )

  it.live("a closed terminal (SIGHUP) leaves nothing claimed, and the same command goes on", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: "20 millis" })
      const dir = yield* folder
      const db = dir.path("q.db")
      const input = dir.write("people.ndjson", people(500))
      const running = yield* start(send(db, input, server, "--concurrency", "10"))
      yield* server.awaitMessages(20)
      running.process.kill("SIGHUP")
      const hungUp = yield* running.ended
      assert.strictEqual(hungUp.status, 1)
      assert.match(hungUp.stderr, /^stopping: [^]*messages wait in .*q\.db\nrun the same command again to continue\n$/)
      const before = yield* OutboxFile.states(db)
      assert.deepStrictEqual([before.claimed, before.accepted], [0, server.messages.length])
      const last = yield* mailrace(send(db, input, server))
      assert.strictEqual(last.status, 0)
      assert.deepStrictEqual([arrivals(server).size, server.messages.length], [500, 500])
    })
  )
})
