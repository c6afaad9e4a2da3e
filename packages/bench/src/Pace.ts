/**
 * Decides how long and how often contestants run.
 */

export interface Pace {
  readonly quick: boolean
  /** The number of timed runs of each contestant, interleaved with those of the others. */
  readonly rounds: number
  /** The approximate length of a timed run. */
  readonly seconds: number
  /** The shortest warm-up. */
  readonly warmUpSeconds: number
  /** The greatest length of a timed run, where a long round trip stretches it. */
  readonly longestSeconds: number
}

/** Runs the whole benchmark in less than 25 minutes. */
export const full: Pace = { quick: false, rounds: 3, seconds: 1.5, warmUpSeconds: 2, longestSeconds: 4 }

/** Runs the whole benchmark in less than 3 minutes, with rougher figures. */
export const quick: Pace = { quick: true, rounds: 2, seconds: 0.2, warmUpSeconds: 0.5, longestSeconds: 0.6 }

/** The same pace with runs of some 40 round trips, so that the first and the last of these do not matter. */
export const stretch = (pace: Pace, rttMs: number): Pace => ({
  ...pace,
  seconds: Math.max(pace.seconds, Math.min(0.04 * rttMs, pace.longestSeconds)),
  warmUpSeconds: Math.max(pace.warmUpSeconds, 0.006 * rttMs)
})
