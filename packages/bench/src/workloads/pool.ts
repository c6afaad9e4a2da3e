/** What a pool saves where connecting is dear. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "pool"

/** With this a message on a connection of its own takes about 47 ms, which is the published 21 messages a second. */
const connectDelayMs = 45

const pooled = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.find(rows, { workload, variant: "prewarmed pool", contestant: "mailrace-overlap" })

const unpooled = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.find(rows, { workload, variant: "connection a message", contestant: "mailrace-session" })

export const pool: Workload = {
  name: workload,
  title: "Pool",
  description: `One message after the other to a relay that takes ${connectDelayMs} ms to let a client in: each on a connection of its own, and all through a pool that is warm. Published figures elsewhere are 21 and 154 messages a second.`,
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "prewarmed pool",
      connectDelayMs,
      contenders: [
        {
          contestant: "mailrace-session",
          variant: "connection a message",
          connections: 1,
          concurrency: 1,
          connectionPerMessage: true
        },
        { contestant: "mailrace-overlap", connections: 1, concurrency: 1 },
        { contestant: "nodemailer", variant: "connection a message", connections: 1, concurrency: 1 },
        { contestant: "nodemailer-pool", connections: 1, concurrency: 1 }
      ]
    })
  }),
  targets: [
    {
      id: "pool.gain",
      statement: "prewarmed pool against a connection a message, one message after the other",
      target: 7.3,
      unit: "×",
      measure: (rows) => ratio(pooled(rows)?.ratePerSecond, unpooled(rows)?.ratePerSecond)
    },
    {
      id: "pool.rate",
      statement: "prewarmed pool, one message after the other",
      target: 154,
      unit: "msg/s",
      measure: (rows) => pooled(rows)?.ratePerSecond
    }
  ],
  plots: (rows) => [Plot.rateBars(rows, (row) => row.variant)]
}
