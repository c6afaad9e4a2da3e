/** A peer without CHUNKING, against the fastest sender in C that exists for it. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { programs } from "../Programs.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "data"

const againstSmtpSource = (rows: ReadonlyArray<BenchReport.Row>, contestant: string) =>
  ratio(
    BenchReport.find(rows, { workload, contestant })?.ratePerSecond,
    BenchReport.find(rows, { workload, contestant: "smtp-source" })?.ratePerSecond
  )

export const data: Workload = {
  name: workload,
  title: "DATA only",
  description:
    "Postfix's smtp-sink, which offers PIPELINING and no CHUNKING, so that no mode can speculate; 10 connections. Without a requested mode Mailrace uses envelope there; overlap is used on request. smtp-sink keeps nothing, so its counter checks delivery. The workload is left out if Postfix's test programs are not installed.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    if (programs.smtpSink === undefined) return []
    return yield* lab.race({
      workload,
      variant: "smtp-sink",
      sink: "smtp-sink",
      contenders: ["mailrace-overlap", "mailrace-auto", "smtp-source", "nodemailer-pool"].map((contestant) => ({
        contestant
      }))
    })
  }),
  targets: [
    {
      id: "data.smtp-source",
      statement: "DATA only, 10 connections, overlap asked for, against smtp-source -d -s 10",
      target: 1.5,
      unit: "×",
      measure: (rows) => againstSmtpSource(rows, "mailrace-overlap")
    },
    {
      id: "data.auto",
      statement: "DATA only, 10 connections, no mode asked for, against smtp-source -d -s 10",
      target: 1,
      unit: "×",
      measure: (rows) => againstSmtpSource(rows, "mailrace-auto")
    }
  ],
  plots: (rows) => [Plot.rateBars(rows), Plot.cpuBars(rows)]
}
