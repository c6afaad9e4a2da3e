/** A first Ctrl-C at a relay that takes its time: what was begun is finished, and nothing more is begun. */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, start } from "./support/command.ts"

describe("mailrace send and Ctrl-C at a slow relay", () => {
  for (const pipelining of ["auto", "off"] as const) {
    it.live(`begins nothing more, and says where it stopped (${pipelining})`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["final:delay=1500ms"] })
        const dir = yield* folder
        const input = dir.write("in.ndjson", mail("ann@x.example").repeat(12))
        const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson"), "--progress", "none"]
        const relay = `smtp://127.0.0.1:${server.port}?pipelining=${pipelining}`
        const running = yield* start(["send", "-i", input, "-r", relay, "--connections", "2", ...files])
        yield* server.until(({ faults }) => faults >= 2)
        running.process.kill("SIGINT")
        const { status, stderr } = yield* running.ended
        assert.strictEqual(status, 1)
        // What was under way, and no second message on any connection.
        const taken = server.messages.length
        assert.isAtMost(taken, 4)
        assert.lengthOf(dir.lines("out.ndjson"), taken)
        assert.deepInclude(JSON.parse(dir.read("run.json")), { total: taken, accepted: taken, unknown: 0 })
        assert.include(stderr, `\nstopped after line ${taken}: the rest of the input was not sent`)
      })
    )
  }
})
