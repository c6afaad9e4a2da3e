/** The durable outbox: what it costs to lose nothing. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Target } from "../Target.ts"
import type { Workload } from "../Workload.ts"

const workload = "outbox"

const variants = {
  many: "enqueue, 256 callers",
  lone: "enqueue, one at a time",
  large: "enqueue, 8 KB",
  whole: "enqueue, send, settle",
  claim: "claim 250 of a backlog",
  recovery: "start after a crash"
}

const figure =
  (
    variant: keyof typeof variants,
    contestant: string,
    value: (row: BenchReport.Row) => number | null
  ): Target["measure"] =>
  (rows) => {
    const row = BenchReport.find(rows, { workload, variant: variants[variant], contestant })
    return row === undefined ? undefined : (value(row) ?? undefined)
  }

const enqueueing = "mailrace-outbox-enqueue"

export const outbox: Workload = {
  name: workload,
  title: "Outbox",
  description:
    "Composed mails of 1 KB into a SQLite file that waits for the disk at each commit (`normal`: that does not). The row `disk-fsync` is the disk's own rate of writing 4 KB and waiting: who enqueues alone waits for each mail, so that row bounds the other. The outbox has a switch for compression (the 8 KB rows: with zstd, and `plain` without) and for durability; it has none for group commit (one caller's row is what it is without) or for keeping bodies apart, which it always does. Enqueued, sent to the sink and settled at the same time in one process, each byte checked. Claims of 250 mails from a backlog of 1,000,000 (20,000 when quick), made of one template over 256 domains: a message of that row is a claim. The start of a dispatcher on a file in which 100,000 mails (20,000 when quick) are claimed by one that died: a message of that row is a start.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const { quick } = lab.pace
    const enqueued = yield* lab.race({
      workload,
      variant: variants.many,
      sink: "none",
      contenders: [
        { contestant: enqueueing, connections: 1, concurrency: 256 },
        { contestant: `${enqueueing}-normal`, connections: 1, concurrency: 256, rounds: 2 },
        { contestant: enqueueing, variant: variants.lone, connections: 1, concurrency: 1 },
        { contestant: "disk-fsync", variant: variants.lone, connections: 1, rounds: 2 }
      ]
    })
    const large = yield* lab.race({
      workload,
      variant: variants.large,
      sink: "none",
      contenders: [enqueueing, `${enqueueing}-plain`].map((contestant) => ({
        contestant,
        connections: 1,
        concurrency: 256,
        messageBytes: 8192,
        rounds: 2
      }))
    })
    const whole = yield* lab.race({
      workload,
      variant: variants.whole,
      contenders: [{ contestant: "mailrace-outbox", messages: quick ? 5000 : 200_000, rounds: quick ? 2 : 1 }]
    })
    const backlog = yield* lab.race({
      workload,
      variant: variants.claim,
      sink: "none",
      contenders: [
        {
          contestant: "mailrace-outbox-claim",
          connections: 1,
          backlog: quick ? 20_000 : 1_000_000,
          messages: quick ? 25 : 200
        }
      ]
    })
    const recovery = yield* lab.race({
      workload,
      variant: variants.recovery,
      sink: "none",
      contenders: [
        {
          contestant: "mailrace-outbox-recovery",
          connections: 1,
          backlog: quick ? 20_000 : 100_000,
          messages: 1
        }
      ]
    })
    return [...enqueued, ...large, ...whole, ...backlog, ...recovery]
  }),
  targets: [
    {
      id: "outbox.enqueue",
      statement: "enqueueing mails of 1 KB with 256 callers, each on the disk",
      target: 30_000,
      unit: "msg/s",
      measure: figure("many", enqueueing, ({ ratePerSecond }) => ratePerSecond)
    },
    {
      id: "outbox.lone",
      statement: "enqueueing mails of 1 KB one at a time, each on the disk",
      target: 2000,
      unit: "msg/s",
      measure: figure("lone", enqueueing, ({ ratePerSecond }) => ratePerSecond)
    },
    {
      id: "outbox.whole",
      statement: "enqueued, accepted by the sink and settled",
      target: 10_000,
      unit: "msg/s",
      measure: figure("whole", "mailrace-outbox", ({ ratePerSecond }) => ratePerSecond)
    },
    {
      id: "outbox.claim",
      statement: "claiming 250 mails from the backlog",
      target: 5,
      direction: "atMost",
      unit: "ms",
      measure: figure("claim", "mailrace-outbox-claim", ({ p50Ms }) => p50Ms)
    },
    {
      id: "outbox.rss",
      statement: "resident set with the backlog, after filling it",
      target: 250,
      direction: "atMost",
      unit: "MB",
      measure: figure("claim", "mailrace-outbox-claim", ({ rssPeakBytes }) =>
        rssPeakBytes === null ? null : rssPeakBytes / 1e6
      )
    },
    {
      id: "outbox.recovery",
      statement: "opening the file and putting back what a dead dispatcher had claimed",
      target: 2000,
      direction: "atMost",
      unit: "ms",
      measure: figure("recovery", "mailrace-outbox-recovery", ({ p50Ms }) => p50Ms)
    }
  ],
  plots: (rows) => [
    Plot.rateBars(
      rows.filter(({ variant }) => variant !== variants.claim && variant !== variants.recovery),
      (row) => row.variant
    )
  ]
}
