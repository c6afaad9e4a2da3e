/** The durable outbox: the cost of losing nothing. */
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
  bodies: "stored, claimed, settled",
  whole: "enqueue, send, settle"
}

const enqueueing = "mailrace-outbox-enqueue"

const rateOf =
  (variant: keyof typeof variants, contestant: string): Target["measure"] =>
  (rows) =>
    BenchReport.find(rows, { workload, variant: variants[variant], contestant })?.ratePerSecond

const diskRate = rateOf("lone", "disk-fsync")

export const outbox: Workload = {
  name: workload,
  title: "Outbox",
  description:
    "Composed mails of 1 KB into a SQLite file that waits for the disk at each commit. For each technique of the outbox, one row leaves it out: waiting for the disk (`normal` does not), group commit (`alone` commits each mail by itself), compression (`plain` has none, with mails of 8 KB), bodies apart from their rows (`within` keeps them in; both are written directly on node:sqlite, so that nothing else differs: the outbox itself has no switch for it). The row `disk-fsync` is the disk's own rate of writing 4 KB and waiting: a caller that enqueues one at a time waits for each mail, so that row bounds the other. In the last row mails are enqueued, sent to the sink and settled at the same time in one process, each byte checked.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const { quick } = lab.pace
    const many = { connections: 1, concurrency: 256 }
    /** Rows that only serve as comparisons need fewer rounds. */
    const rounds = quick ? 1 : 2
    const enqueued = yield* lab.race({
      workload,
      variant: variants.many,
      sink: "none",
      contenders: [
        { contestant: enqueueing, ...many },
        { contestant: `${enqueueing}-normal`, ...many, rounds },
        { contestant: `${enqueueing}-alone`, ...many, rounds },
        { contestant: enqueueing, variant: variants.lone, connections: 1, concurrency: 1 },
        { contestant: "disk-fsync", variant: variants.lone, connections: 1, rounds }
      ]
    })
    const large = yield* lab.race({
      workload,
      variant: variants.large,
      sink: "none",
      contenders: [enqueueing, `${enqueueing}-plain`].map((contestant) => ({
        contestant,
        ...many,
        messageBytes: 8192,
        rounds
      }))
    })
    const bodies = yield* lab.race({
      workload,
      variant: variants.bodies,
      sink: "none",
      contenders: ["sqlite-bodies-apart", "sqlite-bodies-within"].map((contestant) => ({
        contestant,
        connections: 1,
        rounds
      }))
    })
    const whole = yield* lab.race({
      workload,
      variant: variants.whole,
      contenders: [{ contestant: "mailrace-outbox", messages: quick ? 5000 : 200_000, rounds: quick ? 2 : 1 }]
    })
    return [...enqueued, ...large, ...bodies, ...whole]
  }),
  targets: [
    {
      id: "outbox.enqueue",
      statement: "enqueueing mails of 1 KB with 256 callers, each on the disk",
      target: 30_000,
      unit: "msg/s",
      measure: rateOf("many", enqueueing)
    },
    {
      id: "outbox.lone",
      statement: "enqueueing mails of 1 KB one at a time, each on the disk (at most 0.9 of what the disk can)",
      target: 2000,
      allowed: (rows) => {
        const rate = diskRate(rows)
        return rate === undefined ? undefined : 0.9 * rate
      },
      unit: "msg/s",
      measure: rateOf("lone", enqueueing)
    },
    {
      id: "outbox.whole",
      statement: "enqueued, accepted by the sink and settled",
      target: 10_000,
      unit: "msg/s",
      measure: rateOf("whole", "mailrace-outbox")
    }
  ],
  plots: (rows) => [Plot.rateBars(rows, (row) => row.variant)]
}
