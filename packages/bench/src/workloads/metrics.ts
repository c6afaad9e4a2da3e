/** The cost of recording metrics: a message's outcome and the phases of its attempt. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "metrics"

const contestant = "mailrace-speculative"

const cpu = (rows: ReadonlyArray<BenchReport.Row>, variant: string): number | undefined =>
  BenchReport.find(rows, { workload, contestant, variant })?.cpuMicrosPerMessage ?? undefined

export const metrics: Workload = {
  name: workload,
  title: "Metrics",
  description:
    "Messages of 1 KB made beforehand over 10 connections: without metrics, and with the metrics of every mail and relay that an exporter turns on.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "without",
      contenders: [
        { contestant, metrics: false },
        { contestant, variant: "with", metrics: true }
      ]
    })
  }),
  targets: [
    {
      id: "metrics.cost",
      statement: "metrics, CPU time a message",
      target: 3,
      direction: "atMost",
      unit: "µs",
      measure: (rows) => {
        const recorded = cpu(rows, "with")
        const unrecorded = cpu(rows, "without")
        return recorded === undefined || unrecorded === undefined ? undefined : Math.max(0, recorded - unrecorded)
      }
    }
  ],
  plots: (rows) => [Plot.rateBars(rows, (row) => row.variant), Plot.cpuBars(rows, (row) => row.variant)]
}
