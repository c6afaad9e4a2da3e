/**
 * How long and how often contestants run.
 */

export interface Pace {
  readonly quick: boolean
  /** Timed runs of each contestant, interleaved with those of the others. */
  readonly rounds: number
  /** What one timed run takes, roughly. */
  readonly seconds: number
  /** What warming up takes at least. */
  readonly warmUpSeconds: number
  /** What a timed run takes at most where a long round trip stretches it. */
  readonly longestSeconds: number
}

/** The whole benchmark in less than 25 minutes. */
export const full: Pace = { quick: false, rounds: 3, seconds: 1.5, warmUpSeconds: 2, longestSeconds: 4 }

/** The whole benchmark in less than 3 minutes; figures are rougher. */
export const quick: Pace = { quick: true, rounds: 2, seconds: 0.2, warmUpSeconds: 0.5, longestSeconds: 0.6 }

/** The same, with runs of some 40 round trips, so that the first and the last of them do not matter. */
export const stretch = (pace: Pace, rttMs: number): Pace => ({
  ...pace,
  seconds: Math.max(pace.seconds, Math.min(0.04 * rttMs, pace.longestSeconds)),
  warmUpSeconds: Math.max(pace.warmUpSeconds, 0.006 * rttMs)
})
