import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { LatencyHistogram, median, medianOf, ratio } from "../src/Statistics.ts"

const Latency = Schema.Finite.check(Schema.isBetween({ minimum: 0.01, maximum: 100_000 }))

describe("Statistics", () => {
  it("takes the middle of an odd number and the mean of the two in the middle of an even one", () => {
    assert.strictEqual(median([30, 10, 20]), 20)
    assert.strictEqual(median([40, 10, 30, 20]), 25)
    assert.isTrue(Number.isNaN(median([])))
  })

  it("leaves out what is not there", () => {
    assert.strictEqual(
      medianOf([{ a: 1 }, { a: null }, { a: 3 }], ({ a }) => a),
      2
    )
    assert.isNull(medianOf([{ a: null }], ({ a }) => a))
  })

  it("gives no ratio where one side is missing or nothing", () => {
    assert.strictEqual(ratio(10, 4), 2.5)
    assert.isUndefined(ratio(10, 0))
    assert.isUndefined(ratio(undefined, 4))
    assert.isUndefined(ratio(10, null))
  })

  it.prop(
    "tells quantiles of any latencies within two percent",
    { values: Schema.NonEmptyArray(Latency) },
    ({ values }) => {
      const histogram = new LatencyHistogram()
      for (const value of values) histogram.record(value)
      const sorted = values.toSorted((a, b) => a - b)
      for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
        const exact = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
        assert.approximately(histogram.quantile(share)!, exact, exact * 0.02)
      }
      assert.strictEqual(histogram.max, sorted.at(-1))
      assert.strictEqual(histogram.min, sorted[0])
      assert.strictEqual(histogram.count, values.length)
    }
  )

  it("has no quantile, mean, minimum or maximum of nothing", () => {
    const histogram = new LatencyHistogram()
    assert.isNull(histogram.quantile(0.5))
    assert.isNull(histogram.mean)
    assert.isNull(histogram.max)
    assert.isNull(histogram.min)
  })
})
