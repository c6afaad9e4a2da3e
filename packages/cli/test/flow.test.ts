/**
 * Limits in the command: what they hold back, and what is said of them.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Outbox from "@mailrace/outbox/Outbox"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"
import { fill, using } from "./support/outboxFile.ts"

const urlOf = ({ port }: TestServer.TestServerService): string => `smtp://127.0.0.1:${port}?tls=off`

describe("a limit on new connections", () => {
  it.live("is one of --rate, and messages go over the connections that may be opened", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=5ms"] })
      const args = ["--rate", "1 connections/h", "--rate", "1000/s", "--pipelining", "envelope", "--json"]
      const { status, stdout } = yield* mailrace(["send", ...args, "-r", urlOf(server), "-i", "-"], {
        stdin: mail("ann@x.example").repeat(30)
      })
      assert.strictEqual(status, 0)
      const { accepted, connections } = JSON.parse(stdout)
      assert.deepStrictEqual([accepted, connections.opened, server.stats.connections], [30, 1, 1])
    })
  )
})

describe("a tenant", () => {
  const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line.includes("tenant"))
  const of = (tenant: string, count = 1): string => mail("ann@x.example", { tenant }).repeat(count)
  const remedy = "check how the tenant is spelled in the messages, or"

  it.live(
    "with a limit and without a message on standard input is named at the end, and one without a limit once",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const rates = ["--tenant-rate", "acme=100/s", "--tenant-rate", "nobody=5/s"]
        const { status, stderr } = yield* mailrace(["send", ...rates, "-r", urlOf(server), "-i", "-"], {
          stdin: of("acme", 2) + of("acmee") + of("other", 3) + mail("ann@x.example")
        })
        assert.strictEqual(status, 0)
        assert.strictEqual(server.messages.length, 7)
        assert.deepStrictEqual(lines(stderr), [
          'line 3: the tenant "acmee" has no limit, and acme and nobody have one; if acme is meant, correct the message, else add --tenant-rate acmee=RATE, or let its messages go without; other tenants without one are not named',
          `--tenant-rate nobody: no message in standard input has that tenant; ${remedy} leave the flag out`
        ])
      })
  )

  it.live("of a configuration that no message has is named with its place, before anything is sent from a file", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const config = dir.write(
        "mailrace.toml",
        `[relay.a]\nurl = "${urlOf(server)}"\n[tenant.acme]\nrate = "9/s"\n[tenant.nobody]\nweight = 2\n`
      )
      const input = dir.write("in.ndjson", of("acme"))
      const place = `${config}, line 5, column 1: no message in`
      for (const way of [[], ["--durable", dir.path("d.db")]]) {
        const sent = yield* mailrace(["send", ...way, "--config", config, "-i", input])
        assert.strictEqual(sent.status, 2)
        assert.include(sent.stderr, `${place} ${input} has that tenant\n  try: ${remedy} take its table out`)
      }
      assert.strictEqual(server.messages.length, 0)
      const db = dir.path("outbox.db")
      yield* mailrace(["outbox", "enqueue", "--db", db, "-i", "-"], { stdin: of("acme") + of("stranger") })
      const run = yield* mailrace(["outbox", "run", "--db", db, "--drain", "--config", config])
      assert.strictEqual(run.status, 0, run.stderr)
      const [unused, unknown, ...others] = lines(run.stderr)
      assert.include(unused, `${place} ${db} has that tenant; ${remedy} take its table out`)
      assert.match(
        unknown!,
        /^message \w+: the tenant "stranger" has no limit, and acme and nobody have one; add \[tenant\.stranger\] to /
      )
      assert.deepStrictEqual(others, [])
    })
  )
})

describe("why messages wait", () => {
  it.effect("is in outbox stats, with since when, until when, and what the relay said", () =>
    Effect.gen(function* () {
      const db = (yield* folder).path("outbox.db")
      yield* fill(db, ["ann@slow.example", "bob@slow.example"])
      const busy = MailError.make(
        new MailError.Throttled({ reply: { code: 421, enhanced: "4.7.28", text: "too many messages" } })
      )
      yield* Effect.forkScoped(
        using(
          db,
          Effect.provideService(
            Outbox.run({ concurrency: 1, retry: RetryPolicy.none }),
            MailTransport,
            MailTransport.of({ send: () => Effect.fail(busy) })
          )
        )
      )
      const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      const stats = (...more: ReadonlyArray<string>) => mailrace(["outbox", "stats", "--db", db, ...more])
      const waits = (json: string): ReadonlyArray<unknown> => JSON.parse(json).waits
      let told = yield* stats("--json")
      for (let i = 0; i < 50 && waits(told.stdout).length === 0; i++) {
        yield* Effect.andThen(TestClock.adjust("500 millis"), Effect.repeat(turn, { times: 20 }))
        told = yield* stats("--json")
      }
      const [wait] = waits(told.stdout)
      assert.deepInclude(wait, { gate: "lane", key: "slow.example", reply: "421 4.7.28 too many messages" })
      const { stdout } = yield* stats()
      assert.match(
        stdout,
        /WAITS FOR +SINCE +UNTIL +RELAY SAID\n *slow\.example .* ago .*421 4\.7\.28 too many messages/
      )
    })
  )

  it.effect("is in the report, by the name of the relay whose own limit a configuration gives", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const config = dir.write("mailrace.toml", `[relay.main]\nurl = "${urlOf(server)}"\nrate = "5/h"\n`)
      const interrupted = yield* Deferred.make<void>()
      const sending = yield* Effect.forkScoped(
        mailrace(["send", "--config", config, "--json", "--progress", "none", "-i", "-"], {
          stdin: mail("ann@x.example").repeat(8),
          interrupted: Deferred.await(interrupted)
        })
      )
      yield* server.awaitMessages(5)
      yield* TestClock.adjust("5 seconds")
      yield* Deferred.succeed(interrupted, undefined)
      const { stdout } = yield* Fiber.join(sending)
      const { accepted, waits } = JSON.parse(stdout)
      assert.strictEqual(accepted, 5)
      assert.deepInclude(waits[0], { for: "the rate of main" })
    })
  )
})

describe("the relay of a run with a configuration", () => {
  /** A server that puts off the first message. */
  const busyOnce = Effect.suspend(() => {
    let asked = 0
    return TestServer.make({
      decide: ({ phase }) =>
        phase === "mail" && asked++ === 0 ? { type: "reply", code: 451, text: "4.7.1 busy" } : undefined
    })
  })

  for (const [flags, isFollowed] of [
    [[], true],
    [["--no-adaptive"], false]
  ] as const)
    it.live(`is ${isFollowed ? "followed" : "not followed"} with ${flags.join(" ") || "no flag"}`, () =>
      Effect.gen(function* () {
        const server = yield* busyOnce
        const dir = yield* folder
        const config = dir.write("mailrace.toml", `[relay.a]\nurl = "${urlOf(server)}"\n`)
        const log: Array<string> = []
        yield* mailrace(["send", "--config", config, ...flags, "--retries", "0", "-i", "-"], {
          stdin: mail("ann@x.example").repeat(2),
          onLog: (line) => log.push(line)
        })
        assert.strictEqual(log.join("\n").includes("asks to slow down"), isFollowed, log.join("\n"))
      })
    )

  for (const flags of [[], ["--no-adaptive"]])
    it.live(`named with --relay keeps to what a rule asks of it${flags.map((flag) => ` with ${flag}`).join("")}`, () =>
      Effect.gen(function* () {
        const server = yield* busyOnce
        const dir = yield* folder
        const rule = '[[rule]]\nreply = "451 4.7.1 busy"\nslow_to = "1000/s"\n'
        const config = dir.write("mailrace.toml", `[lane."y.example"]\nrate = "1000/s"\n${rule}`)
        const args = ["send", "--config", config, "-r", urlOf(server), ...flags, "--retries", "0", "-i", "-"]
        const log: Array<string> = []
        yield* mailrace(args, { stdin: mail("ann@x.example").repeat(2), onLog: (line) => log.push(line) })
        assert.include(log.join("\n"), "gets at most 1000/s")
      })
    )
})
