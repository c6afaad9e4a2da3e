/** An outbox of a million messages: the work of one file besides sending. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Contender } from "../Race.ts"
import { ratio } from "../Statistics.ts"
import type { Target } from "../Target.ts"
import type { Workload } from "../Workload.ts"

const workload = "million"

const rows = {
  sweep: { variant: "sweep, nothing overdue", contestant: "mailrace-outbox-sweep" },
  overdue: { variant: "sweep, 100,000 overdue", contestant: "mailrace-outbox-sweep-overdue" },
  half: { variant: "sweep, 50,000 overdue", contestant: "mailrace-outbox-sweep-overdue" },
  besideSweep: { variant: "enqueue beside sweeps", contestant: "mailrace-outbox-beside-sweep" },
  besideDrain: { variant: "enqueue beside a drain", contestant: "mailrace-outbox-beside-drain" },
  oneLane: { variant: "drain, 1 lane", contestant: "mailrace-outbox-drain" },
  manyLanes: { variant: "drain, 10,000 lanes", contestant: "mailrace-outbox-drain" },
  purge: { variant: "purge", contestant: "mailrace-outbox-purge" },
  durable: { variant: "send --durable again", contestant: "mailrace-command-durable" }
}

const row = (all: ReadonlyArray<BenchReport.Row>, name: keyof typeof rows) =>
  BenchReport.find(all, { workload, ...rows[name] })

const figure =
  (name: keyof typeof rows, value: (row: BenchReport.Row) => number | null): Target["measure"] =>
  (all) => {
    const found = row(all, name)
    return found === undefined ? undefined : (value(found) ?? undefined)
  }

const drained = 300_000
const purged = 300_000

export const million: Workload = {
  name: workload,
  title: "Outbox of a million",
  description:
    "A SQLite file in which 1,000,000 mails of one lane wait for one moment (10,000 when quick). A message of the sweep rows is a whole sweep: of all of them, and of files in which a tenth is overdue (100,000 of 1,000,000 mails, 50,000 of 500,000). Another process enqueues one mail every 5 ms beside a dispatcher that sweeps each second, and beside one that drains 300,000. A message of the drain rows is a drain of 300,000 mails over a transport that takes everything at once; of the purge row, a purge of 300,000. The last row is `mailrace send --durable` with 300,000 messages that the outbox already has and a new one, from the start of the process until the relay has the new one. Quick runs use a hundredth of all numbers.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const { quick } = lab.pace
    const scale = quick ? 100 : 1
    const race = (contender: Contender & { readonly variant: string }) =>
      lab.race({
        workload,
        // Gives short runs names of their own, because no target concerns them.
        variant: quick ? `${contender.variant} (short)` : contender.variant,
        sink: "none",
        contenders: [{ ...contender, variant: undefined, connections: 1, rounds: quick ? 1 : 2 }]
      })
    const found = [
      yield* race({ ...rows.sweep, backlog: 1_000_000 / scale, messages: 3 }),
      yield* race({ ...rows.overdue, backlog: 1_000_000 / scale, messages: 1 }),
      yield* race({ ...rows.half, backlog: 500_000 / scale, messages: 1 }),
      yield* race({ ...rows.besideSweep, backlog: 1_000_000 / scale, messages: quick ? 50 : 1500 }),
      yield* race({ ...rows.besideDrain, backlog: drained / scale, messages: quick ? 50 : 1000 }),
      yield* race({ ...rows.oneLane, backlog: drained / scale, messages: 1 }),
      yield* race({ ...rows.manyLanes, backlog: drained / scale, lanes: 10_000 / scale, messages: 1 }),
      yield* race({ ...rows.purge, backlog: purged / scale, messages: 1 }),
      yield* race({ ...rows.durable, backlog: 300_000 / scale, messages: 1 })
    ]
    return found.flat()
  }),
  targets: [
    {
      id: "million.sweep",
      statement: "a sweep beside 1,000,000 mails that wait for one moment",
      target: 1000,
      direction: "atMost",
      unit: "ms",
      measure: figure("sweep", ({ p50Ms }) => p50Ms)
    },
    {
      id: "million.linear",
      statement: "CPU of a sweep of 100,000 overdue mails against one of 50,000",
      target: 2.4,
      direction: "atMost",
      unit: "×",
      measure: (all) =>
        ratio(row(all, "overdue")?.cpuMicrosPerMessage ?? undefined, row(all, "half")?.cpuMicrosPerMessage ?? undefined)
    },
    {
      id: "million.beside.sweep",
      statement: "enqueue by another process beside sweeps, p99",
      target: 25,
      direction: "atMost",
      unit: "ms",
      measure: figure("besideSweep", ({ p99Ms }) => p99Ms)
    },
    {
      id: "million.beside.sweep.max",
      statement: "the same, at most",
      target: 250,
      direction: "atMost",
      unit: "ms",
      measure: figure("besideSweep", ({ maxMs }) => maxMs)
    },
    {
      id: "million.beside.drain",
      statement: "enqueue by another process beside a drain, p99",
      target: 25,
      direction: "atMost",
      unit: "ms",
      measure: figure("besideDrain", ({ p99Ms }) => p99Ms)
    },
    {
      id: "million.lanes",
      statement: "a drain over 10,000 lanes, as a share of the rate over one",
      target: 0.7,
      direction: "atLeast",
      unit: "×",
      measure: (all) => ratio(row(all, "oneLane")?.p50Ms ?? undefined, row(all, "manyLanes")?.p50Ms ?? undefined)
    },
    {
      id: "million.purge",
      statement: "purging a mail",
      target: 10,
      direction: "atMost",
      unit: "µs",
      measure: figure("purge", ({ p50Ms }) => (p50Ms === null ? null : (p50Ms * 1000) / purged))
    },
    {
      id: "million.durable",
      statement: "the second send --durable of 300,000, until it sends",
      target: 2000,
      direction: "atMost",
      unit: "ms",
      measure: figure("durable", ({ p50Ms }) => p50Ms)
    }
  ],
  plots: (all) => [Plot.timeBars(all)]
}
