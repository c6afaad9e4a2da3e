import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Merge from "../../src/input/Merge.ts"

const render = (source: string, values: Record<string, unknown>, place: Merge.Place = "text") =>
  Merge.compile(source, place).render((field) => values[field])

describe("Merge", () => {
  it("replaces fields and leaves other braces alone", () => {
    assert.deepStrictEqual(
      render("{{a}} {{ b }}{{c d}} { {{}} {{ }} {a} }}", { a: 1, b: "{{a}}", "c d": true }),
      Result.succeed("1 {{a}}true { {{}} {{ }} {a} }}")
    )
  })

  it("knows each field once", () => {
    assert.deepStrictEqual(Merge.compile("{{a}}{{b}}{{ a }}", "text").fields, ["a", "b"])
  })

  it("takes an empty value, and no missing one nor an object", () => {
    assert.deepStrictEqual(render("[{{a}}]", { a: "" }), Result.succeed("[]"))
    assert.isTrue(Result.isFailure(render("{{a}}", {})))
    assert.isTrue(Result.isFailure(render("{{a}}", { a: null })))
    assert.isTrue(Result.isFailure(render("{{a}}", { a: {} })))
  })

  it("keeps CR, LF and NUL out of headers", () => {
    for (const char of ["\r", "\n", "\0"])
      assert.isTrue(Result.isFailure(render("{{a}}", { a: `x${char}y` }, "header")))
  })

  it("guesses what a misspelt name means", () => {
    assert.strictEqual(Merge.nearest("nmae", ["to", "name", "city"]), "name")
    assert.strictEqual(Merge.nearest("zzzzzz", ["to", "name", "city"]), undefined)
  })
})
