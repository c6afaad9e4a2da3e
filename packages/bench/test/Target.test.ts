import { assert, describe, it } from "@effect/vitest"
import * as BenchReport from "../src/BenchReport.ts"
import * as Target from "../src/Target.ts"
import * as Workloads from "../src/Workloads.ts"
import { row } from "./support/rows.ts"

const target: Target.Target = {
  id: "a.rate",
  statement: "rate",
  target: 100,
  unit: "msg/s",
  measure: (rows) => BenchReport.find(rows, { workload: "a" })?.ratePerSecond
}

const at = (ratePerSecond: number) => [row({ workload: "a", ratePerSecond })]

describe("Target", () => {
  it("is met from the target on upwards", () => {
    assert.isTrue(Target.evaluate(target, at(100)).met)
    assert.isFalse(Target.evaluate(target, at(99.9)).met)
  })

  it("is met down from the target when that is the direction", () => {
    const atMost = { ...target, direction: "atMost" as const }
    assert.isTrue(Target.evaluate(atMost, at(100)).met)
    assert.isFalse(Target.evaluate(atMost, at(100.1)).met)
  })

  it("is no more than what the machine allows, where that is known", () => {
    const bounded = (allowed: number | undefined) => Target.evaluate({ ...target, allowed: () => allowed }, at(90))
    assert.deepStrictEqual(
      [80, 200, undefined].map(bounded).map(({ met, target }) => ({ target, met })),
      [
        { target: 80, met: true },
        { target: 100, met: false },
        { target: 100, met: false }
      ]
    )
  })

  it("is neither met nor missed when its row is missing or its value is no number", () => {
    for (const rows of [[], at(Number.NaN)]) {
      const result = Target.evaluate(target, rows)
      assert.isNull(result.value)
      assert.isNull(result.met)
    }
  })

  it("has an id of its own in every workload, and none judges rows that are not there", () => {
    const all = Workloads.all.flatMap(({ targets }) => targets)
    assert.strictEqual(new Set(all.map(({ id }) => id)).size, all.length)
    for (const each of all) assert.isNull(Target.evaluate(each, []).value, each.id)
  })

  it("judges the rows of its own workload: overlap and speculative against nodemailer at 20 ms", () => {
    const rows = [
      row({ workload: "rtt", contestant: "mailrace-overlap", rttMs: 20, ratePerSecond: 480 }),
      row({ workload: "rtt", contestant: "mailrace-speculative", rttMs: 20, ratePerSecond: 14_400 }),
      row({ workload: "rtt", contestant: "nodemailer-pool", rttMs: 20, ratePerSecond: 240 }),
      row({ workload: "rtt", contestant: "nodemailer-pool", rttMs: 5, ratePerSecond: 1 })
    ]
    const { targets } = Workloads.all.find(({ name }) => name === "rtt")!
    assert.deepStrictEqual(
      targets.map((each) => Target.evaluate(each, rows)).map(({ id, met, value }) => ({ id, value, met })),
      [
        { id: "rtt.overlap", value: 2, met: true },
        { id: "rtt.speculative", value: 60, met: true }
      ]
    )
  })
})
