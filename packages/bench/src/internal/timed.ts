/**
 * Measures only a part of each step.
 */
import * as Effect from "effect/Effect"
import { performance } from "node:perf_hooks"
import type { Batch, Elsewhere } from "../Contestant.ts"

/** Begins and ends the measured part of a step. */
export interface StepClock {
  readonly begin: () => { readonly at: number; readonly cpu: NodeJS.CpuUsage }
  readonly end: (begin: { readonly at: number; readonly cpu: NodeJS.CpuUsage }) => void
}

/** Runs a step for each message of a batch, and adds up only the time between its clock's begin and end. */
export const timed = async <E>(
  batch: Batch,
  step: (clock: StepClock) => Effect.Effect<void, E>
): Promise<Elsewhere> => {
  let elapsedMs = 0
  let cpuMicros = 0
  let rssPeakBytes = 0
  const clock: StepClock = {
    begin: () => ({ at: performance.now(), cpu: process.cpuUsage() }),
    end: ({ at, cpu }) => {
      const ms = performance.now() - at
      const spent = process.cpuUsage(cpu)
      elapsedMs += ms
      cpuMicros += spent.user + spent.system
      rssPeakBytes = Math.max(rssPeakBytes, process.memoryUsage.rss())
      batch.accepted(ms)
    }
  }
  for (let left = batch.count; left > 0; left--) await Effect.runPromise(step(clock))
  return { elapsedMs, cpuMicros, rssPeakBytes }
}
