/**
 * The log says what happened once, as text or as JSON, and never floods.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as LogEvent from "mailrace/LogEvent"
import * as LogLines from "../../src/output/LogLines.ts"

/** Runs an effect and gives the lines that it logged. */
const logged = (effect: Effect.Effect<unknown>, format?: "text" | "json") =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = LogLines.logger((line) => lines.push(line), false)
    const withFormat =
      format === undefined ? effect : Effect.provideContext(effect, Context.make(LogLines.Format, format))
    yield* Effect.provide(withFormat, Logger.layer([logger]))
    return lines
  })

const down = LogEvent.warning("relay.down", "relay:25 takes no sessions any more", { relay: "relay:25" })

describe("LogLines", () => {
  it.effect("writes text by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* logged(down), ["mailrace: warn: relay:25 takes no sessions any more\n"])
    })
  )

  it.effect("writes an object a line with the event and its facts", () =>
    Effect.gen(function* () {
      const [line] = yield* logged(down, "json")
      assert.isTrue(line!.endsWith("}\n"))
      assert.deepStrictEqual(JSON.parse(line!), {
        time: "1970-01-01T00:00:00.000Z",
        level: "warn",
        event: "relay.down",
        relay: "relay:25",
        message: "relay:25 takes no sessions any more"
      })
    })
  )

  it.effect("keeps a relay's words on one line, and out of the terminal's control", () =>
    Effect.gen(function* () {
      const hostile = Effect.logWarning("451 slow\r\ndown \u001b[31m{}\u202e")
      assert.deepStrictEqual(yield* logged(hostile), ["mailrace: warn: 451 slow down  [31m{}<U+202E>\n"])
      const [line] = yield* logged(hostile, "json")
      assert.notMatch(line!.slice(0, -1), /[\u0000-\u001f\u202e]/)
    })
  )

  it.effect("leaves out what comes too often, and says how much", () =>
    Effect.gen(function* () {
      const lines = yield* logged(
        Effect.gen(function* () {
          for (let n = 0; n < 25; n++) yield* down
          yield* LogEvent.info("relay.back", "another event", { relay: "relay:25" })
          yield* TestClock.adjust("10 seconds")
          yield* down
        })
      )
      assert.lengthOf(lines, 12)
      assert.include(lines[10], "another event")
      assert.strictEqual(lines[11], "mailrace: warn: relay:25 takes no sessions any more (and 15 more like it)\n")
    })
  )

  it.effect("counts relays apart", () =>
    Effect.gen(function* () {
      const of = (relay: string) => LogEvent.warning("relay.down", "down", { relay })
      const lines = yield* logged(Effect.forEach(["a", "b", "c"], (relay) => Effect.replicateEffect(of(relay), 10)))
      assert.lengthOf(lines, 30)
    })
  )
})
