/**
 * `--log-format json` makes each log line an object, wherever the flag stands.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, mailrace } from "./support/command.ts"

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
})
