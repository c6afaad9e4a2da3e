/**
 * `--log-format json` makes each log line an object, wherever the flag stands.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, mailrace } from "./support/command.ts"
import { mailrace as mailraceWithin } from "./support/inProcess.ts"

describe("--log-format", () => {
  it.live("json writes events as objects on standard error", () =>
    Effect.gen(function* () {
      // A relay that takes a refused chunk for commands, which the run finds out.
      const server = yield* TestServer.make({ quirks: { unreadRefusedChunk: true } })
      const dir = yield* folder
      const input = dir.write("in.ndjson", Array.from({ length: 40 }, (_, n) => mail(`to-${n}@x.example`)).join(""))
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}?connections=1`, "--progress", "none"]
      const { status, stderr } = yield* mailrace(["--log-format", "json", "send", ...relay, "-i", input])
      assert.strictEqual(status, 0, stderr)
      const events = stderr
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
      assert.deepInclude(
        events.map(({ event, level, relay }) => ({ event, level, relay })),
        { event: "relay.stepped_down", level: "warn", relay: `127.0.0.1:${server.port}` }
      )
    })
  )

  const objects = (text: string): ReadonlyArray<Record<string, unknown>> =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))

  it.live.each([
    [
      ["--log-format", "json", "outbox", "stats", "--db", "nowhere.db"],
      ["nowhere.db does not exist", "check the path; mailrace outbox enqueue --db nowhere.db creates it"]
    ],
    [
      ["outbox", "stats", "--log-format=json", "--db", "a.db", "--postgres", "postgres://h/b"],
      ["--db and --postgres are both given", "name one of them with --db or --postgres"]
    ],
    [
      ["outbox", "stats", "--nonsense", "--log-format", "json"],
      [/--nonsense/, "mailrace outbox stats --help"]
    ],
    [
      ["outbox", "stats", "--log-format=json", "--db"],
      [/--db/, /./]
    ]
  ] as ReadonlyArray<readonly [ReadonlyArray<string>, readonly [string | RegExp, string | RegExp]]>)(
    "json writes the error that ends %j as an object",
    ([args, [message, remedy]]) =>
      Effect.gen(function* () {
        const { status, stderr, stdout } = yield* mailraceWithin(args)
        assert.deepStrictEqual([status, stdout], [2, ""])
        const [error, ...others] = objects(stderr)
        assert.deepStrictEqual(others, [])
        assert.deepInclude(error, { level: "error", event: "command.failed" })
        assert.match(String(error!["time"]), /^\d{4}-\d\d-\d\dT/)
        for (const [said, meant] of [
          [error!["message"], message],
          [error!["remedy"], remedy]
        ] as const)
          if (typeof meant === "string") assert.strictEqual(said, meant)
          else assert.match(String(said), meant)
      })
  )

  it.live("json writes an object for each fault of a file", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const config = dir.write("mailrace.toml", 'colour = "red"\n[relay.a]\nheight = 3\n')
      const { status, stderr } = yield* mailraceWithin(["config", "check", config, "--log-format", "json"])
      assert.strictEqual(status, 2, stderr)
      const faults = objects(stderr)
      assert.isAtLeast(faults.length, 2)
      for (const fault of faults) {
        assert.deepInclude(fault, { level: "error", event: "command.failed" })
        assert.isString(fault["remedy"])
      }
    })
  )

  it.live("json writes what a run tells of itself as objects too, and leaves standard output as it is", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example") + "no mail\n")
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--metrics", "0", "--on-bad-line", "skip"]
      const { stderr, stdout } = yield* mailraceWithin([
        "send",
        ...relay,
        "-i",
        input,
        "--json",
        "--log-format",
        "json"
      ])
      assert.strictEqual(JSON.parse(stdout).total, 2)
      const messages = objects(stderr).map(({ level, message }) => `${String(level)}: ${String(message)}`)
      assert.match(messages.join("\n"), /^info: metrics are at http:/m)
      assert.match(messages.join("\n"), /^info: .*line 2/m)
    })
  )

  it.live("text is what people read, also where a value is called json", () =>
    Effect.gen(function* () {
      for (const args of [
        [],
        ["--log-format", "text"],
        ["--log-format=json", "--log-format=text"],
        ["--", "--log-format=json"]
      ]) {
        const { stderr } = yield* mailraceWithin(["outbox", "stats", "--db", "nowhere.db", ...args])
        assert.match(stderr, /^mailrace: /)
      }
    })
  )
})
