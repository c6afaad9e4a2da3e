import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Dedupe from "../src/Dedupe.ts"
import { mail, screened } from "./support/intakeRuns.ts"

describe("Dedupe", () => {
  it.effect("remembers at least as many as its capacity, and no more than twice that", () =>
    Effect.gen(function* () {
      const run = (numbers: ReadonlyArray<number>) =>
        Effect.map(
          screened(
            numbers.map((n) => mail(`p${n}@example.org`)),
            [Dedupe.check({ capacity: 3 })],
            {},
            1
          ),
          ({ findings }) => findings.map(({ index }) => index)
        )
      assert.deepStrictEqual(yield* run([1, 2, 3, 1, 2, 3]), [3, 4, 5])
      assert.deepStrictEqual(yield* run([1, 2, 3, 4, 2]), [4])
      assert.deepStrictEqual(yield* run([1, 2, 3, 4, 5, 6, 1]), [])
      // What comes again and again is remembered on.
      assert.deepStrictEqual(yield* run([1, 2, 3, 1, 4, 5, 1, 6, 7, 1]), [3, 6, 9])
    })
  )
})
