/** What it costs to be seen: spans for one message in a hundred, and for all. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "tracing"

const contestant = "mailrace-speculative"

const rate = (rows: ReadonlyArray<BenchReport.Row>, variant: string) =>
  BenchReport.find(rows, { workload, contestant, variant })?.ratePerSecond

export const tracing: Workload = {
  name: workload,
  title: "Tracing",
  description:
    "Messages of 1 KB made beforehand over 10 connections: without a tracer, and with Telemetry.layer that exports to a collector, at 1 % sampled and all.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "untraced",
      contenders: [
        { contestant },
        { contestant, variant: "1 % traced", traceSampling: 0.01 },
        { contestant, variant: "all traced", traceSampling: 1 }
      ]
    })
  }),
  targets: [
    {
      id: "tracing.sampled",
      statement: "traced at 1 % sampling, as a share of the untraced rate",
      target: 0.8,
      unit: "×",
      measure: (rows) => ratio(rate(rows, "1 % traced"), rate(rows, "untraced"))
    }
  ],
  plots: (rows) => [Plot.rateBars(rows, (row) => row.variant), Plot.cpuBars(rows, (row) => row.variant)]
}
