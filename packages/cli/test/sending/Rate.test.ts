import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Rate from "../../src/sending/Rate.ts"

/** When each of `count` elements comes through, in milliseconds. */
const times = (rate: number, count: number) =>
  Effect.gen(function* () {
    const running = yield* Effect.forkChild(
      Stream.runCollect(
        Stream.range(1, count).pipe(
          Rate.pace(rate),
          Stream.mapEffect(() => Clock.currentTimeMillis)
        )
      )
    )
    yield* TestClock.adjust(`${Math.ceil((count / rate) * 1100 + 1000)} millis`)
    return yield* Fiber.join(running)
  })

describe("Rate", () => {
  it("reads a rate with its unit", () => {
    assert.deepStrictEqual(Rate.parse("100/s"), Result.succeed(100))
    assert.deepStrictEqual(Rate.parse("120/m"), Result.succeed(2))
    assert.deepStrictEqual(Rate.parse("1800/h"), Result.succeed(0.5))
    assert.deepStrictEqual(Rate.parse(" 7 "), Result.succeed(7))
    for (const text of ["", "0/s", "-1/s", "1/day", "fast"]) assert.isTrue(Result.isFailure(Rate.parse(text)), text)
  })

  it.effect.each([0.5, 1, 3, 50, 200, 777, 3000])("lets no more through in any second than %d", (rate) =>
    Effect.gen(function* () {
      const passed = yield* times(rate, Math.ceil(rate * 2.5) + 2)
      passed.forEach((start, index) => {
        // Had one more than the rate come within a second, it would be this one.
        const next = passed[index + Math.max(1, Math.floor(rate))]
        assert.isTrue(next === undefined || next >= start + 1000, `from ${start} to ${next} ms at ${rate}/s`)
      })
    })
  )

  it.effect("gives slots at the same rate to concurrent waiters", () =>
    Effect.gen(function* () {
      const slot = Rate.slots(50)
      const waiting = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 150 }, () => Effect.andThen(slot, Clock.currentTimeMillis)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("4 seconds")
      const passed = yield* Fiber.join(waiting)
      passed.forEach((start, index) => assert.isTrue((passed[index + 50] ?? Infinity) >= start + 1000))
      assert.isBelow(passed.at(-1)! - passed[0]!, 3100)
    })
  )

  it.effect("comes close to the allowed rate", () =>
    Effect.gen(function* () {
      const passed = yield* times(500, 2000)
      const seconds = (passed.at(-1)! - passed[0]!) / 1000
      assert.isTrue(seconds < 4.1, `${seconds} s for 2000 at 500/s`)
    })
  )
})
