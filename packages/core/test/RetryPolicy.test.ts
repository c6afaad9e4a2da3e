import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/testing/TestClock"
import type * as MailError from "../src/MailError.ts"
import * as Mailer from "../src/Mailer.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Scripted from "./support/scripted.ts"

/** How long each wait was, in milliseconds, when every attempt ends with the error given for it. */
const waits = (
  retry: RetryPolicy.RetryPolicy | undefined,
  error: (attempt: number) => MailError.MailError = () => Scripted.transient,
  seed: string | number = "seed"
) =>
  Effect.gen(function* () {
    const { calls, provide } = Scripted.make((_, attempt) => Effect.fail(error(attempt)))
    const sending = Mailer.send(Scripted.message(1), { retry }).pipe(provide, Random.withSeed(seed))
    const fiber = yield* Effect.forkChild(Effect.flip(sending))
    yield* TestClock.adjust("1 day")
    yield* Fiber.join(fiber)
    return calls.slice(1).map(({ at }, i) => at - calls[i]!.at)
  })

/** What the generator draws, in order. */
const draws = (count: number, seed: string | number) =>
  Random.withSeed(Effect.all(Array.from({ length: count }, () => Random.next)), seed)

describe("RetryPolicy", () => {
  it.effect("waits 100 ms, 200 ms, 400 ms, each drawn from [d, 2d], and then gives up", () =>
    Effect.gen(function* () {
      for (const seed of ["a", "b", 3, 4, 5]) {
        const random = yield* draws(3, seed)
        const expected = [100, 200, 400].map((d, i) => d * (1 + random[i]!))
        const actual = yield* waits(undefined, undefined, seed)
        assert.lengthOf(actual, 3)
        for (const [i, wait] of actual.entries()) {
          // The clock of the test counts whole milliseconds.
          assert.approximately(wait, expected[i]!, 1)
          assert.isAtLeast(wait, [100, 200, 400][i]! - 1)
          assert.isAtMost(wait, [200, 400, 800][i]! + 1)
        }
      }
    })
  )

  it.effect("does not draw the same for messages that fail together", () =>
    Effect.gen(function* () {
      const { calls, provide } = Scripted.make(() => Effect.fail(Scripted.transient))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 20 }, (_, n) => Scripted.message(n)),
          (message) => Effect.flip(Mailer.send(message)),
          { concurrency: 20 }
        ).pipe(provide, Random.withSeed("seed"))
      )
      yield* TestClock.adjust("1 day")
      yield* Fiber.join(fiber)
      assert.lengthOf(calls, 80)
      const second = calls.slice(20, 40).map(({ at }) => at)
      assert.isAbove(new Set(second).size, 10)
    })
  )

  it.effect("grows from the given first delay by the given factor", () =>
    Effect.gen(function* () {
      const random = yield* draws(5, "seed")
      const actual = yield* waits(RetryPolicy.make({ base: "1 second", factor: 3, times: 5 }))
      assert.lengthOf(actual, 5)
      for (const [i, wait] of actual.entries()) assert.approximately(wait, 1000 * 3 ** i * (1 + random[i]!), 1)
    })
  )

  it.effect("tries once without retries", () =>
    Effect.map(waits(RetryPolicy.none), (actual) => assert.deepStrictEqual(actual, []))
  )

  it.effect("is never shorter than the relay demands", () =>
    Effect.gen(function* () {
      const actual = yield* waits(undefined, (attempt) =>
        attempt === 1 ? Scripted.throttled(10_000) : Scripted.throttled(50)
      )
      assert.lengthOf(actual, 3)
      assert.isAtMost(actual[0]!, 201)
      assert.strictEqual(actual[1], 10_000)
      assert.isAbove(actual[2]!, 399)
    })
  )

  it.effect("gives up at once if the relay demands a longer wait than allowed", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* waits(undefined, () => Scripted.throttled(30_001)), [])
      assert.lengthOf(yield* waits(undefined, () => Scripted.throttled(30_000)), 3)
      assert.lengthOf(
        yield* waits(RetryPolicy.make({ maxRetryAfter: "2 hours" }), () => Scripted.throttled(3_600_000)),
        3
      )
    })
  )

  it.effect("composes with other schedules and never retries a permanent failure", () =>
    Effect.gen(function* () {
      const spaced = Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 2 }))
      assert.deepStrictEqual(yield* waits(spaced), [60_000, 60_000])
      assert.deepStrictEqual(yield* waits(spaced, () => Scripted.permanent), [])
      assert.deepStrictEqual(yield* waits(spaced, () => Scripted.unknown), [])
      assert.lengthOf(
        yield* waits(Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 9 })), (attempt) =>
          attempt < 4 ? Scripted.transient : Scripted.permanent
        ),
        4
      )
    })
  )

  it.effect("that dies is not taken for one that has ended", () =>
    Effect.gen(function* () {
      const broken = Schedule.spaced("1 minute").pipe(Schedule.modifyDelay(() => Effect.die("a bug in the schedule")))
      const { calls, provide } = Scripted.make(() => Effect.fail(Scripted.transient))
      const exit = yield* Effect.exit(Mailer.send(Scripted.message(1), { retry: broken }).pipe(provide))
      assert.deepStrictEqual(exit, Exit.die("a bug in the schedule"))
      assert.lengthOf(calls, 1)
    })
  )
})
