/**
 * The processes beside the contestants: sinks, the relay that adds a round trip, and the collector of spans. They live as
 * long as the lab. Races share sinks, which stay warm and start only once.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { BenchError } from "./BenchError.ts"
import * as Child from "./Child.ts"
import type * as Protocol from "./Protocol.ts"
import type { Race } from "./Race.ts"
import * as Runner from "./Runner.ts"
import * as SmtpSink from "./SmtpSink.ts"

export class LabProcesses {
  readonly #scope: Scope.Scope
  readonly #sinks = new Map<string, Runner.Sink>()
  #relay: Child.Child<Protocol.RelayRequest> | undefined

  constructor(scope: Scope.Scope) {
    this.#scope = scope
  }

  /** The sink of a race; none if nothing is sent. */
  sinkOf({
    limit,
    sink = "mailrace",
    thinkMs = 0,
    tls = "off"
  }: Race): Effect.Effect<Runner.Sink | undefined, BenchError> {
    if (sink === "none") return Effect.undefined
    const key = `${sink} ${tls} ${thinkMs} ${limit?.connections} ${limit?.toldAt}`
    const known = this.#sinks.get(key)
    if (known !== undefined) return Effect.succeed(known)
    const open = sink === "smtp-sink" ? SmtpSink.open : openSink({ chunking: true, tls, thinkMs, limit })
    return Effect.tap(Scope.provide(open, this.#scope), (opened) => Effect.sync(() => this.#sinks.set(key, opened)))
  }

  /** The port to send to: the sink's, or that of the relay in front of it. */
  portOf({ connectDelayMs = 0, rttMs = 0 }: Race, targetPort: number): Effect.Effect<number, BenchError> {
    if (rttMs === 0 && connectDelayMs === 0) return Effect.succeed(targetPort)
    return Effect.gen({ self: this }, function* () {
      this.#relay ??= yield* Child.fork<Protocol.RelayRequest>("relay", Runner.limitSeconds)
      const opened = yield* this.#relay.ask<Protocol.RelayOpened>({ _tag: "Open", targetPort, rttMs, connectDelayMs })
      return opened.port
    }).pipe(Scope.provide(this.#scope))
  }
}

/** The collector of a race with traced messages; it ends with the race. */
export const collectorOf = (race: Race): Effect.Effect<Runner.Collector | undefined, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    if (!race.contenders.some(({ traceSampling }) => traceSampling !== undefined)) return undefined
    const child = yield* Child.fork<Protocol.CollectorRequest>("collector", Runner.limitSeconds)
    const { port } = yield* child.ask<Protocol.CollectorOpened>({ _tag: "Open" })
    return { port, read: child.ask({ _tag: "Read" }) }
  })

const openSink = (spec: Protocol.SinkSpec): Effect.Effect<Runner.Sink, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Child.fork<Protocol.SinkRequest>("sink", Runner.limitSeconds)
    const opened = yield* child.ask<Protocol.SinkOpened>({ _tag: "Open", spec })
    return { opened, reset: child.ask({ _tag: "Reset" }), read: child.ask({ _tag: "Read" }) }
  })
