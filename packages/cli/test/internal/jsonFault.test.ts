import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { isTooDeep, locate } from "../../src/internal/jsonFault.ts"

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe("locate", () => {
  const cases: ReadonlyArray<readonly [string, number, string]> = [
    [`{"a":1`, 7, "the line ends inside an object"],
    [`{"a" 1}`, 6, `a colon after the field's name is expected, found "1"`],
    [`{"a":1 "b":2}`, 8, `a comma or "}" is expected, found """`],
    [`{a:1}`, 2, `a field's name in double quotes is expected, found "a"`],
    [`{'a':1}`, 2, `a field's name in double quotes is expected, found "'"`],
    [`{"a":'x'}`, 6, "strings need double quotes, not '"],
    [`{"a":"x}`, 6, "the string that begins here has no closing quote"],
    [`{"a":"\\x"}`, 7, "a backslash here begins no valid escape; write \\\\ for a backslash"],
    [`{"a":1}{"b":2}`, 8, "there is more after the end of the value; one JSON object a line is expected"],
    [`[1,2`, 5, "the line ends inside a list"],
    [`{"a":undefined}`, 6, `"u" cannot begin a value`],
    [`{"a":`, 6, "the line ends where a value is expected"],
    [`{"a":1,}`, 8, `a field's name in double quotes is expected, found "}"`]
  ]
  for (const [text, column, problem] of cases) {
    it(`says what is wrong with ${text}`, () => {
      assert.deepStrictEqual(locate(text), { column, problem })
    })
  }

  it.prop(
    "finds a fault in everything that the platform's parser refuses",
    {
      value: Schema.Json,
      at: Schema.Int,
      insert: Schema.Literals(["", '"', "{", "}", "]", ",", "\\", "x", "0", "\n"])
    },
    ({ value, at, insert }) => {
      const text = JSON.stringify({ value })
      const position = Math.abs(at) % text.length
      const broken = text.slice(0, position) + insert + text.slice(position + 1)
      const { column, problem } = locate(broken)
      assert.isTrue(column >= 1 && column <= broken.length + 1)
      assert.strictEqual(problem === "this is not JSON", isJson(broken), broken)
    },
    { arbitrary: { runs: 500 } }
  )
})

describe("isTooDeep", () => {
  const nested = (depth: number, [open, close]: readonly [string, string]): unknown =>
    JSON.parse(`${open.repeat(depth - 1)}${open.at(0)}${close.at(-1)}${close.repeat(depth - 1)}`)

  it.each([
    ["[", "]"],
    ['{"a":1,"b":', "}"],
    ['[0,{"a":', "}]"]
  ] as const)("tells a thousand levels of %s from one more, and takes any depth", (...brackets) => {
    const levels = brackets[1].length
    assert.isFalse(isTooDeep(nested(1000 / levels, brackets)))
    assert.isTrue(isTooDeep([nested(1000 / levels + 1, brackets)]))
    assert.isTrue(isTooDeep(nested(200_000, brackets)))
  })

  it("takes any breadth", () => {
    assert.isFalse(isTooDeep(Array.from({ length: 300_000 }, () => ({ a: [] }))))
  })
})
