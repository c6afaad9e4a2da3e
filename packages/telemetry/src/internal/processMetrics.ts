/**
 * The process's own metrics, named as OpenTelemetry's conventions name them (process.*, nodejs.*). They are read whenever the
 * metrics are.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as SendMetrics from "mailrace/SendMetrics"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"

interface Shown {
  /** How many scopes want them. */
  users: number
  readonly end: () => void
}

const shownIn = new WeakMap<Metric.MetricRegistry, Shown>()

/** Shows them until the scope closes. Where several want them in one registry, they are there until the last has gone. */
export const showProcessMetrics: Effect.Effect<void, never, Scope.Scope> = Effect.contextWith(
  (context: Context.Context<never>) => {
    const registry = Context.get(context, Metric.MetricRegistry)
    return Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => {
          const shown = shownIn.get(registry) ?? show(context)
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
  }
)

const show = (context: Context.Context<never>): Shown => {
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  let since = performance.eventLoopUtilization()
  const gauge = (name: string, description: string, value: () => number) =>
    SendMetrics.observeUnsafe(Metric.gauge(name, { description }), context, value)
  const gauges = [
    gauge("process.memory.usage", "Memory that the process holds (RSS), in bytes", () => process.memoryUsage.rss()),
    gauge("v8js.memory.heap.used", "Heap in use, in bytes", () => process.memoryUsage().heapUsed),
    gauge("process.cpu.time", "CPU time since the process began, in seconds", () => {
      const { system, user } = process.cpuUsage()
      return (user + system) / 1e6
    }),
    gauge("nodejs.eventloop.utilization", "Share of the time in which the event loop was busy", () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, since)
      since = now
      return utilization
    }),
    gauge("nodejs.eventloop.delay.p99", "99th percentile of the event loop's delay, in seconds", () => {
      const p99 = delay.count === 0 ? 0 : delay.percentile(99) / 1e9
      delay.reset()
      return p99
    })
  ]
  return {
    users: 0,
    end: () => {
      delay.disable()
      for (const one of gauges) one.remove()
    }
  }
}
