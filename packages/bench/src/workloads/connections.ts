/** The rate by number of connections, and how few are enough. */
import * as Effect from "effect/Effect"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "connections"

export const connections: Workload = {
  name: workload,
  title: "Connections",
  description:
    "Messages of 1 KB made beforehand over 1, 10, 50 and 200 connections (short runs: 1 and 200), no distance.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rows = yield* Effect.forEach(lab.pace.quick ? [1, 200] : [1, 10, 50, 200], (count) =>
      lab.race({
        workload,
        variant: `${count} connection${count === 1 ? "" : "s"}`,
        contenders: [
          "mailrace-speculative",
          "mailrace-overlap",
          "mailrace-envelope",
          "nodemailer-pool",
          "smtp-source"
        ].map((contestant) => ({
          contestant,
          connections: count
        }))
      })
    )
    return rows.flat()
  }),
  targets: [],
  plots: (rows) => [
    {
      kind: "line",
      title: "Rate by connections",
      x: { label: "connections", scale: "ordinal" },
      y: Plot.rateAxis,
      series: Plot.lines(
        rows,
        (row) => row.connections,
        (row) => row.ratePerSecond
      )
    },
    {
      kind: "line",
      title: "CPU by message and connections",
      x: { label: "connections", scale: "ordinal" },
      y: Plot.cpuAxis,
      series: Plot.lines(
        rows,
        (row) => row.connections,
        (row) => row.cpuMicrosPerMessage
      )
    }
  ]
}
