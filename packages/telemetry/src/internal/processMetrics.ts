/**
 * The process's own metrics, named as OpenTelemetry's conventions name them (process.*, nodejs.*). Memory and CPU time are read
 * whenever the metrics are; the event loop's are those of the process's sampler, of the last second.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Sampler from "mailrace/Sampler"
import * as SendMetrics from "mailrace/SendMetrics"

interface Shown {
  /** How many scopes want them. */
  users: number
  readonly end: () => void
}

const shownIn = new WeakMap<Metric.MetricRegistry, Shown>()

/** Shows them until the scope closes. Where several want them in one registry, they are there until the last has gone. */
export const showProcessMetrics: Effect.Effect<void, never, Scope.Scope> = Effect.flatMap(Sampler.shared, (sampler) =>
  Effect.contextWith((context: Context.Context<never>) => {
    const registry = Context.get(context, Metric.MetricRegistry)
    return Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => {
          const shown = shownIn.get(registry) ?? show(context, sampler)
          shown.users++
          shownIn.set(registry, shown)
          return shown
        }),
        (shown) =>
          Effect.sync(() => {
            if (--shown.users > 0) return
            shownIn.delete(registry)
            shown.end()
          })
      )
    )
  })
)

const show = (context: Context.Context<never>, sampler: Sampler.Sampler): Shown => {
  const gauge = (name: string, description: string, value: () => number) =>
    SendMetrics.observeUnsafe(Metric.gauge(name, { description }), context, value)
  const gauges = [
    gauge("process.memory.usage", "Memory that the process holds (RSS), in bytes", () => Sampler.readUnsafe().rss),
    gauge("v8js.memory.heap.used", "Heap in use, in bytes", () => Sampler.readUnsafe().heapUsed),
    gauge("process.cpu.time", "CPU time since the process began, in seconds", () => Sampler.readUnsafe().cpuMs / 1000),
    gauge(
      "nodejs.eventloop.utilization",
      "Share of the last second in which the event loop was busy",
      () => sampler.latestUnsafe()?.eventLoopUtilization ?? 0
    ),
    gauge(
      "nodejs.eventloop.delay.p99",
      "99th percentile of the event loop's delay in the last second, in seconds",
      () => (sampler.latestUnsafe()?.eventLoopDelayP99Ms ?? 0) / 1000
    )
  ]
  return {
    users: 0,
    end: () => {
      for (const one of gauges) one.remove()
    }
  }
}
