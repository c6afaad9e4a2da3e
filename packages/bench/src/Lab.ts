/**
 * Where contestants race: it starts the processes, warms the contestants up, lets them run in turn (A B A B …), checks
 * what arrived, and makes rows of medians.
 *
 * No figure leaves the lab unless every message was accepted and the sink's digest agrees with the sender's. A
 * contestant that fails is noted and gives no row; the others go on.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { Failure, Row } from "./BenchReport.ts"
import { BenchError } from "./BenchError.ts"
import * as Child from "./Child.ts"
import * as Pace from "./Pace.ts"
import type * as Protocol from "./Protocol.ts"
import type { Contender, Race, SinkChoice } from "./Race.ts"
import * as Runner from "./Runner.ts"
import * as SmtpSink from "./SmtpSink.ts"
import { median, medianOf } from "./Statistics.ts"

/** Where contestants race. */
export class Lab extends Context.Service<
  Lab,
  {
    readonly pace: Pace.Pace
    /** Runs the contenders in turn; gives a row for each that did not fail. */
    readonly race: (race: Race) => Effect.Effect<ReadonlyArray<Row>>
    /** Starts a contestant several times from nothing; gives a row for the start and one for doing nothing after it. */
    readonly startUp: (workload: string, contestant: string) => Effect.Effect<ReadonlyArray<Row>>
    /** Who gave no figure so far. */
    readonly failures: ReadonlyArray<Failure>
  }
>()("@mailrace/bench/Lab") {}

/** How the lab is made. */
export interface Options {
  readonly pace: Pace.Pace
  /** Told what is going on, in a few words. */
  readonly onProgress: (text: string) => Effect.Effect<void>
}

/** A lab whose processes end with the layer. */
export const layer = (options: Options): Layer.Layer<Lab> => Layer.effect(Lab, make(options))

const make = ({ onProgress, pace }: Options): Effect.Effect<Lab["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const sinks = new Map<string, Runner.Sink>()
    const failures: Array<Failure> = []
    let relay: Child.Child<Protocol.RelayRequest> | undefined

    /** Sinks are kept, so that they are warm and cost their start once. */
    const sinkOf = (
      choice: SinkChoice,
      tls: Protocol.SendSpec["tls"],
      thinkMs = 0
    ): Effect.Effect<Runner.Sink | undefined, BenchError> =>
      Effect.gen(function* () {
        if (choice === "none") return undefined
        const key = `${choice} ${tls} ${thinkMs}`
        const known = sinks.get(key)
        if (known !== undefined) return known
        const sink = yield* choice === "smtp-sink" ? SmtpSink.open : openSink({ chunking: true, tls, thinkMs })
        sinks.set(key, sink)
        return sink
      }).pipe(Scope.provide(scope))

    const portOf = (race: Race, targetPort: number): Effect.Effect<number, BenchError> =>
      Effect.gen(function* () {
        const { connectDelayMs = 0, rttMs = 0 } = race
        if (rttMs === 0 && connectDelayMs === 0) return targetPort
        relay ??= yield* Child.fork<Protocol.RelayRequest>("relay", Runner.limitSeconds)
        const opened = yield* relay.ask<Protocol.RelayOpened>({ _tag: "Open", targetPort, rttMs, connectDelayMs })
        return opened.port
      }).pipe(Scope.provide(scope))

    const collectorOf = (race: Race): Effect.Effect<Runner.Collector | undefined, BenchError, Scope.Scope> =>
      Effect.gen(function* () {
        if (!race.contenders.some(({ traceSampling }) => traceSampling !== undefined)) return undefined
        const child = yield* Child.fork<Protocol.CollectorRequest>("collector", Runner.limitSeconds)
        const { port } = yield* child.ask<Protocol.CollectorOpened>({ _tag: "Open" })
        return { port, read: child.ask({ _tag: "Read" }) }
      })

    const noteFailure = (race: Race, contender: Contender, error: BenchError): Effect.Effect<void> => {
      const variant = contender.variant ?? race.variant
      failures.push({ workload: race.workload, variant, contestant: contender.contestant, problem: error.problem })
      return onProgress(`${race.workload} ${variant}: ${contender.contestant} gives no figure: ${error.problem}`)
    }

    const raceAll = (race: Race): Effect.Effect<ReadonlyArray<Row>> =>
      Effect.gen(function* () {
        const sink = yield* sinkOf(race.sink ?? "mailrace", race.tls ?? "off", race.thinkMs)
        const port = sink === undefined ? 0 : yield* portOf(race, sink.opened.port)
        const collector = yield* collectorOf(race)
        const started = yield* Effect.forEach(
          race.contenders,
          (contender) => Effect.result(Runner.open(race, contender, { port, ca: sink?.opened.ca, collector })),
          { concurrency: "unbounded" }
        )
        let racing: Array<Runner.Ready> = []
        /** Does something with each contender in turn; who fails is out. */
        const inTurn = (step: (ready: Runner.Ready) => Effect.Effect<void, BenchError>) =>
          Effect.gen(function* () {
            const left: Array<Runner.Ready> = []
            for (const ready of racing) {
              const result = yield* Effect.result(step(ready))
              if (Result.isSuccess(result)) left.push(ready)
              else yield* noteFailure(race, ready.contender, result.failure)
            }
            racing = left
          })
        for (const [at, result] of started.entries()) {
          if (Result.isSuccess(result)) racing.push(result.success)
          else yield* noteFailure(race, race.contenders[at]!, result.failure)
        }
        const stretched = Pace.stretch(pace, (race.rttMs ?? 0) + (race.thinkMs ?? 0))
        yield* inTurn((ready) => Runner.warmUp(ready, stretched))
        const rounds = race.contenders.map((contender) => contender.rounds ?? pace.rounds)
        for (let round = 0; round < Math.max(...rounds); round++) {
          yield* inTurn((ready) => {
            const { contender } = ready
            if (round >= (contender.rounds ?? pace.rounds)) return Effect.void
            const name = `${race.workload} ${contender.variant ?? race.variant}: ${contender.contestant}`
            return Effect.tap(Runner.run(ready, sink, race.sink === "smtp-sink"), ({ result }) =>
              onProgress(`${name} ${Math.round(Runner.rateOf(result))} msg/s`)
            )
          })
        }
        yield* inTurn((ready) => Runner.close(ready, collector))
        return racing.map((ready) => rowOf(race, ready))
      }).pipe(
        Effect.catch((error: BenchError) =>
          Effect.as(
            Effect.forEach(race.contenders, (contender) => noteFailure(race, contender, error), { discard: true }),
            []
          )
        ),
        Effect.scoped
      )

    const startUp = (workload: string, contestant: string): Effect.Effect<ReadonlyArray<Row>> => {
      const contender: Contender = { contestant, connections: 1, concurrency: 1 }
      const race: Race = { workload, variant: "start", contenders: [contender] }
      return Effect.gen(function* () {
        const sink = yield* sinkOf("mailrace", "off")
        const ready: Array<Runner.Ready> = []
        let idle: Protocol.IdleResult = { cpuMicros: Number.NaN, elapsedMs: Number.NaN }
        for (let round = 0; round < pace.rounds; round++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const started = yield* Runner.open(race, contender, { port: sink!.opened.port })
              started.messages = 1
              ready.push(started)
              yield* Runner.run(started, sink, false)
              yield* onProgress(`${workload} start: ${contestant} ${Math.round(started.runs[0]!.result.firstEndMs)} ms`)
              if (round === pace.rounds - 1) {
                yield* started.sender.ask({ _tag: "Idle", milliseconds: 500 })
                idle = yield* started.sender.ask<Protocol.IdleResult>({
                  _tag: "Idle",
                  milliseconds: pace.quick ? 1000 : 3000
                })
              }
            })
          )
        }
        const firstEnds = ready.flatMap(({ runs }) => runs.map(({ result }) => result.firstEndMs))
        const row = rowOf(race, { ...ready[0]!, runs: ready.flatMap(({ runs }) => runs) })
        const startMs = median(firstEnds)
        return [
          {
            ...row,
            ratePerSecond: 1000 / startMs,
            runs: firstEnds.map((ms) => 1000 / ms),
            p50Ms: startMs,
            minMs: Math.min(...firstEnds),
            meanMs: startMs,
            maxMs: Math.max(...firstEnds),
            p90Ms: null,
            p99Ms: null,
            p999Ms: null,
            bytesPerSecond: null,
            eventLoopDelayP99Ms: null
          },
          {
            ...row,
            variant: "idle",
            messages: 0,
            ratePerSecond: 0,
            runs: [],
            cpuMicrosPerMessage: null,
            eventLoopDelayP99Ms: null,
            idleCpuShare: idle.cpuMicros / 1000 / idle.elapsedMs,
            p50Ms: null,
            p90Ms: null,
            p99Ms: null,
            p999Ms: null,
            minMs: null,
            meanMs: null,
            maxMs: null,
            bytesPerSecond: null
          }
        ]
      }).pipe(Effect.catch((error: BenchError) => Effect.as(noteFailure(race, contender, error), [])))
    }

    return { pace, race: raceAll, startUp, failures }
  })

const openSink = (spec: Protocol.SinkSpec): Effect.Effect<Runner.Sink, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Child.fork<Protocol.SinkRequest>("sink", Runner.limitSeconds)
    const opened = yield* child.ask<Protocol.SinkOpened>({ _tag: "Open", spec })
    return { opened, reset: child.ask({ _tag: "Reset" }), read: child.ask({ _tag: "Read" }) }
  })

/** Up to so many messages of a run, each is looked at by itself. */
const fewMessages = 10

const rowOf = (race: Race, { concurrency, contender, messages, runs }: Runner.Ready): Row => {
  const results = runs.map(({ result }) => result)
  const of = (field: (result: Protocol.RunResult) => number | null) => medianOf(results, field)
  const rates = results.map(Runner.rateOf)
  const ratePerSecond = median(rates)
  const digested = results[0]!.digest
  const messageBytes = digested.messages === 0 ? 0 : digested.bytes / digested.messages
  const elsewhere = results.some(({ sockets }) => sockets === null)
  const { samples, storedBytesPerMessage } = results.at(-1)!
  return {
    workload: race.workload,
    variant: contender.variant ?? race.variant,
    contestant: contender.contestant,
    sink: race.sink ?? "mailrace",
    connections: race.sink === "none" ? 0 : (contender.connections ?? 10),
    concurrency,
    rttMs: race.rttMs ?? 0,
    messageBytes: Math.round(messageBytes),
    recipients: contender.recipients ?? 1,
    messages,
    ratePerSecond,
    cpuMicrosPerMessage: of((result) => result.cpuMicros / result.messages),
    rssPeakBytes: Math.max(...results.map(({ rssPeakBytes }) => rssPeakBytes)),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p90Ms: of(({ p90Ms }) => p90Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    p999Ms: of(({ p999Ms }) => p999Ms),
    meanMs: of(({ meanMs }) => meanMs),
    maxMs: of(({ maxMs }) => maxMs),
    eventLoopDelayP99Ms:
      elsewhere || race.sink === "none" ? null : of(({ eventLoopDelayP99Ms }) => eventLoopDelayP99Ms),
    sockets: of(({ sockets }) => sockets),
    bytesPerSecond: messageBytes * ratePerSecond,
    sinkCpuShare: medianOf(runs, ({ sinkCpuShare }) => sinkCpuShare),
    runs: rates,
    verified: race.sink === "none" ? "none" : race.sink === "smtp-sink" ? "count" : "digest",
    // Of a few events the shortest and the longest say how far they lie apart; of thousands of messages they say little.
    ...(messages <= fewMessages ? { minMs: of(({ minMs }) => minMs) } : {}),
    ...(contender.samples === true ? { samples } : {}),
    ...(storedBytesPerMessage === undefined ? {} : { storedBytesPerMessage })
  }
}
