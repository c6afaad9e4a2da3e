/**
 * Opens, warms up, runs and closes the process of one contender. A run counts only if its messages arrived.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Against } from "./Against.ts"
import { BenchError } from "./BenchError.ts"
import * as Child from "./Child.ts"
import type * as Pace from "./Pace.ts"
import type * as Protocol from "./Protocol.ts"
import type { Contender, Race } from "./Race.ts"
import { problemOf } from "./Verification.ts"

/** How long a process may be silent before it is killed, in seconds. */
export const limitSeconds = 120

/** The sink, seen from here. */
export interface Sink {
  readonly opened: Protocol.SinkOpened
  readonly reset: Effect.Effect<void, BenchError>
  readonly read: Effect.Effect<Protocol.SinkReading, BenchError>
}

/** The collector of spans, seen from here. */
export interface Collector {
  readonly port: number
  readonly read: Effect.Effect<Protocol.CollectorReading, BenchError>
}

/** The way from a contender to the sink. */
export interface Way {
  readonly port: number
  readonly ca?: string | undefined
  readonly collector?: Collector | undefined
  /** The libraries of another commit. */
  readonly against?: Against | undefined
}

/** A contender that is open. */
export interface Ready {
  readonly contender: Contender
  /** Its name in the report: the contestant's, with the commit where it runs on that of another. */
  readonly name: string
  readonly sender: Child.Child<Protocol.SenderRequest>
  readonly concurrency: number
  readonly leastBatch: number
  readonly warmsUp: boolean
  readonly runs: Array<Run>
  messages: number
  next: number
}

/** A timed run whose messages all arrived. */
export interface Run {
  readonly result: Protocol.RunResult
  readonly sinkCpuShare: number | null
  /** For a sink that thinks, the part of its connections' time in which it was busy with messages. */
  readonly boundShare: number | null
}

/** Starts the process of a contender and opens its connections; the process ends with the scope. */
export const open = (
  race: Race,
  contender: Contender,
  { against, ca, collector, port }: Way
): Effect.Effect<Ready, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const other = contender.isAgainst === true ? against : undefined
    const sender = yield* Child.fork<Protocol.SenderRequest>("sender", limitSeconds, other?.source)
    const tls = contender.tls ?? race.tls ?? "off"
    const spec: Protocol.SendSpec = {
      contestant: contender.contestant,
      host: "127.0.0.1",
      port,
      connections: contender.connections ?? 10,
      concurrency: contender.concurrency,
      messageBytes: contender.messageBytes ?? 1024,
      content: contender.content ?? "prebuilt",
      recipients: contender.recipients ?? 1,
      shape: contender.shape,
      tls,
      ca: tls === "off" ? undefined : ca,
      connectionPerMessage: contender.connectionPerMessage,
      resumeTls: contender.resumeTls,
      maxMessages: contender.maxMessages,
      isCold: contender.isCold,
      flow: contender.flow,
      router: contender.router,
      metrics: contender.metrics,
      login: race.limit?.toldAt === "auth",
      backlog: contender.backlog,
      lanes: contender.lanes,
      tracing:
        contender.traceSampling === undefined || collector === undefined
          ? undefined
          : { sampleRatio: contender.traceSampling, collectorPort: collector.port }
    }
    const opened = yield* sender.ask<Protocol.Opened>({ _tag: "Open", spec })
    const name = other === undefined ? contender.contestant : `${contender.contestant}@${other.commit}`
    return { contender, name, sender, ...opened, runs: [], messages: contender.messages ?? 0, next: 0 }
  })

/** Closes a contender's connections. Fails if the contender should have exported spans and exported none. */
export const close = (ready: Ready, collector: Collector | undefined): Effect.Effect<void, BenchError> =>
  Effect.gen(function* () {
    const before = yield* collector?.read ?? Effect.succeed({ exports: 0 })
    yield* ready.sender.ask({ _tag: "Close" })
    if (collector === undefined || !ready.contender.traceSampling) return
    const after = yield* collector.read
    if (after.exports === 0 && before.exports === 0) {
      return yield* new BenchError({ problem: "it should have been traced, but no span reached the collector" })
    }
  })

/** Sends batches until the time is over. The rate of the last one decides how many messages a timed run has. */
export const warmUp = (ready: Ready, pace: Pace.Pace): Effect.Effect<void, BenchError> =>
  Effect.gen(function* () {
    const { messages: fixed, skipsWarmUp = false } = ready.contender
    if (skipsWarmUp && fixed !== undefined) return
    const connections = ready.contender.connections ?? 10
    const least = Math.max(ready.leastBatch, connections)
    let messages = Math.min(least, fixed ?? least)
    let spentMs = 0
    // A contender that does not warm up only needs a batch long enough to show its rate.
    const seconds = ready.warmsUp ? pace.warmUpSeconds : pace.seconds / 2
    for (let batches = 0; batches < (ready.warmsUp ? 2 : 1) || spentMs < seconds * 1000; batches++) {
      const result = yield* send(ready, messages, 0)
      spentMs += result.elapsedMs
      const rate = rateOf(result)
      // Rounds up to whole turns of all connections, or the last turn would be half empty.
      ready.messages = fixed ?? Math.max(least, Math.ceil((rate * pace.seconds) / connections) * connections)
      messages = Math.min(Math.max(least, Math.round((rate * pace.warmUpSeconds) / 2)), 4 * messages)
    }
  })

/** One timed run. Fails unless every message was accepted and arrived. */
export const run = (ready: Ready, race: Race, sink: Sink | undefined): Effect.Effect<Run, BenchError> =>
  Effect.gen(function* () {
    if (sink === undefined) {
      const result = yield* send(ready, ready.messages, 16)
      return keep(ready, { result, sinkCpuShare: null, boundShare: null })
    }
    yield* sink.reset
    const result = yield* send(ready, ready.messages, Number.MAX_SAFE_INTEGER)
    const reading = yield* sink.read
    const { messages } = ready
    const countOnly = race.sink === "smtp-sink"
    const problem = problemOf({ messages, sent: result.digest, arrived: reading.digest, countOnly })
    if (problem !== undefined) return yield* new BenchError({ problem })
    const sinkCpuShare = Number.isNaN(reading.cpuMicros) ? null : reading.cpuMicros / 1000 / result.elapsedMs
    return keep(ready, { result, sinkCpuShare, boundShare: boundShareOf(ready, race, result) })
  })

/**
 * The time that the sink's thinking alone would have taken on all the connections that it allows, as a share of the run's
 * time.
 */
const boundShareOf = (
  { contender }: Ready,
  { limit, thinkMs = 0 }: Race,
  result: Protocol.RunResult
): number | null => {
  if (thinkMs === 0) return null
  const connections = Math.min(contender.connections ?? 10, limit?.connections ?? Number.POSITIVE_INFINITY)
  return (Math.ceil(result.messages / connections) * thinkMs) / result.elapsedMs
}

/** Messages a second. */
export const rateOf = (result: Protocol.RunResult): number => (result.messages / result.elapsedMs) * 1000

const keep = (ready: Ready, one: Run): Run => {
  ready.runs.push(one)
  return one
}

const send = (ready: Ready, messages: number, digested: number): Effect.Effect<Protocol.RunResult, BenchError> =>
  Effect.gen(function* () {
    const samples = ready.contender.samples === true
    const request = { _tag: "Run", first: ready.next, messages, digested, samples } as const
    const result = yield* ready.sender.ask<Protocol.RunResult>(request, 600)
    ready.next += messages
    if (result.failures === 0) return result
    return yield* new BenchError({
      problem: `${result.failures} of ${messages} messages were not accepted: ${result.firstProblem}`
    })
  })
