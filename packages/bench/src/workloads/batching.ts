/** One content for many recipients in one transaction, against a transaction for each. */
import * as Effect from "effect/Effect"
import type { Row } from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "batching"

const counts = [1, 10, 50]

const fewer = [1, 50]

export const batching: Workload = {
  name: workload,
  title: "Recipients in batches",
  description:
    "The same content of 1 KB for 1, 10 (not in short runs) and 50 recipients a transaction, 10 connections, no distance. The figure that counts is recipients a second.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rows = yield* Effect.forEach(lab.pace.quick ? fewer : counts, (recipients) =>
      lab.race({
        workload,
        variant: `${recipients} recipient${recipients === 1 ? "" : "s"}`,
        contenders: ["mailrace-speculative", "mailrace-overlap", "mailrace-envelope", "nodemailer-pool"].map(
          (contestant) => ({
            contestant,
            recipients
          })
        )
      })
    )
    return rows.flat()
  }),
  targets: [],
  plots: (rows) => [
    {
      kind: "line",
      title: "Recipients a second",
      x: { label: "recipients a transaction", scale: "ordinal" },
      y: { label: "recipients a second", scale: "log" },
      series: Plot.lines(rows, (row) => row.recipients, recipientsPerSecond)
    },
    {
      kind: "line",
      title: "CPU by recipient",
      x: { label: "recipients a transaction", scale: "ordinal" },
      y: { label: "sender CPU, µs a recipient", scale: "log" },
      series: Plot.lines(
        rows,
        (row) => row.recipients,
        (row) => (row.cpuMicrosPerMessage === null ? null : row.cpuMicrosPerMessage / row.recipients)
      )
    }
  ]
}

const recipientsPerSecond = (row: Row): number => row.ratePerSecond * row.recipients
