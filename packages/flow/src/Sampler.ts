/**
 * Samples what this process uses, once a second: CPU, memory, the event loop's delay, sockets, and bytes where they are known.
 *
 * One source for the code that acts on it (`LoadGuard`) and the code that shows it.
 *
 * @example
 * ```ts
 * import * as Sampler from "@mailrace/flow/Sampler"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * export const firstSample = await Effect.runPromise(
 *   Effect.scoped(
 *     Effect.flatMap(Sampler.make({ every: "20 millis" }), ({ samples }) => Stream.runHead(samples))
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */

import type * as Duration from "effect/Duration"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"

/**
 * The process's use of resources since the sample before.
 *
 * @since 0.1.0
 */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number
  /** CPU time of all threads over time: 1 is one core. */
  readonly cpu: number
  /** The resident set in bytes. */
  readonly rss: number
  /** The heap in use in bytes. */
  readonly heapUsed: number
  /** The event loop's delay in milliseconds. */
  readonly eventLoopDelayP50Ms: number
  readonly eventLoopDelayP99Ms: number
  /** The share of the time in which the event loop was busy, from 0 to 1. */
  readonly eventLoopUtilization: number
  /** Open TCP sockets. */
  readonly sockets: number
  /** Content sent, in bytes a second; 0 where it is not counted. */
  readonly bytesPerSecond: number
}

/**
 * A running sampler.
 *
 * @since 0.1.0
 */
export interface Sampler {
  /** The last sample; `undefined` before the first. */
  readonly latest: Effect.Effect<Sample | undefined>
  /** The samples from now on; a slow subscriber misses the oldest. */
  readonly samples: Stream.Stream<Sample>
}

/**
 * The options of a sampler.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The time between two samples. Defaults to 1 second. */
  readonly every?: Duration.Input | undefined
  /** The bytes of content that were sent so far. Defaults to none. */
  readonly bytes?: (() => number) | undefined
}

/**
 * Samples until the scope closes.
 *
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Sampler, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const hub = yield* PubSub.sliding<Sample>(16)
    const delay = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
        histogram.enable()
        return histogram
      }),
      (histogram) => Effect.sync(() => void histogram.disable())
    )
    let latest: Sample | undefined
    let before = readings(options)
    const sample = Effect.suspend(() => {
      const now = readings(options)
      const elapsedMs = Math.max(1, now.atMs - before.atMs)
      const quantile = (percent: number): number =>
        delay.count === 0 ? 0 : Math.max(0, delay.percentile(percent) / 1e6 - resolutionMs)
      const memory = process.memoryUsage()
      latest = {
        at: clock.currentTimeMillisUnsafe(),
        cpu: (now.cpuMs - before.cpuMs) / elapsedMs,
        rss: memory.rss,
        heapUsed: memory.heapUsed,
        eventLoopDelayP50Ms: quantile(50),
        eventLoopDelayP99Ms: quantile(99),
        eventLoopUtilization: performance.eventLoopUtilization(now.loop, before.loop).utilization,
        sockets: process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length,
        bytesPerSecond: ((now.bytes - before.bytes) / elapsedMs) * 1000
      }
      delay.reset()
      before = now
      return PubSub.publish(hub, latest)
    })
    yield* Effect.forkScoped(Effect.forever(Effect.delay(sample, options.every ?? "1 second")))
    return { latest: Effect.sync(() => latest), samples: Stream.fromPubSub(hub) }
  })

/** How often the event loop's delay is looked at; the delay that it measures includes this time. */
const resolutionMs = 10

const readings = ({ bytes }: Options) => {
  const { system, user } = process.cpuUsage()
  return {
    atMs: performance.now(),
    cpuMs: (user + system) / 1000,
    loop: performance.eventLoopUtilization(),
    bytes: bytes?.() ?? 0
  }
}
