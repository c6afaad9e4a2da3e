/**
 * Races contestants: starts the processes, warms the contestants up, lets them run in turn (A B A B …), checks the messages
 * that arrived, and makes rows of medians.
 *
 * No figure leaves the lab unless every message was accepted and the sink's digest agrees with the sender's. A
 * contestant that fails is noted and gives no row; the others go on.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Failure, Row } from "./BenchReport.ts"
import type { Against } from "./Against.ts"
import type { BenchError } from "./BenchError.ts"
import { collectorOf, LabProcesses } from "./LabProcesses.ts"
import * as Pace from "./Pace.ts"
import type * as Protocol from "./Protocol.ts"
import type { Contender, Race } from "./Race.ts"
import { rowOf, startRows } from "./RaceRow.ts"
import * as Runner from "./Runner.ts"

export class Lab extends Context.Service<
  Lab,
  {
    readonly pace: Pace.Pace
    /** The commit that takes part as a contestant of its own, if there is one. */
    readonly against: string | undefined
    /** Runs the contenders in turn; gives a row for each that did not fail. */
    readonly race: (race: Race) => Effect.Effect<ReadonlyArray<Row>>
    /** Starts a contestant several times from nothing; gives a row for the start and one for doing nothing after it. */
    readonly startUp: (workload: string, contestant: string) => Effect.Effect<ReadonlyArray<Row>>
    /** The contestants that gave no figure so far. */
    readonly failures: ReadonlyArray<Failure>
  }
>()("@mailrace/bench/Lab") {}

/** Options for the lab. */
export interface Options {
  readonly pace: Pace.Pace
  readonly against?: Against | undefined
  /** Receives the progress in a few words. */
  readonly onProgress: (text: string) => Effect.Effect<void>
}

/** Provides a lab, whose processes end with the layer. */
export const layer = (options: Options): Layer.Layer<Lab> => Layer.effect(Lab, make(options))

const make = (options: Options): Effect.Effect<Lab["Service"], never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const { against, pace } = options
    const racing = new Racing(options, new LabProcesses(scope))
    return {
      pace,
      against: against?.commit,
      race: (race) => racing.race(race),
      startUp: (workload, contestant) => racing.startUp(workload, contestant),
      failures: racing.failures
    }
  })

/** Runs races on the lab's processes. */
class Racing {
  readonly failures: Array<Failure> = []
  private readonly options: Options
  private readonly processes: LabProcesses

  constructor(options: Options, processes: LabProcesses) {
    this.options = options
    this.processes = processes
  }

  race(race: Race): Effect.Effect<ReadonlyArray<Row>> {
    const { processes } = this
    const { against } = this.options
    const runInTurn = (sink: Runner.Sink | undefined, way: Runner.Way) => this.runInTurn(race, sink, way)
    return Effect.gen(function* () {
      const sink = yield* processes.sinkOf(race)
      const port = sink === undefined ? 0 : yield* processes.portOf(race, sink.opened.port)
      const collector = yield* collectorOf(race)
      return yield* runInTurn(sink, { port, ca: sink?.opened.ca, collector, against })
    }).pipe(
      Effect.catch((error: BenchError) =>
        Effect.as(
          Effect.forEach(race.contenders, (contender) => this.noteFailure(race, contender, error), { discard: true }),
          []
        )
      ),
      Effect.scoped
    )
  }

  startUp(workload: string, contestant: string): Effect.Effect<ReadonlyArray<Row>> {
    const contender: Contender = { contestant, connections: 1, concurrency: 1 }
    const race: Race = { workload, variant: "start", contenders: [contender] }
    const { rounds: count } = this.options.pace
    const { processes } = this
    const startOnce = (sink: Runner.Sink, isLast: boolean) => this.startOnce(race, sink, isLast)
    return Effect.gen(function* () {
      const sink = yield* processes.sinkOf(race)
      const rounds = Array.from({ length: count }, (_, round) => round)
      const starts = yield* Effect.forEach(rounds, (round) => startOnce(sink!, round === count - 1))
      return startRows(
        race,
        starts.map(({ started }) => started),
        starts.at(-1)!.idle!
      )
    }).pipe(Effect.catch((error: BenchError) => Effect.as(this.noteFailure(race, contender, error), [])))
  }

  private noteFailure(race: Race, contender: Contender, error: BenchError): Effect.Effect<void> {
    const variant = contender.variant ?? race.variant
    this.failures.push({ workload: race.workload, variant, contestant: contender.contestant, problem: error.problem })
    return this.options.onProgress(
      `${race.workload} ${variant}: ${contender.contestant} gives no figure: ${error.problem}`
    )
  }

  /** Runs the contenders in turn over a relay that is up, and drops a contender that fails. */
  private runInTurn(race: Race, sink: Runner.Sink | undefined, way: Runner.Way) {
    const { onProgress, pace } = this.options
    const open = this.open(race, way)
    const noteFailure = (contender: Contender, error: BenchError) => this.noteFailure(race, contender, error)
    return Effect.gen(function* () {
      let racing = yield* open
      const inTurn = (step: (ready: Runner.Ready) => Effect.Effect<void, BenchError>) =>
        Effect.gen(function* () {
          const left: Array<Runner.Ready> = []
          for (const ready of racing) {
            const result = yield* Effect.result(step(ready))
            if (Result.isSuccess(result)) left.push(ready)
            else yield* noteFailure(ready.contender, result.failure)
          }
          racing = left
        })
      const stretched = Pace.stretch(pace, (race.rttMs ?? 0) + (race.thinkMs ?? 0))
      yield* inTurn((ready) => Runner.warmUp(ready, stretched))
      const roundsOf = ({ contender }: Runner.Ready) => contender.rounds ?? pace.rounds
      const longest = Math.max(0, ...racing.map(roundsOf))
      for (let round = 0; round < longest; round++) {
        yield* inTurn((ready) =>
          round >= roundsOf(ready)
            ? Effect.void
            : Effect.tap(Runner.run(ready, race, sink), ({ result }) =>
                onProgress(
                  `${race.workload} ${ready.contender.variant ?? race.variant}: ${ready.name} ${Math.round(Runner.rateOf(result))} msg/s`
                )
              )
        )
      }
      yield* inTurn((ready) => Runner.close(ready, way.collector))
      return racing.map((ready) => rowOf(race, ready))
    })
  }

  /** Opens all contenders, and drops those that cannot be opened. */
  private open(race: Race, way: Runner.Way) {
    const noteFailure = (contender: Contender, error: BenchError) => this.noteFailure(race, contender, error)
    return Effect.gen(function* () {
      const started = yield* Effect.forEach(
        race.contenders,
        (contender) => Effect.result(Runner.open(race, contender, way)),
        { concurrency: "unbounded" }
      )
      const racing: Array<Runner.Ready> = []
      for (const [at, result] of started.entries()) {
        if (Result.isSuccess(result)) racing.push(result.success)
        else yield* noteFailure(race.contenders[at]!, result.failure)
      }
      return racing
    })
  }

  /** Measures one start, from nothing to the first message; after the last start, also some time without messages. */
  private startOnce(race: Race, sink: Runner.Sink, isLast: boolean) {
    const { onProgress, pace } = this.options
    return Effect.gen(function* () {
      const started = yield* Runner.open(race, race.contenders[0]!, { port: sink.opened.port })
      started.messages = 1
      yield* Runner.run(started, race, sink)
      yield* onProgress(`${race.workload} start: ${started.name} ${Math.round(started.runs[0]!.result.firstEndMs)} ms`)
      if (!isLast) return { started, idle: undefined }
      yield* started.sender.ask({ _tag: "Idle", milliseconds: 500 })
      const milliseconds = pace.quick ? 1000 : 3000
      return { started, idle: yield* started.sender.ask<Protocol.IdleResult>({ _tag: "Idle", milliseconds }) }
    }).pipe(Effect.scoped)
  }
}
