/**
 * Protects the application from its own mail: sends less while the process is overloaded.
 *
 * It goes by what hurts an application. Event-loop delays above 100 ms (p99) in three samples in a row halve the share of
 * the concurrency that may be used, down to an eighth; each sample below 50 ms gives a tenth back. Above 80 % of the memory
 * cap no new messages are taken in, until it is below 75 %. CPU is not acted on unless a limit is given: a fast sender uses
 * all of a core.
 *
 * The guard is pure: the caller gives it a sample a second, or lets `feed` do so.
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Sampler from "mailrace/Sampler"

/**
 * The limits of a guard.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The cap of the resident set in bytes. Defaults to none. */
  readonly memoryCap?: number | undefined
  /** The highest share of a core, such as 0.8. Defaults to none. */
  readonly cpu?: number | undefined
}

/**
 * The part of a sample that the guard looks at.
 *
 * @since 0.1.0
 */
export interface Load {
  /** The 99th percentile of the event loop's delay in milliseconds. */
  readonly eventLoopDelayP99Ms: number
  /** The resident set in bytes. */
  readonly rss: number
  /** Used cores: CPU time over time. */
  readonly cpu: number
}

const overloadedMs = 100
const relaxedMs = 50
const overloadedSamples = 3
const lowest = 1 / 8
const step = 0.1

/**
 * Feeds a guard with a sample a second until the scope closes; `onChange` runs after each.
 *
 * @since 0.1.0
 */
export const feed = (guard: LoadGuard, onChange: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Sampler.shared, ({ samples }) =>
    Effect.asVoid(
      Effect.forkScoped(
        Stream.runForEach(samples, (sample) =>
          Effect.sync(() => {
            guard.update(sample)
            onChange()
          })
        )
      )
    )
  )

/**
 * Decides how much may be sent.
 *
 * @since 0.1.0
 */
export class LoadGuard {
  /** The share of the concurrency that may be used, from 1/8 to 1. */
  share = 1
  /** True while no new messages are to be taken in. */
  isIntakePaused = false
  private readonly options: Options
  private overloaded = 0

  constructor(options: Options = {}) {
    this.options = options
  }

  /** Takes a sample. */
  update({ cpu, eventLoopDelayP99Ms, rss }: Load): void {
    const { cpu: cpuLimit = Number.POSITIVE_INFINITY, memoryCap = Number.POSITIVE_INFINITY } = this.options
    if (rss > 0.8 * memoryCap) this.isIntakePaused = true
    else if (rss < 0.75 * memoryCap) this.isIntakePaused = false
    if (eventLoopDelayP99Ms > overloadedMs || cpu > cpuLimit) {
      if (++this.overloaded < overloadedSamples) return
      this.overloaded = 0
      this.share = Math.max(lowest, this.share / 2)
      return
    }
    this.overloaded = 0
    if (eventLoopDelayP99Ms < relaxedMs && cpu < 0.9 * cpuLimit) this.share = Math.min(1, this.share + step)
  }

  /** Of a concurrency, as much as may be used, at least 1. */
  room(concurrency: number): number {
    return Math.max(1, Math.floor(concurrency * this.share))
  }
}
