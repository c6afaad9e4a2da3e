/**
 * Quantiles of durations in fixed memory.
 *
 * Buckets grow by a constant factor, so every quantile is within 2 % of the true value from 1 µs to 28 hours, whatever
 * the number of values: 1280 counters in all. Recording costs one logarithm.
 */

const smallestMs = 0.001
const growth = 1.02
const buckets = 1280
const inverseLog = 1 / Math.log(growth)

/** Counts durations by size. */
export class Histogram {
  private readonly counts = new Float64Array(buckets)
  private total = 0
  private largest = 0

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
    const bucket = ms <= smallestMs ? 0 : Math.ceil(Math.log(ms / smallestMs) * inverseLog)
    this.counts[Math.min(bucket, buckets - 1)]!++
  }

  /** The value in milliseconds that the share `q` (0 to 1) of all values does not exceed; 0 without values. */
  quantile(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.total))
    let seen = 0
    for (let bucket = 0; bucket < buckets; bucket++) {
      seen += this.counts[bucket]!
      // A bucket's middle is at most half its width away from any value in it, but never above the largest one.
      if (seen >= rank) return Math.min(smallestMs * growth ** (bucket - 0.5), this.largest)
    }
    return this.largest
  }
}
