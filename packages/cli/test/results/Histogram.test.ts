import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { Histogram } from "../../src/results/Histogram.ts"

const durations = Arbitrary.array(
  Arbitrary.map(Arbitrary.schema(Schema.Int), (value) => (Math.abs(value) % 1_000_000_000) / 1000),
  { minLength: 1 }
)

describe("Histogram", () => {
  it.prop("gives each quantile within 2 % of the true one, and the largest value exactly", [durations], ([values]) => {
    const histogram = new Histogram()
    for (const value of values) histogram.record(value)
    const sorted = values.toSorted((a, b) => a - b)
    for (const q of [0.5, 0.9, 0.99, 1]) {
      const exact = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!
      const found = histogram.quantile(q)
      assert.isTrue(Math.abs(found - exact) <= Math.max(0.001, exact * 0.02), `q ${q}: ${found} for ${exact}`)
    }
    assert.strictEqual(histogram.max, sorted.at(-1))
    assert.strictEqual(histogram.count, values.length)
  })

  it("has no quantiles when it is empty", () => {
    assert.strictEqual(new Histogram().quantile(0.5), 0)
  })

  it("never goes beyond the largest value, even past its last bucket", () => {
    const histogram = new Histogram()
    histogram.record(1e12)
    assert.isTrue(histogram.quantile(0.99) <= 1e12)
    assert.strictEqual(histogram.max, 1e12)
  })
})
