/**
 * Computes the few numbers that sum up a benchmark: medians of runs, ratios of medians, percentiles of latencies.
 */

/** The middle value, or the mean of the two in the middle. NaN when there is none. */
export const median = (values: ReadonlyArray<number>): number => {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The median of the values that exist; null if none does. */
export const medianOf = <A>(items: ReadonlyArray<A>, value: (item: A) => number | null): number | null => {
  const values = items.map(value).filter((each) => each !== null)
  return values.length === 0 ? null : median(values)
}

/**
 * The median of the ratios of runs that were taken in turn, because a busy machine is slower in one minute than in the next;
 * `undefined` without both.
 */
export const pairedRatio = (
  ours: ReadonlyArray<number> | undefined,
  theirs: ReadonlyArray<number> | undefined
): number | undefined =>
  ours === undefined || theirs === undefined ? undefined : median(ours.map((figure, at) => figure / theirs[at]!))

/** `a` divided by `b`; `undefined` if either is missing or `b` is 0. */
export const ratio = (a: number | null | undefined, b: number | null | undefined): number | undefined =>
  a === undefined || a === null || !b ? undefined : a / b

const bucketsPerOctave = 48

const smallest = 2 ** -10

/**
 * Latencies in milliseconds, kept as counts in buckets that grow by 1.5 %, so that recording costs some nanoseconds and
 * no memory, however many there are. From 1 µs to 18 hours.
 */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(36 * bucketsPerOctave)
  #total = 0
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = 0

  record(milliseconds: number): void {
    const bucket = milliseconds <= smallest ? 0 : Math.floor(Math.log2(milliseconds / smallest) * bucketsPerOctave)
    this.#counts[Math.min(bucket, this.#counts.length - 1)]!++
    this.#total++
    this.#sum += milliseconds
    if (milliseconds < this.#min) this.#min = milliseconds
    if (milliseconds > this.#max) this.#max = milliseconds
  }

  get count(): number {
    return this.#total
  }

  /** The arithmetic mean, exact; null when nothing was recorded. */
  get mean(): number | null {
    return this.#total === 0 ? null : this.#sum / this.#total
  }

  /** The smallest value, exact; null when nothing was recorded. */
  get min(): number | null {
    return this.#total === 0 ? null : this.#min
  }

  /** The largest value, exact; null when nothing was recorded. */
  get max(): number | null {
    return this.#total === 0 ? null : this.#max
  }

  /** The value below which this share (0 to 1) lies, within 1.5 %; null when nothing was recorded. */
  quantile(share: number): number | null {
    if (this.#total === 0) return null
    let left = Math.max(1, Math.ceil(share * this.#total))
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      left -= this.#counts[bucket]!
      if (left <= 0) return Math.min(this.#max, smallest * 2 ** ((bucket + 0.5) / bucketsPerOctave))
    }
    return this.#max
  }
}
