/** The cost of tracing: by the tail rule alone, with spans for one message in a hundred, and with spans for all. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "tracing"

const contestant = "mailrace-speculative"

/** Samples hardly any message, so that only the tail rule's cost remains. */
const tailAlone = { variant: "untraced, tail rule on", traceSampling: 1e-6 }

const cpu = (rows: ReadonlyArray<BenchReport.Row>, variant: string) =>
  BenchReport.find(rows, { workload, contestant, variant })?.cpuMicrosPerMessage ?? undefined

const rate = (rows: ReadonlyArray<BenchReport.Row>, variant: string) =>
  BenchReport.find(rows, { workload, contestant, variant })?.ratePerSecond

export const tracing: Workload = {
  name: workload,
  title: "Tracing",
  description:
    "Messages of 1 KB made beforehand over 10 connections: without a tracer, and with Telemetry.layer that exports to a collector, with hardly any message sampled, with 1 %, and with all.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "untraced",
      contenders: [
        { contestant },
        { contestant, ...tailAlone },
        { contestant, variant: "1 % traced", traceSampling: 0.01 },
        { contestant, variant: "all traced", traceSampling: 1 }
      ]
    })
  }),
  targets: [
    {
      id: "tracing.tail",
      statement: "a message that is not sampled, with the tail rule on, CPU time beyond that without a tracer",
      target: 3,
      direction: "atMost",
      unit: "µs",
      measure: (rows) => {
        const watched = cpu(rows, tailAlone.variant)
        const untraced = cpu(rows, "untraced")
        return watched === undefined || untraced === undefined ? undefined : Math.max(0, watched - untraced)
      }
    },
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
