import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Format from "../../src/text/format.ts"

describe("format", () => {
  it("writes durations in the unit that suits them", () => {
    const cases: ReadonlyArray<readonly [number, string]> = [
      [0, "0 ms"],
      [0.84, "840 µs"],
      [3.44, "3.4 ms"],
      [43.2, "43 ms"],
      [3440, "3.4 s"],
      [59_960, "1 min 0 s"],
      [125_000, "2 min 5 s"],
      [3_840_000, "1 h 4 min"]
    ]
    for (const [ms, text] of cases) assert.strictEqual(Format.duration(ms), text)
  })

  it("writes sizes in powers of ten", () => {
    assert.deepStrictEqual([0, 999, 1000, 10_400, 999_600, 3_200_000].map(Format.bytes), [
      "0 B",
      "999 B",
      "1.0 KB",
      "10 KB",
      "1.0 MB",
      "3.2 MB"
    ])
  })

  it("never rounds a share to all or nothing", () => {
    assert.deepStrictEqual(
      [
        [0, 10],
        [10, 10],
        [1, 1_000_000],
        [999_999, 1_000_000],
        [1, 3]
      ].map(([part, whole]) => Format.share(part!, whole!)),
      ["0 %", "100 %", "<0.1 %", ">99.9 %", "33.3 %"]
    )
  })

  it.prop("cuts to the width that it is given", [Schema.String, Schema.Int], ([text, int]) => {
    const width = 1 + (Math.abs(int) % 50)
    const cut = [...Format.truncate(text, width)]
    assert.isTrue(cut.length <= width)
    if ([...text].length <= width) assert.strictEqual(cut.join(""), text)
  })
})

describe("shares", () => {
  it("add up to 100 %, and are never 100 % of less than all, nor 0 % of more than none", () => {
    assert.deepStrictEqual(Format.shares([9975, 25]), ["99.8 %", "0.2 %"])
    assert.deepStrictEqual(Format.shares([1, 1, 1]), ["33.4 %", "33.3 %", "33.3 %"])
    assert.deepStrictEqual(Format.shares([999_999, 1, 0]), [">99.9 %", "<0.1 %", "0 %"])
    assert.deepStrictEqual(Format.shares([5, 0]), ["100 %", "0 %"])
    assert.deepStrictEqual(Format.shares([0, 0]), ["0 %", "0 %"])
  })
})
