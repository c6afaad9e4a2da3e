/** The cost of flow control that holds nothing back. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import * as RelayCourse from "../internal/relayCourse.ts"
import { simulatedRow } from "../internal/simulatedRow.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { pairedRatio } from "../Statistics.ts"
import type { Workload } from "../Workload.ts"

const workload = "flow"

const contestant = "mailrace-speculative"

const gates = "gates alone"

const of = (rows: ReadonlyArray<BenchReport.Row>, variant: string, name = contestant) =>
  BenchReport.find(rows, { workload, contestant: name, variant })

const courseRows = ({ accepted, at, failed }: RelayCourse.Interval): ReadonlyArray<BenchReport.Row> => [
  simulatedRow({ workload, variant: `${at} s, accepted`, ratePerSecond: accepted }),
  simulatedRow({ workload, variant: `${at} s, refused or failed`, ratePerSecond: failed })
]

const intervals = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.select(rows, { workload, contestant: "simulated" })
    .filter(({ variant }) => variant.endsWith("accepted"))
    .map(({ ratePerSecond, variant }) => ({ at: Number.parseFloat(variant), accepted: ratePerSecond }))

export const flow: Workload = {
  name: workload,
  title: "Flow control",
  description:
    "Messages of 1 KB made beforehand over 10 connections: without flow control, and with a rate, a window, a pace and a circuit that hold nothing back. Then all gates by themselves, including those of a lane and a tenant, without sending. The plot is a simulation: a relay that takes 500 a second is slow (a tenth) from 20 s, refuses all with 421 from 50 s, is dead from 80 s, and is healthy again from 110 s.",
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
    return [...sent, ...asked, ...(yield* RelayCourse.course).flatMap(courseRows)]
  }),
  targets: [
    {
      id: "flow.stream",
      statement: "a stream under flow control, as a share of the rate without",
      target: 0.9,
      unit: "×",
      measure: (rows) => pairedRatio(of(rows, "with")?.runs, of(rows, "without")?.runs)
    },
    {
      id: "flow.gates",
      statement: "all gates together, a message",
      target: 5,
      direction: "atMost",
      unit: "µs",
      measure: (rows) => of(rows, gates, "mailrace-gates")?.cpuMicrosPerMessage ?? undefined
    },
    {
      id: "flow.recovered",
      statement: "the rate from 30 s after a relay is healthy again, as a share of that before its trouble, simulated",
      target: 0.95,
      unit: "×",
      measure: (rows) => RelayCourse.recovered(intervals(rows))
    }
  ],
  plots: (rows) => [
    Plot.rateBars(BenchReport.select(rows, { contestant }), (row) => row.variant),
    {
      kind: "line",
      title: "A relay with trouble, simulated",
      x: { label: "seconds" },
      y: { label: "messages a second" },
      series: Plot.lines(
        BenchReport.select(rows, { contestant: "simulated" }),
        ({ variant }) => Number.parseFloat(variant),
        ({ ratePerSecond }) => ratePerSecond,
        ({ variant }) => variant.split(" s, ")[1]!
      )
    }
  ]
}
