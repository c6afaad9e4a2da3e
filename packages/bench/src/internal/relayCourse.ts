/**
 * All gates of flow control before a relay that is healthy, slow, refuses all, is dead and recovers, in virtual time. Nothing is
 * sent, and nothing waits.
 */
import * as Effect from "effect/Effect"

/** What is used of the tests' simulation, which is no part of any package. */
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

/** So long an interval of the course is, in seconds. */
const everySeconds = 5

const serviceMs = 20
const concurrency = 10

/** The rates of an interval, in messages a second. */
export interface Interval {
  /** Its middle, in seconds from the start. */
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

/** The share of the rate before the trouble that an interval has from 30 seconds after it on. */
export const recovered = (intervals: ReadonlyArray<{ readonly at: number; readonly accepted: number }>): number => {
  const mean = (from: number, to: number): number => {
    const within = intervals.filter(({ at }) => at >= from && at < to)
    return within.reduce((sum, { accepted }) => sum + accepted, 0) / within.length
  }
  return mean(140, 170) / mean(0, 20)
}
