import { assert, describe, it } from "@effect/vitest"
import { nearest } from "../src/NearestName.ts"

describe("NearestName", () => {
  it("finds the nearest known name", () => {
    assert.strictEqual(nearest("nmae", ["to", "name", "city"]), "name")
    assert.strictEqual(nearest("NAMES", ["to", "name", "city"]), "name")
  })

  it("does not guess where nothing is near", () => {
    assert.isUndefined(nearest("zzzzzz", ["to", "name", "city"]))
  })
})
