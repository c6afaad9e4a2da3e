/**
 * The one thing that the reader of a probe should know first.
 */
import type { Diagnosis, Phase } from "./report.ts"
import * as Slow from "./slowCauses.ts"

/** A phase with an excess of so many milliseconds outranks what is only worth a word. */
const severeMs = 1_000

/**
 * The diagnosis of a walk that came to its end: a phase that is far too slow, else the first concern, else a phase that is
 * slow, else the longest.
 */
export const diagnose = (
  phases: ReadonlyArray<Phase>,
  concerns: ReadonlyArray<Diagnosis>,
  roundTripMs: number,
  host: string
): Diagnosis => {
  const [slowest] = phases
    .map((phase) => ({ ...phase, excess: Slow.excessOf(phase.name, phase.ms, roundTripMs) }))
    .filter(({ excess }) => excess > 0)
    .toSorted((a, b) => b.excess - a.excess)
  const slow = slowest === undefined ? undefined : { phase: slowest.name, ...Slow.slow(slowest.name, slowest.ms, host) }
  const [concern] = concerns
  if (slow !== undefined && (slowest!.excess >= severeMs || concern === undefined)) return slow
  return concern ?? healthy(phases)
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
