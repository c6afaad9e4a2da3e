/**
 * `--metrics` serves a run's counts while it lasts.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import { RunStatus } from "../src/results/RunStatus.ts"
import * as Collector from "./support/collector.ts"
import { folder, mail, mailrace, start } from "./support/command.ts"
import { mailrace as mailraceWithin } from "./support/inProcess.ts"
import { fill } from "./support/outboxFile.ts"
import * as ServedRun from "./support/servedRun.ts"

describe("--metrics", () => {
  it.live("shows what has ended so far", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:hang:to=stuck@*"] })
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example") + mail("bob@x.example") + mail("stuck@x.example"))
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}?pipelining=off`, "--progress", "none"]
      const running = yield* start(["send", ...relay, "--adaptive", "-i", input, "--metrics", "127.0.0.1:0"])
      const url = yield* Effect.callback<string>((resume) => {
        running.process.stderr!.on("data", (text: string) => {
          const url = /metrics are at (http:\S+)/.exec(text)?.[1]
          if (url !== undefined) resume(Effect.succeed(url))
        })
      })
      const scrape = Effect.promise(async () => (await fetch(url)).text())
      const accepted = /^mailrace_send_messages\{outcome="accepted"\} (\d+)$/m
      yield* server.until(({ messages }) => messages === 2)
      const text = yield* Effect.repeat(scrape, { until: (text) => accepted.exec(text)?.[1] === "2" })
      assert.match(text, /^# TYPE mailrace_send_messages counter$/m)
      assert.match(text, /^mailrace_connections_open [1-9]/m)
      assert.include(text, `mailrace_flow_window{relay="127.0.0.1:${server.port}"}`)
      const ready = yield* Effect.promise(() => fetch(new URL("/ready", url)))
      assert.strictEqual(ready.status, 200)
    })
  )

  it.live("of outbox run tells what it has sent, what it waits for, and that it is not ready once it stops", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      yield* fill(dir.path("o.db"), ["ann@x.example", "bob@y.example", "stuck@z.example"])
      const run = yield* ServedRun.start(["outbox", "run", "--db", dir.path("o.db")])
      const { server, url } = run
      const get = (path: string) =>
        Effect.promise(async () => {
          const response = await fetch(url + path)
          return { status: response.status, body: await response.text() }
        })
      yield* server.until(({ messages }) => messages === 2)
      const accepted = /^mailrace_send_messages\{outcome="accepted"\} 2$/m
      yield* Effect.repeat(get("/metrics"), { until: ({ body }) => accepted.test(body) })
      const inFlight = Effect.map(get("/status"), ({ body }) =>
        Schema.decodeUnknownSync(Schema.fromJsonString(RunStatus))(body)
      )
      const status = yield* Effect.repeat(inFlight, { until: (now) => now.relays[0]?.busy === 1 })
      assert.strictEqual(status.counts.accepted, 2)
      assert.strictEqual(status.inFlight, 1)
      assert.deepInclude(status.relays[0], { name: `127.0.0.1:${server.port}`, waiting: 0 })
      assert.strictEqual((yield* get("/ready")).status, 200)
      yield* run.stop
      yield* Effect.repeat(get("/ready"), { until: ({ status }) => status === 503 })
      assert.strictEqual((yield* get("/health")).status, 200)
      // The message on its way ends, and with it the run and its metrics.
      const { status: exit, stderr } = yield* run.ended
      assert.strictEqual(exit, 0, stderr)
      assert.isTrue(
        yield* Effect.promise(() =>
          fetch(url).then(
            () => false,
            () => true
          )
        )
      )
    })
  )

  it.live("are sent to a collector, with the run's own counts up to its end, if that is asked for", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make
      const server = yield* TestServer.make({ faults: ["rcpt:550:to=gone@*"] })
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example") + mail("bob@x.example") + mail("gone@x.example"))
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      const send = (...flags: ReadonlyArray<string>) => mailraceWithin(["send", ...relay, "-i", input, ...flags])
      assert.deepInclude(yield* send("--otlp-metrics", collector.url), { status: 1, stderr: "" })
      assert.deepInclude(collector.byOutcome("mailrace.send.messages"), { accepted: 2, rejected: 1 })
      assert.include(collector.requests.join(""), "mailrace.send.duration")
      assert.deepStrictEqual(collector.spans(), [])
      collector.requests.length = 0
      const toml = dir.write("m.toml", `telemetry = { otlp_metrics = "${collector.url}" }\n`)
      assert.strictEqual((yield* send("--config", toml)).status, 1)
      assert.include(collector.requests.join(""), "mailrace.send.duration")
      collector.requests.length = 0
      assert.strictEqual((yield* send("--otlp", collector.url)).status, 1)
      assert.notInclude(collector.requests.join(""), "mailrace.send.duration", "a collector of traces gets none")
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.live("does not keep the run from ending", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example"))
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      const { status, stderr } = yield* mailrace(["send", ...relay, "-i", input, "--metrics", "0"])
      assert.strictEqual(status, 0)
      assert.match(stderr, /^metrics are at http:\/\/127\.0\.0\.1:\d+\/metrics\n$/)
    })
  )

  it.live.each([
    [
      ["--metrics", "0.0.0.0:0"],
      /other machines reach 0\.0\.0\.0.*\n {2}try: listen on 127\.0\.0\.1, or set --metrics-public/
    ],
    [["--metrics", "here"], /--metrics: "here" is not an address with a port/],
    [["--metrics-public"], /none are served\n {2}try: name the address with --metrics/]
  ] as ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]>)("refuses %j", ([args, message]) =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example"))
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`]
      const { status, stderr } = yield* mailraceWithin(["send", ...relay, "-i", input, ...args])
      assert.strictEqual(status, 2)
      assert.match(stderr, message)
      assert.lengthOf(server.messages, 0)
    })
  )
})
