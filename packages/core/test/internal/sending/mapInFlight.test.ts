import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { mapInFlight } from "../../../src/internal/sending/mapInFlight.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Doubles a number after as many turns of the scheduler as its last digit says, so that results overtake each other. */
const doubled = (n: number): Effect.Effect<number> =>
  Effect.gen(function* () {
    for (let turn = n % 10; turn > 0; turn--) yield* Effect.yieldNow
    return 2 * n
  })

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, n) => (n * 7) % 1000)

describe("mapInFlight", () => {
  it.effect.prop(
    "gives one result for each element, in the order of the elements where asked",
    [int(0, 60), int(1, 12), Arbitrary.schema(Schema.Boolean)],
    ([count, concurrency, ordered]) =>
      Effect.gen(function* () {
        const source = numbers(count)
        const results = yield* Stream.runCollect(
          mapInFlight(Stream.fromIterable(source), doubled, { concurrency, ordered })
        )
        const expected = source.map((n) => 2 * n)
        if (ordered) assert.deepStrictEqual(results, expected)
        else assert.deepStrictEqual(results.toSorted(), expected.toSorted())
      }),
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop(
    "never exceeds its concurrency, and emits what a failing source gave before its failure",
    [int(0, 40), int(2, 8), Arbitrary.schema(Schema.Boolean)],
    ([count, concurrency, ordered]) =>
      Effect.gen(function* () {
        let running = 0
        let most = 0
        const results: Array<number> = []
        const source = Stream.concat(Stream.fromIterable(numbers(count)), Stream.fail("broken" as const))
        const counted = (n: number) =>
          Effect.suspend(() => {
            most = Math.max(most, ++running)
            return Effect.onExit(doubled(n), () => Effect.sync(() => running--))
          })
        const exit = yield* Effect.exit(
          Stream.runForEach(mapInFlight(source, counted, { concurrency, ordered }), (result) =>
            Effect.sync(() => results.push(result))
          )
        )
        assert.deepStrictEqual(exit, Exit.fail("broken"))
        assert.lengthOf(results, count)
        assert.isAtMost(most, concurrency)
        assert.strictEqual(running, 0)
      }),
    { arbitrary: { runs: 100 } }
  )

  for (const ordered of [false, true]) {
    const order = ordered ? "in order" : "as they end"

    it.effect(`an effect that dies ends the stream with its defect: ${order}`, () =>
      Effect.gen(function* () {
        const dying = (n: number) => (n === 14 ? Effect.die("defect") : doubled(n))
        const exit = yield* Effect.exit(
          Stream.runDrain(mapInFlight(Stream.fromIterable(numbers(50)), dying, { concurrency: 4, ordered }))
        )
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      })
    )

    it.effect(`a consumer that stops interrupts the effects in flight: ${order}`, () =>
      Effect.gen(function* () {
        let running = 0
        const endless = Stream.range(0, Number.MAX_SAFE_INTEGER)
        const counted = (n: number) =>
          Effect.suspend(() => {
            running++
            return Effect.onExit(doubled(n), () => Effect.sync(() => running--))
          })
        const results = yield* Stream.runCollect(
          Stream.take(mapInFlight(endless, counted, { concurrency: 8, ordered }), 20)
        )
        assert.lengthOf(results, 20)
        assert.strictEqual(running, 0)
      })
    )
  }
})
