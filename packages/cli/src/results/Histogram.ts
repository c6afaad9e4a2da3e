/**
 * Quantiles of durations in fixed memory.
 *
 * Buckets grow by a constant factor, so every quantile is within that factor of the true value from 1 µs to 28 hours,
 * whatever the number of values. At the default factor of 1.02 these are 1280 counters. Recording costs one logarithm.
 */

const smallestMs = 0.001
const largestMs = 1e8

/** Counts durations by size. */
export class Histogram {
  private readonly counts: Float64Array
  private readonly growth: number
  private readonly inverseLog: number
  private total = 0
  private largest = 0

  /** `growth` is the ratio of neighbouring buckets, above 1. Two histograms of the same growth can be added. */
  constructor(growth = 1.02) {
    this.growth = growth
    this.inverseLog = 1 / Math.log(growth)
    this.counts = new Float64Array(Math.ceil(Math.log(largestMs / smallestMs) * this.inverseLog) + 1)
  }

  /** The number of recorded values. */
  get count(): number {
    return this.total
  }

  /** The largest value, exact; 0 without values. */
  get max(): number {
    return this.largest
  }

  /** Records a duration in milliseconds. */
  record(ms: number): void {
    this.total++
    if (ms > this.largest) this.largest = ms
    const bucket = ms <= smallestMs ? 0 : Math.ceil(Math.log(ms / smallestMs) * this.inverseLog)
    this.counts[Math.min(bucket, this.counts.length - 1)]!++
  }

  /** Adds the values of a histogram of the same growth. */
  add(other: Histogram): void {
    for (let bucket = 0; bucket < this.counts.length; bucket++) this.counts[bucket]! += other.counts[bucket]!
    this.total += other.total
    this.largest = Math.max(this.largest, other.largest)
  }

  /** The value in milliseconds that the share `q` (0 to 1) of all values does not exceed; 0 without values. */
  quantile(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.total))
    let seen = 0
    for (let bucket = 0; bucket < this.counts.length; bucket++) {
      seen += this.counts[bucket]!
      // A bucket's middle is at most half its width away from any value in it, but never above the largest one.
      if (seen >= rank) return Math.min(smallestMs * this.growth ** (bucket - 0.5), this.largest)
    }
    return this.largest
  }
}
