/** The time that a pool saves where connecting is slow. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { ratio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "pool"

/**
 * With this delay a message on a connection of its own takes about 47 ms, which matches the published 21 messages a second.
 */
const connectDelayMs = 45

/** The time that a relay may need to scan a message's content. */
const thinkMs = 20

/** Small enough to replace a connection five times a second. */
const maxMessages = 10

const retiring = `connections replaced after ${maxMessages} messages`
const lasting = "connections that last"

const pooled = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.find(rows, { workload, variant: "prewarmed pool", contestant: "mailrace-envelope" })

const unpooled = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.find(rows, { workload, variant: "connection a message", contestant: "mailrace-session" })

const enveloped = (rows: ReadonlyArray<BenchReport.Row>, variant: string) =>
  BenchReport.find(rows, { workload, variant, contestant: "mailrace-envelope" })

export const pool: Workload = {
  name: workload,
  title: "Pool",
  description: `One message after the other to a relay that takes ${connectDelayMs} ms to let a client in: each on a connection of its own, and all through a pool that is warm. Published figures elsewhere are 21 and 154 messages a second. Then over 4 connections to a relay that thinks ${thinkMs} ms about each message: connections that last, and connections that are replaced after ${maxMessages} messages each.`,
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const connecting = yield* lab.race({
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
        { contestant: "mailrace-envelope", connections: 1, concurrency: 1 },
        { contestant: "nodemailer", variant: "connection a message", connections: 1, concurrency: 1 },
        { contestant: "nodemailer-pool", connections: 1, concurrency: 1 }
      ]
    })
    const replacing = yield* lab.race({
      workload,
      variant: lasting,
      thinkMs,
      contenders: [
        { contestant: "mailrace-envelope", connections: 4 },
        { contestant: "mailrace-envelope", connections: 4, variant: retiring, maxMessages },
        { contestant: "nodemailer-pool", connections: 4 },
        { contestant: "nodemailer-pool", connections: 4, variant: retiring, maxMessages }
      ]
    })
    return [...connecting, ...replacing]
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
    },
    {
      id: "pool.retirement",
      statement: `connections replaced after ${maxMessages} messages against ones that last, ${thinkMs} ms a message`,
      target: 0.95,
      unit: "×",
      measure: (rows) => ratio(enveloped(rows, retiring)?.ratePerSecond, enveloped(rows, lasting)?.ratePerSecond)
    }
  ],
  plots: (rows) => [Plot.rateBars(rows, (row) => row.variant)]
}
