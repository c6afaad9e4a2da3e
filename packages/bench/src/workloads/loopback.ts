/** Messages made beforehand, no distance: the cost of sending itself. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "loopback"

/** A contestant's latencies as a line; none for a contestant that does not know them. */
const percentiles = (row: BenchReport.Row): ReadonlyArray<Plot.Series> => {
  const { contestant: name, maxMs, p50Ms, p90Ms, p99Ms, p999Ms } = row
  if (p50Ms === null || p90Ms === null || p99Ms === null || p999Ms === null || maxMs === null) return []
  return [
    {
      name,
      points: [
        [50, p50Ms],
        [90, p90Ms],
        [99, p99Ms],
        [99.9, p999Ms],
        [100, maxMs]
      ]
    }
  ]
}

export const loopback: Workload = {
  name: workload,
  title: "Loopback",
  description:
    "Messages of 1 KB made beforehand, 10 connections, a sink with CHUNKING on the same machine. Nothing is far away, so this shows the cost of sending itself.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "1 KB",
      contenders: [
        { contestant: "mailrace-session" },
        { contestant: "mailrace-speculative" },
        { contestant: "mailrace-overlap" },
        { contestant: "mailrace-envelope" },
        { contestant: "mailrace-off" },
        { contestant: "nodemailer-pool" },
        { contestant: "nodemailer" },
        { contestant: "smtp-source" }
      ]
    })
  }),
  targets: [
    {
      id: "loopback.sendAll.rate",
      statement: "Mailer.sendAll with its retry policy, prebuilt 1 KB, 10 connections",
      target: 60_000,
      unit: "msg/s",
      measure: (rows) => BenchReport.find(rows, { workload, contestant: "mailrace-speculative" })?.ratePerSecond
    },
    {
      id: "loopback.sendAll.cpu",
      statement: "sender CPU of Mailer.sendAll, prebuilt 1 KB, 10 connections",
      target: 20,
      direction: "atMost",
      unit: "µs/msg",
      measure: (rows) =>
        BenchReport.find(rows, { workload, contestant: "mailrace-speculative" })?.cpuMicrosPerMessage ?? undefined
    },
    {
      id: "loopback.session.rate",
      statement: "the bare session without stream and pool, prebuilt 1 KB, 10 connections",
      target: 150_000,
      unit: "msg/s",
      measure: (rows) => BenchReport.find(rows, { workload, contestant: "mailrace-session" })?.ratePerSecond
    }
  ],
  plots: (rows) => [
    Plot.rateBars(rows),
    Plot.cpuBars(rows),
    {
      kind: "line",
      title: "Latency by percentile",
      x: {
        label: "percentile of the messages",
        scale: "ordinal",
        format: (share) => (share === 100 ? "max" : `p${share}`)
      },
      y: { label: "ms from hand-over to final reply", scale: "log" },
      series: rows.flatMap((row) => percentiles(row))
    }
  ]
}
