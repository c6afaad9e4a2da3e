/** One message at a time, as in a loop with `await`, against all at once. */
import * as Effect from "effect/Effect"
import type { Row } from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "serial"

export const serial: Workload = {
  name: workload,
  title: "One at a time",
  description:
    "A loop that waits for each message before it sends the next, over one connection, against a stream over 10 connections; 5 ms round trip.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const alone = { variant: "one at a time", connections: 1, concurrency: 1 }
    return yield* lab.race({
      workload,
      variant: "all at once",
      rttMs: 5,
      contenders: [
        { contestant: "mailrace-off", ...alone },
        { contestant: "mailrace-speculative", ...alone },
        { contestant: "mailrace-speculative" },
        { contestant: "nodemailer-pool", ...alone },
        { contestant: "nodemailer-pool" }
      ]
    })
  }),
  targets: [],
  plots: (rows) => [
    Plot.rateBars(rows, (row) => row.variant),
    {
      kind: "bar",
      title: "Latency, 50th and 99th percentile",
      label: "ms",
      bars: rows.flatMap((row: Row) => [
        ...Plot.bars(
          [row],
          ({ p50Ms }) => p50Ms,
          ({ variant }) => `${variant}, p50`
        ),
        ...Plot.bars(
          [row],
          ({ p99Ms }) => p99Ms,
          ({ variant }) => `${variant}, p99`
        )
      ])
    }
  ]
}
