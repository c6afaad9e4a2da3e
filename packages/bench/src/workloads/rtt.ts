/** Distance: the cost of round trips. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "rtt"

const roundTrips = [0, 5, 20, 80]

const fewer = [0, 20]

const at20 = (rows: ReadonlyArray<BenchReport.Row>, contestant: string) =>
  BenchReport.find(rows, { workload, contestant, rttMs: 20 })?.ratePerSecond

export const rtt: Workload = {
  name: workload,
  title: "Round trips",
  description:
    "As in Loopback, with a relay in between that delays every byte by half a round trip in each direction and limits nothing else; 10 connections, messages of 1 KB. Short runs leave 5 and 80 ms out.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rows = yield* Effect.forEach(lab.pace.quick ? fewer : roundTrips, (rttMs) =>
      lab.race({
        workload,
        variant: `${rttMs} ms`,
        rttMs,
        contenders: [
          { contestant: "mailrace-speculative" },
          { contestant: "mailrace-overlap" },
          { contestant: "mailrace-envelope" },
          { contestant: "mailrace-off" },
          { contestant: "nodemailer-pool" },
          { contestant: "smtp-source" }
        ]
      })
    )
    return rows.flat()
  }),
  targets: [
    {
      id: "rtt.overlap",
      statement: "overlap, asked for, at 20 ms round trip and 10 connections, against nodemailer's pool",
      target: 1.9,
      unit: "×",
      measure: (rows) => ratio(at20(rows, "mailrace-overlap"), at20(rows, "nodemailer-pool"))
    },
    {
      id: "rtt.speculative",
      statement: "speculative at 20 ms round trip and 10 connections, against nodemailer's pool",
      target: 40,
      unit: "×",
      measure: (rows) => ratio(at20(rows, "mailrace-speculative"), at20(rows, "nodemailer-pool"))
    }
  ],
  plots: (rows) => [
    {
      kind: "line",
      title: "Rate by round trip",
      x: { label: "round trip, ms", scale: "ordinal" },
      y: Plot.rateAxis,
      series: Plot.lines(
        rows,
        (row) => row.rttMs,
        (row) => row.ratePerSecond
      )
    },
    {
      kind: "line",
      title: "Median latency by round trip",
      x: { label: "round trip, ms", scale: "ordinal" },
      y: { label: "ms from hand-over to final reply", scale: "log" },
      series: Plot.lines(
        rows,
        (row) => row.rttMs,
        (row) => row.p50Ms
      )
    }
  ]
}
