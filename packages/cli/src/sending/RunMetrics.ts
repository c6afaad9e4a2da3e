/**
 * The metrics of a run, for Prometheus and for a collector: its counts, its connections and the process.
 *
 * The run's own counts are brought up to date when Prometheus reads them, and for a collector now and then and at the end, so that
 * they cost a message nothing.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import { CommandError } from "../CommandError.ts"
import type { Snapshot } from "../output/Progress.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Remedy from "../Remedy.ts"
import type { RunState } from "./RunState.ts"
import type { Outcome } from "../results/Tally.ts"

/** Where metrics are served, and where they are sent. */
export interface Options {
  /** An address with a port, as `127.0.0.1:9464`. Defaults to none: they are not served. */
  readonly metrics?: string | undefined
  /** Whether other machines may reach the address. */
  readonly metricsPublic?: boolean | undefined
  /** The URL of a collector. Defaults to none. */
  readonly otlpMetrics?: string | undefined
}

/** Shows a run until the scope closes. */
export type Watch = (
  run: Pick<RunState, "isReady" | "overview" | "snapshot">
) => Effect.Effect<void, never, Scope.Scope>

/** Serves and sends metrics until the scope closes, as far as that is asked for; `undefined` if it is not at all. */
export const open = Effect.fnUntraced(function* (options: Options) {
  const endpoint = yield* serve(options)
  if (options.otlpMetrics !== undefined) yield* exportTo(options.otlpMetrics)
  if (endpoint === undefined && options.otlpMetrics === undefined) return undefined
  let watched: { readonly isReady: boolean } | undefined
  if (endpoint !== undefined) yield* endpoint.onReady(Effect.sync(() => watched?.isReady === true))
  const watch: Watch = (run) =>
    Effect.gen(function* () {
      const counts = new Counts()
      watched = run
      const refresh = Effect.flatMap(run.snapshot, (now) => counts.update(now))
      if (options.otlpMetrics !== undefined) {
        yield* Effect.addFinalizer(() => refresh)
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(refreshMs), refresh)))
      }
      if (endpoint === undefined) return
      yield* endpoint.onScrape(refresh)
      yield* endpoint.onJson("/status", run.overview)
    })
  return watch
})

/** How old the run's own counts may be that a collector gets, in milliseconds; they go out every minute. */
const refreshMs = 5_000

/** `/ready` answers 200 while a run begins messages. */
const serve = Effect.fnUntraced(function* ({ metrics, metricsPublic = false }: Options) {
  if (metrics === undefined) {
    return metricsPublic
      ? yield* new CommandError({
          problem: "--metrics-public opens the metrics to other machines, but none are served",
          remedy: "name the address with --metrics, such as 0.0.0.0:9464, or leave out --metrics-public"
        })
      : undefined
  }
  const { host, port } = yield* parse(metrics)
  const { MetricsEndpoint, layer } = yield* Effect.promise(() => import("@mailrace/telemetry/MetricsEndpoint"))
  const context = yield* Effect.mapError(
    Layer.build(layer({ host, port, isPublic: metricsPublic })),
    ({ problem, remedy }) => new CommandError({ problem: `--metrics: ${problem}`, remedy: Remedy.inFlags(remedy) })
  )
  const endpoint = Context.get(context, MetricsEndpoint)
  yield* Terminal.log(`metrics are at ${endpoint.url}/metrics`)
  return endpoint
})

/** Loads the collector's client, which is large, only if there is a collector. */
const exportTo = Effect.fnUntraced(function* (url: string) {
  const { layerMetrics } = yield* Effect.promise(() => import("@mailrace/telemetry/Telemetry"))
  yield* Effect.mapError(
    Layer.build(layerMetrics({ url })),
    ({ problem }) => new CommandError({ problem: `--otlp-metrics: ${problem}` })
  )
})

const parse = (text: string): Effect.Effect<{ readonly host: string; readonly port: number }, CommandError> => {
  const [, host, port] = /^(?:(\[[0-9a-f:.]+\]|[\w.-]+):)?(\d{1,5})$/i.exec(text.trim()) ?? []
  return port === undefined || Number(port) > 65_535
    ? Effect.fail(
        new CommandError({
          problem: `--metrics: "${text}" is not an address with a port`,
          remedy: "write it as 127.0.0.1:9464, or as a port alone"
        })
      )
    : Effect.succeed({ host: host?.replace(/^\[|\]$/g, "") ?? "127.0.0.1", port: Number(port) })
}

const messages = Metric.counter("mailrace.send.messages", {
  description: "Messages that have ended, by outcome",
  incremental: true
})
const retries = Metric.counter("mailrace.send.retries", {
  description: "Further attempts at messages that failed for now",
  incremental: true
})
const connections = Metric.gauge("mailrace.connections.open", { description: "Connections to relays" })
const latency = Metric.gauge("mailrace.send.duration.p99", {
  description: "99th percentile of the time from taking a message up to its outcome, in seconds"
})

const held = Metric.counter("mailrace.flow.held", {
  description: "Time for which limits held messages back, in seconds, by the kind of limit; times overlap",
  incremental: true
})
const heldByGate = (["tenant", "lane", "circuit", "rate", "pace", "window"] as const).map(
  (gate) => [gate, Metric.withAttributes(held, { gate })] as const
)

const outcomes: ReadonlyArray<Outcome> = ["accepted", "rejected", "deferred", "unknown", "invalid"]
const byOutcome = outcomes.map((outcome) => [outcome, Metric.withAttributes(messages, { outcome })] as const)

/** Counters go by what was added since they were read the last time. */
class Counts {
  private readonly seen = new Map<string, number>()

  update(now: Snapshot): Effect.Effect<void> {
    return Effect.all(
      [
        ...byOutcome.map(([outcome, metric]) => Metric.update(metric, this.added(outcome, now.counts[outcome]))),
        ...heldByGate.map(([gate, metric]) =>
          Metric.update(metric, this.added(`held ${gate}`, (now.heldMs?.[gate] ?? 0) / 1000))
        ),
        Metric.update(retries, this.added("retries", now.retries)),
        Metric.update(connections, now.connections),
        Metric.update(latency, now.p99Ms / 1000)
      ],
      { discard: true }
    )
  }

  private added(name: string, total: number): number {
    const before = this.seen.get(name) ?? 0
    this.seen.set(name, Math.max(before, total))
    return Math.max(0, total - before)
  }
}
