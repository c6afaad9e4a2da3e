/**
 * Each recipient counts: a message that the relay took for one of them is not done while another has not got it.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, start } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const counted = (accepted: number, rejected = 0, deferred = 0, unknown = 0) => ({
  accepted,
  rejected,
  deferred,
  unknown
})

const reportOf = (stdout: string): Record<string, unknown> => JSON.parse(stdout)

const faults = [
  "rcpt:550:to=gone*",
  "rcpt:450:to=busy*",
  "mail:552:from=big@*",
  "final:451:from=later@*",
  "final:drop:from=lost@*"
]

const setUp = Effect.gen(function* () {
  const server = yield* TestServer.make({ faults })
  const dir = yield* folder
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none", "--retries", "0"]
  return { server, dir, relay }
})

/** A message to several, as a line. */
const to = (recipients: string, from = "news@x.example"): string =>
  mail("", { from, to: recipients.split(" ").map((name) => `${name}@x.example`) })

describe.concurrent("a message to several recipients", () => {
  it.live.each([
    ["all accepted", to("ann bob cid"), 0, counted(3)],
    ["one refused", to("ann bob gone"), 1, counted(2, 1)],
    ["one put off", to("ann busy"), 1, counted(1, 0, 1)],
    ["all refused, one for good", to("gone1 gone2 busy"), 1, counted(0, 2, 1)],
    ["refused at MAIL", to("ann bob", "big@x.example"), 1, counted(0, 2)],
    ["refused for now after the content", to("ann bob cid", "later@x.example"), 1, counted(0, 0, 3)],
    ["not heard of", to("ann bob", "lost@x.example"), 1, counted(0, 0, 0, 2)],
    ["never handed over", to("ann bob", "no address"), 1, counted(0)]
  ] as const)("gives status and counts where %s, with an outbox and without", ([, line, status, recipients]) =>
    Effect.gen(function* () {
      const { dir, relay } = yield* setUp
      const input = dir.write("in.ndjson", line)
      const direct = yield* mailrace(["send", ...relay, "--input", input, "--json"])
      assert.strictEqual(direct.status, status, direct.stderr)
      assert.deepStrictEqual(reportOf(direct.stdout)["recipients"], recipients)
      const durable = yield* mailrace(["send", ...relay, "--input", input, "--json", "--durable", dir.path("q.db")])
      assert.strictEqual(durable.status, status, durable.stderr)
      assert.deepStrictEqual(reportOf(durable.stdout)["recipients"], recipients)
      yield* mailrace(["outbox", "enqueue", "--db", dir.path("r.db"), "--input", input])
      const drained = yield* mailrace(["outbox", "run", "--drain", ...relay, "--db", dir.path("r.db"), "--json"])
      assert.deepStrictEqual(reportOf(drained.stdout)["recipients"], recipients)
      // What cannot be enqueued is no concern of the dispatcher.
      assert.strictEqual(drained.status, line.includes("no address") ? 0 : status)
    })
  )

  it.live("says in the summary how the recipients ended, and counts those of a relay that is gone", () =>
    Effect.gen(function* () {
      const { dir, relay, server } = yield* setUp
      const input = dir.write("in.ndjson", to("ann gone busy") + to("bob"))
      const { status, stdout } = yield* mailrace(["send", ...relay, "--input", input])
      assert.strictEqual(status, 1)
      assert.match(stdout, /^2 of 2 messages accepted in .*\n2 of 4 recipients accepted, 1 rejected, 1 deferred\n/)
      assert.match(stdout, /accepted {3}2 +100 %/)
      yield* server.setFaults(["connect:421"])
      const down = yield* mailrace(["outbox", "enqueue", "--db", dir.path("q.db"), "--input", input])
      assert.strictEqual(down.status, 0)
      const drained = yield* mailrace(["outbox", "run", "--drain", ...relay, "--db", dir.path("q.db")])
      assert.strictEqual(drained.status, 2)
    })
  )

  it.live("is not done by a later run of --durable either; deferred messages are counted once", () =>
    Effect.gen(function* () {
      const { dir, relay, server } = yield* setUp
      const db = dir.path("q.db")
      const args = [
        "send",
        ...relay,
        "--durable",
        db,
        "--input",
        dir.write("in.ndjson", to("ann gone busy") + to("bob"))
      ]
      const first = yield* mailrace([...args, "--json"])
      assert.strictEqual(first.status, 1)
      assert.deepStrictEqual(reportOf(first.stdout)["recipients"], counted(2, 1, 1))
      yield* server.setFaults(["rcpt:550:to=gone*"])
      yield* mailrace(["outbox", "retry", "--db", db, "--all", "--yes"])
      const second = yield* mailrace([...args, "--json"])
      assert.strictEqual(second.status, 1)
      assert.deepInclude(reportOf(second.stdout), { total: 1, accepted: 1, recipients: counted(1) })
      assert.match(
        second.stderr,
        /\nin earlier runs the relay refused 1 recipient of messages that it took for others; list them with mailrace outbox list /
      )
      const third = yield* mailrace(args)
      assert.deepStrictEqual([third.status, third.stdout], [1, "No messages\n"])
      assert.match(third.stderr, /\nin earlier runs the relay refused 1 recipient of messages that it took for others/)
    })
  )

  it.live("dropped on request is no failure", () =>
    Effect.gen(function* () {
      const { dir, relay } = yield* setUp
      const input = dir.write("in.ndjson", to("ann bob") + to("bob"))
      const { status, stdout } = yield* mailrace([
        "send",
        ...relay,
        "--input",
        input,
        "--suppress",
        dir.write("list.txt", "bob@x.example\n"),
        "--json"
      ])
      assert.strictEqual(status, 0)
      assert.deepInclude(reportOf(stdout), { total: 1, accepted: 1, suppressed: 2, recipients: counted(1) })
    })
  )

  it.live("on its way at a second Ctrl-C is unknown for each of them", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:hang"] })
      const dir = yield* folder
      const report = dir.path("run.json")
      const args = ["-r", `smtp://127.0.0.1:${server.port}`, "--progress", "none", "--report", report]
      const running = yield* start(["send", "-i", dir.write("in.ndjson", to("ann bob cid")), ...args])
      yield* server.until(({ unanswered }) => unanswered > 0)
      running.process.stderr!.on("data", (text: string) => {
        if (text.includes("stopping")) running.process.kill("SIGINT")
      })
      running.process.kill("SIGINT")
      assert.strictEqual((yield* running.ended).status, 130)
      assert.deepInclude(JSON.parse(dir.read("run.json")), { unknown: 1, recipients: counted(0, 0, 0, 3) })
    })
  )
})
