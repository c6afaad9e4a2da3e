/** DKIM alone: the cost of a signature. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "dkim"

const rate = (rows: ReadonlyArray<BenchReport.Row>, contestant: string) =>
  BenchReport.find(rows, { workload, contestant })?.ratePerSecond

export const dkim: Workload = {
  name: workload,
  title: "DKIM",
  description:
    "Composed mails of 1 KB, each signed as a whole and discarded, 32 in flight. The time of a signature is by the clock, so that cores beside the event loop count; its CPU is that of all threads.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "1 KB",
      sink: "none",
      contenders: ["mailrace-dkim-ed25519", "mailrace-dkim-rsa", "nodemailer-dkim-rsa"].map((contestant) => ({
        contestant,
        connections: 1,
        concurrency: 32
      }))
    })
  }),
  targets: [
    {
      id: "dkim.ed25519",
      statement: "signing a mail by Ed25519, by the clock",
      target: 60,
      direction: "atMost",
      unit: "µs",
      measure: (rows) => ratio(1e6, rate(rows, "mailrace-dkim-ed25519"))
    },
    {
      id: "dkim.rsa",
      statement: "signing a mail by RSA-2048, by the clock with 32 in flight",
      target: 350,
      direction: "atMost",
      unit: "µs",
      measure: (rows) => ratio(1e6, rate(rows, "mailrace-dkim-rsa"))
    }
  ],
  plots: (rows) => [Plot.rateBars(rows)]
}
