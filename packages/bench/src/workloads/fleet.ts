/** Dispatchers that share an outbox in PostgreSQL: how soon they take over from each other, and their cost. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import { median } from "../Statistics.ts"
import type { Target } from "../Target.ts"
import type { Workload } from "../Workload.ts"

const workload = "fleet"

const rows = {
  kill: { variant: "kill -9, until taken over", contestant: "mailrace-fleet-kill" },
  join: { variant: "join, until it has its share", contestant: "mailrace-fleet-join" },
  leave: { variant: "leave, until others have all", contestant: "mailrace-fleet-leave" },
  restart: { variant: "PostgreSQL restarts, until a mail is sent", contestant: "mailrace-fleet-restart" },
  idle: { variant: "idle, between transactions", contestant: "mailrace-fleet-idle" },
  dispatch: { variant: "dispatch", contestant: "mailrace-fleet-dispatch" }
}

type Name = keyof typeof rows

const row = (all: ReadonlyArray<BenchReport.Row>, name: Name) => BenchReport.find(all, { workload, ...rows[name] })

/** Takes the longest of all times: a fleet is as good as its slowest takeover. */
const slowest =
  (name: Name): Target["measure"] =>
  (all) =>
    row(all, name)?.maxMs ?? undefined

const within = (name: Name, statement: string, target: number): Target => ({
  id: `fleet.${name}`,
  statement: `${statement}, the slowest of all`,
  target,
  direction: "atMost",
  unit: "ms",
  measure: slowest(name)
})

/** The runs of both commits alternate, so each is compared with its neighbour. */
const cpuAgainst: Target["measure"] = (all) => {
  const ours = row(all, "dispatch")?.cpuRuns
  const theirs = all.find((each) => each.variant === rows.dispatch.variant && each.contestant.includes("@"))?.cpuRuns
  return ours === undefined || theirs === undefined ? undefined : median(ours.map((cpu, at) => cpu / theirs[at]!))
}

export const fleet: Workload = {
  name: workload,
  title: "Fleet",
  description:
    "Dispatchers in processes of their own share one outbox in PostgreSQL, with the heartbeat and lease of the defaults, while 300 mails, each of which takes 10 ms, are on their way. A message is one event: a dispatcher is killed, until another owns its buckets; one joins, from its registration until shares are equal; one leaves after SIGTERM, until another owns all; PostgreSQL restarts, from when it accepts sessions until a mail is sent. After each event all mails must have been accepted. A message of the idle row is the mean time between two transactions of one of two dispatchers that have nothing to do, in a window of 5 s. The last row is a drain by one dispatcher over SmtpTransport, each byte checked, of 60,000 messages that another process enqueued; its CPU time is that of the warm dispatcher's process, without PostgreSQL's. With --against another commit drains in turn with this one, seven times, and the median of the seven ratios counts. Each event happens five times, in quick runs once.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const { quick } = lab.pace
    const dispatch = {
      contestant: rows.dispatch.contestant,
      messages: quick ? 2000 : 60_000,
      rounds: quick ? 1 : 7
    }
    const events = (name: Exclude<Name, "dispatch">) =>
      lab.race({
        workload,
        variant: rows[name].variant,
        sink: "none",
        contenders: [{ contestant: rows[name].contestant, connections: 1, messages: quick ? 1 : 5, rounds: 1 }]
      })
    const found = [
      yield* events("kill"),
      yield* events("join"),
      yield* events("leave"),
      yield* events("restart"),
      yield* events("idle"),
      yield* lab.race({
        workload,
        variant: rows.dispatch.variant,
        contenders: lab.against === undefined ? [dispatch] : [dispatch, { ...dispatch, isAgainst: true }]
      })
    ]
    return found.flat()
  }),
  targets: [
    within("kill", "a dispatcher that is killed is replaced", 2000),
    within("join", "a dispatcher that joins has its share", 2000),
    within("leave", "a dispatcher that leaves is replaced", 1000),
    within("restart", "after a restart of PostgreSQL mails are sent again", 3000),
    {
      id: "fleet.idle",
      statement: "transactions a second of a dispatcher that has nothing to do",
      target: 4,
      direction: "atMost",
      unit: "/s",
      measure: (all) => row(all, "idle")?.ratePerSecond
    },
    {
      id: "fleet.against.cpu",
      statement: "CPU a message of a drain against the other commit (--against)",
      target: 1.05,
      direction: "atMost",
      unit: "×",
      measure: cpuAgainst
    }
  ],
  plots: (all) => [
    {
      kind: "bar",
      title: "Time",
      label: "ms",
      bars: Plot.bars(
        all.filter(({ variant }) => variant !== rows.dispatch.variant),
        ({ p50Ms }) => p50Ms,
        ({ variant }) => variant
      )
    }
  ]
}
