/** The cost of a router that has nothing to choose: one healthy relay. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "router"

const contestant = "mailrace-speculative"

const rate = (rows: ReadonlyArray<BenchReport.Row>, variant: string): number | undefined =>
  BenchReport.find(rows, { workload, contestant, variant })?.ratePerSecond

export const router: Workload = {
  name: workload,
  title: "Router",
  description:
    "Messages of 1 KB made beforehand over 10 connections: to a relay itself, and through a router that has this one relay.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "without",
      contenders: [{ contestant }, { contestant, variant: "with", router: true }]
    })
  }),
  targets: [
    {
      id: "router.one",
      statement: "a stream through a router of one relay, as a share of the rate without",
      target: 0.95,
      unit: "×",
      measure: (rows) => ratio(rate(rows, "with"), rate(rows, "without"))
    }
  ],
  plots: (rows) => [Plot.rateBars(rows, (row) => row.variant), Plot.cpuBars(rows, (row) => row.variant)]
}
