/** Workers: the effect of the number of messages on their way at once on rate, latency and memory. */
import * as Effect from "effect/Effect"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "concurrency"

export const concurrency: Workload = {
  name: workload,
  title: "Workers",
  description:
    "10, 50, 100 and 1000 messages in flight (short runs: 10 and 1000) over 10 connections, no distance: rate, latency, memory, event-loop delay and sockets.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rows = yield* Effect.forEach(lab.pace.quick ? [10, 1000] : [10, 50, 100, 1000], (workers) =>
      lab.race({
        workload,
        variant: `${workers} workers`,
        contenders: ["mailrace-speculative", "nodemailer-pool"].map((contestant) => ({
          contestant,
          concurrency: workers
        }))
      })
    )
    return rows.flat()
  }),
  targets: [],
  plots: (rows) => [
    {
      kind: "line",
      title: "Rate by workers",
      x: { label: "messages in flight", scale: "ordinal" },
      y: Plot.rateAxis,
      series: Plot.lines(
        rows,
        (row) => row.concurrency,
        (row) => row.ratePerSecond
      )
    },
    {
      kind: "line",
      title: "p99 latency by workers",
      x: { label: "messages in flight", scale: "ordinal" },
      y: { label: "ms, 99th percentile", scale: "log" },
      series: Plot.lines(
        rows,
        (row) => row.concurrency,
        (row) => row.p99Ms
      )
    },
    {
      kind: "line",
      title: "Peak memory by workers",
      x: { label: "messages in flight", scale: "ordinal" },
      y: { label: "resident set, MB" },
      series: Plot.lines(
        rows,
        (row) => row.concurrency,
        (row) => (row.rssPeakBytes ?? 0) / 1e6
      )
    }
  ]
}
