/** Relays as they are in practice: they think, they are far away, they limit connections, and connections break. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { simulatedRow } from "../internal/simulatedRow.ts"
import * as Simulation from "../internal/simulation.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Contender, Race } from "../Race.ts"
import { pairedRatio, ratio } from "../Statistics.ts"
import type { Target } from "../Target.ts"
import type { Workload } from "../Workload.ts"

const workload = "relay"

const thinkTimes = [0, 10, 50, 300]
const roundTrips = [0, 20, 80]
const connectionCounts = [1, 10, 50]

const cases = {
  burst: "burst of 40, 300 ms",
  bulk: "bulk, 50 ms, 20 ms away",
  near: "no think time",
  far: "no think time, 20 ms away",
  tls: "no think time, TLS",
  clear: "no think time, in turn with TLS",
  greeting: "3 of 10 connections, told at greeting",
  auth: "3 of 10 connections, told at AUTH",
  cut: "connections cut, 100 ms, 20 ms away",
  alone: "one each 100 ms, 20 ms, alone",
  beside: "one each 100 ms, 20 ms, beside a campaign",
  interrupt: "interrupt of 20 mails, 4 s"
}

const simulatedVariant = ({ connections, rttMs, thinkMs }: Simulation.Circumstances): string =>
  `${thinkMs} ms, ${rttMs} ms away, ${connections} connections`

/** The cells at the corners of the plot, over sockets. */
const corners: ReadonlyArray<Simulation.Circumstances> = [0, 300].flatMap((thinkMs) =>
  [0, 80].flatMap((rttMs) => [1, 50].map((connections) => ({ thinkMs, rttMs, connections })))
)

const simulated = Effect.forEach(thinkTimes, (thinkMs) =>
  Effect.forEach(roundTrips, (rttMs) =>
    Effect.forEach(connectionCounts, (connections) =>
      Effect.map(
        Effect.promise(() => Simulation.boundShare({ thinkMs, rttMs, connections })),
        (share) => simulatedCell({ thinkMs, rttMs, connections }, share)
      )
    )
  )
).pipe(Effect.map((rows) => rows.flat(2)))

const simulatedCell = (at: Simulation.Circumstances, boundShare: number): BenchReport.Row =>
  simulatedRow({
    workload,
    variant: simulatedVariant(at),
    connections: at.connections,
    concurrency: 32 * at.connections,
    rttMs: at.rttMs,
    ratePerSecond: (boundShare * at.connections * 1000) / Math.max(at.thinkMs, 0.05, at.rttMs / 32),
    boundShare
  })

/** A race without a sink of its own: each message of its row is an event. */
const event = (contestant: string, variant: string, messages: number): Race => ({
  workload,
  variant,
  sink: "none",
  contenders: [{ contestant, messages, rounds: 1, skipsWarmUp: true }]
})

const race = (variant: string, circumstances: Partial<Race>, contenders: ReadonlyArray<Contender>): Race => ({
  workload,
  variant,
  ...circumstances,
  contenders
})

/** A contender for a sink that thinks: `count` whole turns of its connections. */
const turns = (contestant: string, connections: number, count: number): Contender => ({
  contestant,
  connections,
  messages: connections * count
})

const races = (quick: boolean, against: string | undefined): ReadonlyArray<Race> => {
  const rounds = quick ? 1 : 3
  const paired = (contestant: string): ReadonlyArray<Contender> => {
    const contender = { contestant, rounds: quick ? 3 : 9 }
    return against === undefined ? [contender] : [contender, { ...contender, isAgainst: true }]
  }
  const bulk = (contestant: string): Contender => ({
    ...turns(contestant, 10, quick ? 20 : 40),
    rounds: quick ? 1 : 3,
    skipsWarmUp: true
  })
  const cell = (at: Simulation.Circumstances): Race => {
    const { connections, rttMs, thinkMs } = at
    const contender = (contestant: string): Contender =>
      thinkMs === 0
        ? { contestant, connections, rounds: 1 }
        : { ...turns(contestant, connections, 8), rounds: 1, skipsWarmUp: true }
    const contenders = [contender("mailrace-auto"), contender("nodemailer-pool")]
    return race(simulatedVariant(at), { rttMs, thinkMs }, contenders)
  }
  const cold = (contestant: string): Contender => ({ contestant, messages: 40, isCold: true, rounds })
  const limited = (toldAt: "greeting" | "auth"): Race =>
    race(cases[toldAt], { thinkMs: 50, limit: { connections: 3, toldAt } }, [
      { contestant: "mailrace-auto", messages: quick ? 90 : 400, isCold: true, rounds: 1, skipsWarmUp: true }
    ])
  return [
    race(cases.near, {}, paired("mailrace-speculative")),
    race(cases.far, { rttMs: 20 }, paired("mailrace-speculative")),
    // Runs them in turn, because the same code takes half as much again when the machine is busy.
    race(cases.tls, { tls: "required" }, [
      { contestant: "mailrace-speculative", rounds: quick ? 3 : 9 },
      { contestant: "mailrace-speculative", rounds: quick ? 3 : 9, tls: "off", variant: cases.clear }
    ]),
    race(cases.burst, { thinkMs: 300 }, [cold("mailrace-auto"), cold("nodemailer-pool")]),
    race(cases.bulk, { thinkMs: 50, rttMs: 20 }, [
      bulk("mailrace-speculative"),
      bulk("mailrace-envelope"),
      bulk("mailrace-off"),
      bulk("nodemailer-pool")
    ]),
    limited("greeting"),
    limited("auth"),
    event("mailrace-cut", cases.cut, quick ? 1 : 3),
    event("mailrace-urgent-alone", cases.alone, quick ? 20 : 150),
    event("mailrace-urgent-beside", cases.beside, quick ? 20 : 300),
    ...(quick ? [] : [event("mailrace-interrupt", cases.interrupt, 1), ...corners.map(cell)])
  ]
}

type Rows = ReadonlyArray<BenchReport.Row>

const row = (rows: Rows, variant: string, contestant: string) =>
  BenchReport.find(rows, { workload, variant, contestant })

type Runs = (row: BenchReport.Row) => ReadonlyArray<number> | undefined

/** The median of the ratios of two rows' runs, which were taken in turn. */
const paired = (
  ours: BenchReport.Row | undefined,
  theirs: BenchReport.Row | undefined,
  runs: Runs
): number | undefined => pairedRatio(ours && runs(ours), theirs && runs(theirs))

/** The same ratio, against the other commit. */
const pairedAgainst = (rows: Rows, variant: string, runs: Runs): number | undefined =>
  paired(
    row(rows, variant, "mailrace-speculative"),
    rows.find((each) => each.variant === variant && each.contestant.includes("@")),
    runs
  )

const bulkTarget = (mode: string, trips: number): Target => ({
  id: `relay.bulk.${mode}`,
  statement: `bulk at 50 ms and 20 ms round trip in ${mode}, against 10 connections that lose ${trips} round trips a message`,
  target: 0.95,
  unit: "×",
  measure: (rows) => ratio(row(rows, cases.bulk, `mailrace-${mode}`)?.ratePerSecond, 10_000 / (50 + 20 * trips))
})

const limitTarget = (toldAt: "greeting" | "auth"): Target => ({
  id: `relay.limit.${toldAt}`,
  statement: `a relay that takes ${cases[toldAt]}, 50 ms a message, against its bound`,
  target: 0.9,
  unit: "×",
  measure: (rows) => row(rows, cases[toldAt], "mailrace-auto")?.boundShare
})

const pairedTargets = (variant: string, id: string): ReadonlyArray<Target> => [
  {
    id: `relay.against.${id}.rate`,
    statement: `rate against the other commit (--against), ${variant}`,
    target: 0.95,
    unit: "×",
    measure: (rows) => pairedAgainst(rows, variant, ({ runs }) => runs)
  },
  {
    id: `relay.against.${id}.cpu`,
    statement: `CPU a message against the other commit (--against), ${variant}`,
    target: 1.05,
    direction: "atMost",
    unit: "×",
    measure: (rows) => pairedAgainst(rows, variant, ({ cpuRuns }) => cpuRuns)
  }
]

export const relay: Workload = {
  name: workload,
  title: "Relays",
  description:
    "Relays that take their time for a message, answer a connection's messages in order, are far away, take 3 of 10 connections, or lose them; messages of 1 KB, 10 connections unless stated otherwise. The share of the bound is the time that the relay's thinking alone would have taken, divided by the time that the run took. Bursts and limits begin without a connection. A message of the row about cuts is a cut, and its time is the number of messages that a connection had handed over without an answer; a message of the row about interrupts is an interrupt. The cells of the plot are the pool's scheduler in simulated time, its corners are repeated over sockets (not in short runs). With --against another commit runs in turn with this one.",
  run: Effect.gen(function* () {
    const { against, pace, race: run } = yield* Lab
    const measured = yield* Effect.forEach(races(pace.quick, against), run)
    return [...(yield* simulated), ...measured.flat()]
  }),
  targets: [
    {
      id: "relay.burst",
      statement: "a burst of 40 without a connection, 300 ms a message, against its bound",
      target: 1.15,
      direction: "atMost",
      unit: "×",
      measure: (rows) => ratio(1, row(rows, cases.burst, "mailrace-auto")?.boundShare)
    },
    bulkTarget("speculative", 0),
    bulkTarget("envelope", 2),
    bulkTarget("off", 4),
    ...pairedTargets(cases.near, "near"),
    ...pairedTargets(cases.far, "far"),
    {
      id: "relay.cut",
      statement: "messages handed over and unanswered when a connection is cut, 100 ms a message, 20 ms away",
      target: 3,
      direction: "atMost",
      unit: "",
      measure: (rows) => row(rows, cases.cut, "mailrace-cut")?.p50Ms ?? undefined
    },
    {
      id: "relay.urgent",
      statement: "a lone message beside a campaign, p99 against alone",
      target: 3,
      direction: "atMost",
      unit: "×",
      measure: (rows) =>
        ratio(
          row(rows, cases.beside, "mailrace-urgent-beside")?.p99Ms,
          row(rows, cases.alone, "mailrace-urgent-alone")?.p99Ms
        )
    },
    limitTarget("greeting"),
    limitTarget("auth"),
    {
      id: "relay.interrupt",
      statement: "an interrupt of 20 mails after 1 s, 4 s a message",
      target: 4500,
      direction: "atMost",
      unit: "ms",
      measure: (rows) => row(rows, cases.interrupt, "mailrace-interrupt")?.maxMs ?? undefined
    },
    {
      id: "relay.tls",
      statement: "CPU a message over TLS, against plain",
      target: 1.15,
      direction: "atMost",
      unit: "×",
      measure: (rows) =>
        paired(
          row(rows, cases.tls, "mailrace-speculative"),
          row(rows, cases.clear, "mailrace-speculative"),
          ({ cpuRuns }) => cpuRuns
        )
    }
  ],
  plots: (rows) => [
    {
      kind: "line",
      title: "Share of the bound, simulated",
      x: { label: "think time, ms", scale: "ordinal" },
      y: { label: "share of the bound" },
      series: Plot.lines(
        rows.filter(({ contestant }) => contestant === "simulated"),
        ({ variant }) => Number.parseInt(variant, 10),
        ({ boundShare = null }) => boundShare,
        ({ connections, rttMs }) => `${connections} × ${rttMs} ms`
      )
    },
    {
      kind: "bar",
      title: "Share of the bound, over sockets",
      label: "share of the bound",
      bars: Plot.bars(
        rows.filter(({ contestant }) => contestant !== "simulated"),
        ({ boundShare = null }) => boundShare,
        ({ variant }) => variant
      )
    }
  ]
}
