/**
 * One trace shows a mail's whole life: put in by one command, tried by others.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Collector from "./support/collector.ts"
import { folder, mail, mailrace } from "./support/command.ts"
import { mailrace as inProcess } from "./support/inProcess.ts"

const outcome = ({ attributes }: Collector.Span): string | undefined =>
  attributes.find(({ key }) => key === "mailrace.outcome")?.value.stringValue

/** Shows that each enqueue's trace holds the attempts with these outcomes, and that they and the sendings link. */
const assertLives = (spans: ReadonlyArray<Collector.Span>, mails: number, outcomes: ReadonlyArray<string>) => {
  const named = (name: string) => spans.filter((span) => span.name === name)
  const enqueues = named("mailrace.outbox.enqueue")
  const sendings = new Map(named("mailrace.send").map((span) => [span.spanId, span]))
  assert.strictEqual(enqueues.length, mails)
  assert.strictEqual(new Set(enqueues.map(({ traceId }) => traceId)).size, mails)
  for (const enqueue of enqueues) {
    const attempts = named("mailrace.outbox.attempt").filter(({ traceId }) => traceId === enqueue.traceId)
    assert.deepStrictEqual<ReadonlyArray<unknown>>(attempts.map(outcome), outcomes)
    for (const { links, parentSpanId } of attempts) {
      assert.strictEqual(parentSpanId, enqueue.spanId)
      const sending = sendings.get(links[0]!.spanId)!
      assert.deepInclude(sending.links[0], { traceId: enqueue.traceId, spanId: enqueue.spanId })
    }
  }
}

describe.concurrent("a mail's trace", () => {
  it.live("goes from outbox enqueue over a run that deferred it to the run that sent it", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:450:to=*"] })
      const collector = yield* Collector.make
      const dir = yield* folder
      const db = dir.path("q.db")
      const deliveries = ["--deliveries", dir.path("out.ndjson")]
      const outbox = (args: ReadonlyArray<string>, stdin?: string) =>
        mailrace(["outbox", ...args, "--db", db], { stdin })
      const run = ["run", "--drain", "--retries", "0", "--relay", `smtp://127.0.0.1:${server.port}`]
      const traced = ["--otlp", collector.url]
      yield* outbox(["enqueue", "--input", "-", ...traced], mail("secret-ann@x.example") + mail("bob@y.example"))
      assert.strictEqual((yield* outbox([...run, ...traced, ...deliveries])).status, 1)
      yield* outbox(["retry", "--all", "--yes"])
      yield* server.setFaults([])
      assert.strictEqual((yield* outbox([...run, ...traced])).status, 0)
      assertLives(collector.spans(), 2, ["deferred", "accepted"])
      assert.notInclude(collector.requests.join(""), "secret-ann")
      // An attempt's line has its own trace; the message has the one that shows all its attempts.
      const traceIds = (name: string) =>
        new Set(collector.spans().flatMap((span) => (span.name === name ? [span.traceId] : [])))
      const lines = dir.lines("out.ndjson")
      assert.strictEqual(lines.length, 2)
      for (const { traceId } of lines) assert.isTrue(traceIds("mailrace.send").has(String(traceId)))
      const listed = yield* inProcess(["outbox", "list", "--json", "--db", db])
      for (const line of listed.stdout.trim().split("\n")) {
        const { id, traceId } = JSON.parse(line)
        assert.isTrue(traceIds("mailrace.outbox.enqueue").has(traceId))
        const shown = yield* inProcess(["outbox", "show", id, "--db", db])
        assert.match(shown.stdout, new RegExp(`trace +${traceId}`))
      }
    })
  )

  it.live("continues when send --durable is run again, and does not start for messages that are not sampled", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:450:to=*"] })
      const collector = yield* Collector.make
      const dir = yield* folder
      const db = dir.path("q.db")
      const input = dir.write("in.ndjson", mail("ann@x.example"))
      const send = (...args: ReadonlyArray<string>) =>
        mailrace(
          ["send", "--relay", `smtp://127.0.0.1:${server.port}`, "--durable", db, "--input", input].concat(
            ["--retries", "0", "--progress", "none", "--otlp", collector.url],
            args
          )
        )
      yield* send()
      yield* mailrace(["outbox", "retry", "--all", "--yes", "--db", db])
      yield* server.setFaults([])
      dir.write("in.ndjson", mail("ann@x.example") + mail("bob@y.example"))
      const { status } = yield* send("--trace-sample", "0")
      assert.deepStrictEqual([status, server.messages.length], [0, 2])
      // The second run traces nothing that begins in it; what an earlier one began goes on.
      const spans = collector.spans()
      const attempts = spans.filter(({ name }) => name === "mailrace.outbox.attempt")
      assert.deepStrictEqual(attempts.map(outcome), ["deferred", "accepted"])
      assert.strictEqual(new Set(attempts.map(({ traceId }) => traceId)).size, 1)
      assert.strictEqual(spans.filter(({ name }) => name === "mailrace.outbox.enqueue").length, 1)
    })
  )
})
