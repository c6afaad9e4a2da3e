import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Against from "../src/Against.ts"

describe("Against", () => {
  it.live("names a commit that there is not", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Against.open("no-such-commit")))
      assert.include(error.problem, "no commit is called no-such-commit")
    })
  )
})
