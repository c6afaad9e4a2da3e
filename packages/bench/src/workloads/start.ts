/** A small program: the time to its first message, and the cost of an open pool with nothing to do. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "start"

const contestants = ["mailrace-speculative", "nodemailer-pool"]

export const start: Workload = {
  name: workload,
  title: "Start and idle",
  description:
    "From the start of a new process to its first accepted message, with loading, connecting and the self-test; then the CPU that the process uses while its pool is open and there is nothing to send.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rows = yield* Effect.forEach(contestants, (contestant) => lab.startUp(workload, contestant))
    return rows.flat()
  }),
  targets: [
    {
      id: "start.first",
      statement: "from the start of the process to the first accepted message",
      target: 400,
      direction: "atMost",
      unit: "ms",
      measure: (rows) =>
        BenchReport.find(rows, { workload, variant: "start", contestant: "mailrace-speculative" })?.p50Ms ?? undefined
    },
    {
      id: "start.idle",
      statement: "CPU of an open pool with nothing to send, as a share of one core",
      target: 0.5,
      direction: "atMost",
      unit: "%",
      measure: (rows) => {
        const share = BenchReport.find(rows, { workload, variant: "idle", contestant: contestants[0]! })?.idleCpuShare
        return share === undefined ? undefined : share * 100
      }
    }
  ],
  plots: (rows) => [
    {
      kind: "bar",
      title: "Start to first message",
      label: "ms",
      bars: Plot.bars(BenchReport.select(rows, { variant: "start" }), (row) => row.p50Ms)
    }
  ]
}
