/**
 * The one thing that the reader of a probe should know first.
 */
import type { Diagnosis, Phase } from "./report.ts"
import * as Slow from "./slowCauses.ts"

/** A phase with an excess of this many milliseconds outranks a mere concern. */
const severeMs = 1_000

/** Something worth mentioning. A minor concern is mentioned only if nothing else is. */
export interface Concern extends Diagnosis {
  readonly isMinor?: boolean | undefined
}

/**
 * The diagnosis of a walk that came to its end: a phase that is far too slow, else the first concern, else a phase that is
 * slow, else a minor concern, else the longest phase.
 */
export const diagnose = (
  phases: ReadonlyArray<Phase>,
  concerns: ReadonlyArray<Concern>,
  roundTripMs: number,
  host: string
): Diagnosis => {
  const [slowest] = phases
    .map((phase) => ({ ...phase, excess: Slow.excessOf(phase.name, phase.ms, roundTripMs) }))
    .filter(({ excess }) => excess > 0)
    .toSorted((a, b) => b.excess - a.excess)
  const slow = slowest === undefined ? undefined : { phase: slowest.name, ...Slow.slow(slowest.name, slowest.ms, host) }
  const concern = concerns.find(({ isMinor }) => isMinor !== true)
  if (slow !== undefined && (slowest!.excess >= severeMs || concern === undefined)) return slow
  const worthAWord = concern ?? concerns[0]
  return worthAWord === undefined
    ? healthy(phases)
    : { phase: worthAWord.phase, cause: worthAWord.cause, advice: worthAWord.advice }
}

const healthy = (phases: ReadonlyArray<Phase>): Diagnosis => {
  const total = phases.reduce((sum, { ms }) => sum + ms, 0)
  const longest = phases.reduce((longest, phase) => (phase.ms > longest.ms ? phase : longest))
  return {
    phase: longest.name,
    cause: `no phase is slow; ${longest.name} takes the most, ${Math.round(longest.ms)} of ${Math.round(total)} ms`,
    advice: []
  }
}
