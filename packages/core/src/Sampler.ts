/**
 * Samples what this process uses, once a second: CPU, memory, the event loop's delay, sockets, and bytes where they are known.
 *
 * One source for the code that acts on it (`LoadGuard`) and the code that shows it.
 *
 * @example
 * ```ts
 * import * as Sampler from "mailrace/Sampler"
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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
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
  /** The same without an effect. */
  readonly latestUnsafe: () => Sample | undefined
  /** The samples from now on; a slow subscriber misses the oldest. */
  readonly samples: Stream.Stream<Sample>
}

/**
 * What the process uses at a moment, and has used since it began.
 *
 * @since 0.2.0
 */
export interface Reading {
  /** Milliseconds since the process began. */
  readonly atMs: number
  /** CPU time of all threads in milliseconds. */
  readonly cpuMs: number
  /** The resident set in bytes. */
  readonly rss: number
  /** The heap in use in bytes. */
  readonly heapUsed: number
  /** The time in milliseconds in which the event loop was busy. */
  readonly loopActiveMs: number
  /** The time in milliseconds in which it was idle. */
  readonly loopIdleMs: number
}

/**
 * Reads what the process uses.
 *
 * @since 0.2.0
 */
export const readUnsafe = (): Reading => {
  const { system, user } = process.cpuUsage()
  const { heapUsed, rss } = process.memoryUsage()
  const { active, idle } = performance.eventLoopUtilization()
  return {
    atMs: performance.now(),
    cpuMs: (user + system) / 1000,
    rss,
    heapUsed,
    loopActiveMs: active,
    loopIdleMs: idle
  }
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
    const bytesNow = options.bytes ?? (() => 0)
    let latest: Sample | undefined
    let before = readUnsafe()
    let bytesBefore = bytesNow()
    const sample = Effect.suspend(() => {
      const now = readUnsafe()
      const bytes = bytesNow()
      const elapsedMs = Math.max(1, now.atMs - before.atMs)
      const activeMs = now.loopActiveMs - before.loopActiveMs
      const quantile = (percent: number): number =>
        delay.count === 0 ? 0 : Math.max(0, delay.percentile(percent) / 1e6 - resolutionMs)
      latest = {
        at: clock.currentTimeMillisUnsafe(),
        cpu: (now.cpuMs - before.cpuMs) / elapsedMs,
        rss: now.rss,
        heapUsed: now.heapUsed,
        eventLoopDelayP50Ms: quantile(50),
        eventLoopDelayP99Ms: quantile(99),
        eventLoopUtilization: activeMs / Math.max(1, activeMs + now.loopIdleMs - before.loopIdleMs),
        sockets: process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length,
        bytesPerSecond: ((bytes - bytesBefore) / elapsedMs) * 1000
      }
      bytesBefore = bytes
      delay.reset()
      before = now
      return PubSub.publish(hub, latest)
    })
    yield* Effect.forkScoped(Effect.forever(Effect.delay(sample, options.every ?? "1 second")))
    return { latest: Effect.sync(() => latest), latestUnsafe: () => latest, samples: Stream.fromPubSub(hub) }
  })

/** The sampler that all share, while somebody wants it. */
interface Shared {
  users: number
  readonly sampler: Sampler
  readonly scope: Scope.Closeable
}

let running: Shared | undefined

/**
 * The sampler of this process, once a second by the machine's clock. It runs while a scope wants it.
 *
 * @since 0.2.0
 */
export const shared: Effect.Effect<Sampler, never, Scope.Scope> = Effect.suspend(() =>
  Effect.map(Effect.acquireRelease(acquire, release), ({ sampler }) => sampler)
)

const acquire: Effect.Effect<Shared> = Effect.gen(function* () {
  if (running === undefined) {
    const scope = yield* Scope.make()
    const sampler = yield* make().pipe(
      Scope.provide(scope),
      Effect.provideService(Clock.Clock, Context.get(Context.empty(), Clock.Clock))
    )
    if (running === undefined) running = { users: 0, sampler, scope }
    else yield* Scope.close(scope, Exit.void)
  }
  running.users++
  return running
})

const release = (one: Shared): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (--one.users > 0) return Effect.void
    running = undefined
    return Scope.close(one.scope, Exit.void)
  })

/** How often the event loop's delay is looked at; the delay that it measures includes this time. */
const resolutionMs = 10
