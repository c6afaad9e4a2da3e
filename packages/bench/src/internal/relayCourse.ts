/**
 * Simulates, in virtual time, all gates of flow control before a relay that is healthy, slow, refuses everything, is dead,
 * and recovers. It sends nothing and does not wait.
 */
import * as Effect from "effect/Effect"

/** The part used of the tests' simulation, which belongs to no package. */
interface Simulation {
  readonly begins: Readonly<Record<"slow" | "storm" | "dead" | "healed", number>>
  readonly endsAt: number
  readonly run: (
    serviceMs: number,
    concurrency: number
  ) => {
    readonly acceptedAt: ReadonlyArray<number>
    readonly failedAt: ReadonlyArray<number>
    readonly messages: number
  }
}

const module = new URL("../../../flow/test/support/relayCourse.ts", import.meta.url).href

/** The length of an interval, in seconds. */
const everySeconds = 5

const serviceMs = 20
const concurrency = 10

/** The rates of an interval, in messages a second. */
export interface Interval {
  /** The middle of the interval, in seconds from the start. */
  readonly at: number
  readonly accepted: number
  readonly failed: number
}

/** The intervals of the course; fails if a message was lost. */
export const course: Effect.Effect<ReadonlyArray<Interval>> = Effect.promise(async () => {
  const { endsAt, run } = (await import(module)) as Simulation
  const { acceptedAt, failedAt, messages } = run(serviceMs, concurrency)
  if (acceptedAt.length !== messages) throw new Error(`${messages - acceptedAt.length} messages were lost`)
  const perSecond = (times: ReadonlyArray<number>, from: number): number =>
    times.filter((at) => at >= from * 1000 && at < (from + everySeconds) * 1000).length / everySeconds
  return Array.from({ length: endsAt / 1000 / everySeconds }, (_, interval) => ({
    at: (interval + 0.5) * everySeconds,
    accepted: perSecond(acceptedAt, interval * everySeconds),
    failed: perSecond(failedAt, interval * everySeconds)
  }))
})

/** The rate of intervals from 30 seconds after the trouble on, as a share of the rate before it. */
export const recovered = (intervals: ReadonlyArray<{ readonly at: number; readonly accepted: number }>): number => {
  const mean = (from: number, to: number): number => {
    const within = intervals.filter(({ at }) => at >= from && at < to)
    return within.reduce((sum, { accepted }) => sum + accepted, 0) / within.length
  }
  return mean(140, 170) / mean(0, 20)
}
