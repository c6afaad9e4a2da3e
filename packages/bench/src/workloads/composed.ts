/** Composes every message while it is sent, each unlike all others, as an application does. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "composed"

const mailrace = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.find(rows, { workload, contestant: "mailrace-speculative" })

const nodemailer = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.find(rows, { workload, contestant: "nodemailer-pool" })

export const composed: Workload = {
  name: workload,
  title: "Composed",
  description:
    "Plain-text mails of about 1 KB, each unlike all others and composed within the timed part, 10 connections. Message-ID and date are given, so that the bytes can be checked.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "text, 1 KB",
      contenders: [
        { contestant: "mailrace-speculative", content: "composed" },
        { contestant: "nodemailer-pool", content: "composed" }
      ]
    })
  }),
  targets: [
    {
      id: "composed.rate",
      statement: "composed and sent, against nodemailer's pool",
      target: 10,
      unit: "×",
      measure: (rows) => ratio(mailrace(rows)?.ratePerSecond, nodemailer(rows)?.ratePerSecond)
    },
    {
      id: "composed.cpu",
      statement: "composed and sent: CPU a message of nodemailer's pool, against ours",
      target: 10,
      unit: "×",
      measure: (rows) => ratio(nodemailer(rows)?.cpuMicrosPerMessage, mailrace(rows)?.cpuMicrosPerMessage)
    }
  ],
  plots: (rows) => [Plot.rateBars(rows), Plot.cpuBars(rows)]
}
