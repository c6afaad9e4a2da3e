/**
 * A token bucket, computed as the generic cell rate algorithm (GCRA, ITU-T I.371): one number of state, no timer.
 *
 * Tokens come in at an even rate up to `depth`; a sender takes them. In any half-open window of W milliseconds at most W × rate +
 * depth tokens are taken, and with a depth of 1 the takings are evenly spaced, as of a leaky bucket.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 *
 * @since 0.1.0
 */

/**
 * A bucket of tokens.
 *
 * @since 0.1.0
 */
export class TokenBucket {
  private intervalMs: number
  private depth: number
  /** The time at which the bucket is full again (GCRA's theoretical arrival time); all of its state. */
  fullAt = Number.NEGATIVE_INFINITY

  /** Starts full. The rate is in tokens a second, the depth in tokens, at least 1. */
  constructor(ratePerSecond: number, depth: number) {
    this.intervalMs = 1000 / ratePerSecond
    this.depth = Math.max(1, depth)
  }

  /** The earliest time, from `now` on, at which `cost` tokens are there. More than a full bucket is there when it is full. */
  availableAt(now: number, cost = 1): number {
    const wanted = Math.min(cost, this.depth)
    return Math.max(now, this.fullAt - (this.depth - wanted) * this.intervalMs)
  }

  /** The number of tokens that can be taken from `now` until `until`. */
  countUntil(now: number, until: number): number {
    const missing = Math.max(0, this.fullAt - now) / this.intervalMs
    return Math.max(0, Math.floor(this.depth - missing + (until - now) / this.intervalMs))
  }

  /** Takes tokens, also those that are not there yet: they are missing afterwards. */
  take(now: number, cost = 1): void {
    this.fullAt = Math.max(this.fullAt, now) + cost * this.intervalMs
  }

  /** Takes all tokens that are there. */
  empty(now: number): void {
    this.fullAt = Math.max(this.fullAt, now + this.depth * this.intervalMs)
  }

  /** Changes the rate from `now` on; the tokens at hand stay. */
  setRate(now: number, ratePerSecond: number, depth: number): void {
    const missing = Math.max(0, this.fullAt - now) / this.intervalMs
    const spared = this.depth - missing
    this.intervalMs = 1000 / ratePerSecond
    this.depth = Math.max(1, depth)
    this.fullAt = now + Math.max(0, this.depth - Math.max(0, spared)) * this.intervalMs
  }
}
