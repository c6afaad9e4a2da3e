/**
 * Ctrl-C once finishes what is on its way; twice stops at once. No outcome is lost either way.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, start } from "./support/command.ts"

const many = 20_000

describe("mailrace send and Ctrl-C", () => {
  it.live("once: stops reading, finishes the messages in flight and reports them", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: "20 millis" })
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example").repeat(many))
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson"), "--progress", "none"]
      const relay = `smtp://127.0.0.1:${server.port}?pipelining=envelope`
      const running = yield* start(["send", "-i", input, "-r", relay, "--concurrency", "10", ...files])
      yield* server.awaitMessages(50)
      running.process.kill("SIGINT")
      const { status, stderr, stdout } = yield* running.ended
      assert.strictEqual(status, 1)
      assert.match(stderr, /^stopping: messages in flight are finished first/)
      const taken = server.messages.length
      assert.isTrue(taken >= 50 && taken < many)
      assert.match(stdout, new RegExp(`^${taken.toLocaleString("en-US")} of ${taken.toLocaleString("en-US")} messages`))
      assert.deepInclude(JSON.parse(dir.read("run.json")), { total: taken, accepted: taken, unknown: 0 })
      assert.strictEqual(dir.lines("out.ndjson").length, taken)
      assert.include(stderr, `\nstopped after line ${taken}: the rest of the input was not sent`)
    })
  )

  it.live("a closed terminal (SIGHUP, more than once) is a first Ctrl-C: all is finished and reported", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ latency: "200 millis" })
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example").repeat(many))
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson"), "--progress", "none"]
      const relay = `smtp://127.0.0.1:${server.port}?pipelining=envelope`
      const running = yield* start(["send", "-i", input, "-r", relay, "--concurrency", "10", ...files])
      yield* server.awaitMessages(10)
      running.process.kill("SIGHUP")
      yield* told(running.process, "stopping")
      running.process.kill("SIGHUP")
      const { status, stderr, stdout } = yield* running.ended
      assert.strictEqual(status, 1)
      const taken = server.messages.length
      assert.match(stdout, new RegExp(`^${taken} of ${taken} messages`))
      assert.deepInclude(JSON.parse(dir.read("run.json")), { total: taken, accepted: taken, unknown: 0 })
      assert.strictEqual(dir.lines("out.ndjson").length, taken)
      assert.include(stderr, `\nstopped after line ${taken}:`)
    })
  )

  it.live("once, while it waits for standard input: ends in good order", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const running = yield* start(["send", "-i", "-", "-r", `smtp://127.0.0.1:${server.port}`, "--progress", "none"], {
        stdin: mail("ann@x.example"),
        keepStdin: true
      })
      yield* server.awaitMessages(1)
      running.process.kill("SIGINT")
      const { status, stdout } = yield* running.ended
      assert.strictEqual(status, 1)
      assert.match(stdout, /^1 of 1 messages accepted/)
    })
  )

  it.live("twice: stops at once and records the unknown outcomes", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:hang:to=hang@*"] })
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example") + mail("hang@x.example", { id: "h" }))
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson"), "--progress", "none"]
      const running = yield* start(["send", "-i", input, "-r", `smtp://127.0.0.1:${server.port}`, ...files])
      yield* server.until((stats) => stats.messages >= 1 && stats.unanswered >= 1)
      running.process.kill("SIGINT")
      yield* told(running.process, "stopping")
      running.process.kill("SIGINT")
      const { status } = yield* running.ended
      assert.strictEqual(status, 130)
      const report = JSON.parse(dir.read("run.json"))
      assert.deepInclude(report, { total: 2, accepted: 1, unknown: 1 })
      assert.deepInclude(
        dir.lines("out.ndjson").find((line) => line["id"] === "h")!,
        { index: 1, outcome: "unknown" }
      )
    })
  )
})

/** Waits for a text on stderr. */
const told = (process: import("node:child_process").ChildProcess, text: string) =>
  Effect.callback<void>((resume) => {
    const listen = (piece: string): void => {
      if (!piece.includes(text)) return
      process.stderr!.off("data", listen)
      resume(Effect.void)
    }
    process.stderr!.on("data", listen)
  })
