import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as RelayCourse from "../../src/internal/relayCourse.ts"
import { flow } from "../../src/workloads/flow.ts"
import { row } from "../support/rows.ts"

const measured = (id: string, rows: Parameters<(typeof flow.targets)[number]["measure"]>[0]): number | undefined =>
  flow.targets.find((target) => target.id === id)!.measure(rows)

describe("flow", () => {
  it("compares a stream under flow control by the median of the ratios of runs that were taken in turn", () => {
    const rows = [
      row({ workload: "flow", variant: "with", runs: [10, 30, 90] }),
      row({ workload: "flow", variant: "without", runs: [20, 40, 100] })
    ]
    assert.strictEqual(measured("flow.stream", rows), 0.75)
    assert.isUndefined(measured("flow.stream", rows.slice(1)))
  })

  it.effect("draws a relay with trouble, which has its full rate again 30 s after it", () =>
    Effect.gen(function* () {
      const intervals = yield* RelayCourse.course
      assert.isAtLeast(RelayCourse.recovered(intervals), 0.95)
      const rows = intervals.map(({ accepted, at }) =>
        row({ workload: "flow", contestant: "simulated", variant: `${at} s, accepted`, ratePerSecond: accepted })
      )
      assert.strictEqual(measured("flow.recovered", rows), RelayCourse.recovered(intervals))
      const plot = flow.plots!(rows)[1]!
      assert.isTrue(plot.kind === "line" && plot.series[0]!.name === "accepted")
      assert.isTrue(plot.kind === "line" && plot.series[0]!.points.length === intervals.length)
    })
  )
})
