import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { steadyTime } from "../../src/internal/steadyTime.ts"

describe("the time of flow control", () => {
  it("does not go back when the clock is set back, and runs on from there", () => {
    let millis = 1000
    const now = steadyTime({ currentTimeMillisUnsafe: () => millis } as Clock.Clock)
    const times = [1000, 1010, 400, 405, 2000].map((at) => {
      millis = at
      return now()
    })
    assert.deepStrictEqual(times, [1000, 1010, 1010, 1015, 2610])
  })

  it.live("reads the machine's clock once a turn of the event loop", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const now = steadyTime(clock)
      const first = now()
      while (Date.now() === first);
      assert.strictEqual(now(), first)
      yield* Effect.promise(() => Promise.resolve())
      assert.isAbove(now(), first)
    })
  )
})
