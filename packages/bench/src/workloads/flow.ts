/** What flow control costs where it holds nothing back. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { median } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "flow"

const contestant = "mailrace-speculative"

const gates = "gates alone"

const of = (rows: ReadonlyArray<BenchReport.Row>, variant: string, name = contestant) =>
  BenchReport.find(rows, { workload, contestant: name, variant })

/** The median of the ratios of runs that were taken in turn, because a busy machine is slower in one minute than in the next. */
const paired = (
  ours: ReadonlyArray<number> | undefined,
  theirs: ReadonlyArray<number> | undefined
): number | undefined =>
  ours === undefined || theirs === undefined ? undefined : median(ours.map((figure, at) => figure / theirs[at]!))

export const flow: Workload = {
  name: workload,
  title: "Flow control",
  description:
    "Messages of 1 KB made beforehand over 10 connections: without flow control, and with a rate, a window, a pace and a circuit that hold nothing back. And all gates by themselves, those of a lane and a tenant included, without sending.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rounds = lab.pace.quick ? 3 : 9
    const sent = yield* lab.race({
      workload,
      variant: "without",
      contenders: [
        { contestant, rounds },
        { contestant, rounds, variant: "with", flow: true }
      ]
    })
    const asked = yield* lab.race({
      workload,
      variant: gates,
      sink: "none",
      contenders: [{ contestant: "mailrace-gates", connections: 1 }]
    })
    return [...sent, ...asked]
  }),
  targets: [
    {
      id: "flow.stream",
      statement: "a stream under flow control, as a share of the rate without",
      target: 0.9,
      unit: "×",
      measure: (rows) => paired(of(rows, "with")?.runs, of(rows, "without")?.runs)
    },
    {
      id: "flow.gates",
      statement: "all gates together, a message",
      target: 5,
      direction: "atMost",
      unit: "µs",
      measure: (rows) => of(rows, gates, "mailrace-gates")?.cpuMicrosPerMessage ?? undefined
    }
  ],
  plots: (rows) => [Plot.rateBars(BenchReport.select(rows, { contestant }), (row) => row.variant)]
}
