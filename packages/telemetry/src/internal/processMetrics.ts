/**
 * The process's own metrics, named as OpenTelemetry's conventions name them (process.*, nodejs.*).
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"

const gauge = (name: string, description: string) => Metric.gauge(name, { description })

const memory = gauge("process.memory.usage", "Memory that the process holds (RSS), in bytes")
const heap = gauge("v8js.memory.heap.used", "Heap in use, in bytes")
const cpu = gauge("process.cpu.time", "CPU time since the process began, in seconds")
const utilization = gauge("nodejs.eventloop.utilization", "Share of the time in which the event loop was busy")
const delay = gauge("nodejs.eventloop.delay.p99", "99th percentile of the event loop's delay, in seconds")

/** Measures from now on, and gives an effect that brings the metrics up to date. */
export const makeProcessMetrics = Effect.gen(function* () {
  const histogram = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = monitorEventLoopDelay({ resolution: 20 })
      histogram.enable()
      return histogram
    }),
    (histogram) => Effect.sync(() => void histogram.disable())
  )
  let since = performance.eventLoopUtilization()
  return Effect.suspend(() => {
    const now = performance.eventLoopUtilization()
    const used = process.cpuUsage()
    const busy = performance.eventLoopUtilization(now, since).utilization
    const p99 = histogram.count === 0 ? 0 : histogram.percentile(99) / 1e9
    since = now
    histogram.reset()
    const { heapUsed, rss } = process.memoryUsage()
    return Effect.all(
      [
        Metric.update(memory, rss),
        Metric.update(heap, heapUsed),
        Metric.update(cpu, (used.user + used.system) / 1e6),
        Metric.update(utilization, busy),
        Metric.update(delay, p99)
      ],
      { discard: true }
    )
  })
})
