/**
 * A sliding count over a long window, in 60 sub-windows.
 *
 * For windows of more than a minute: a token bucket would spread `50000/d` evenly, as 0.58/s. Here the whole amount may
 * go at once. Because the count covers the sub-window under way and the 60 before it, any window at all holds at most
 * limit × 61/60.
 *
 * Pure: the caller passes the time in milliseconds since 1970, so that counts survive a restart.
 *
 * @since 0.1.0
 */

/**
 * The number of sub-windows in a window.
 *
 * @since 0.1.0
 */
export const subWindows = 60

/**
 * A count as it is kept over a restart: the number of each sub-window that is not empty.
 *
 * @since 0.1.0
 */
export type Saved = ReadonlyArray<readonly [subWindow: number, count: number]>

/**
 * Counts what was sent in a window.
 *
 * @since 0.1.0
 */
export class SlidingCount {
  private readonly subWindowMs: number
  private readonly counts = new Map<number, number>()
  private limit: number
  private total = 0
  private oldest = Number.NEGATIVE_INFINITY

  /** Starts empty. */
  constructor(limit: number, windowMs: number) {
    this.subWindowMs = windowMs / subWindows
    this.limit = limit
  }

  /** The most that 61 sub-windows may hold. */
  private get most(): number {
    return Math.floor((this.limit * (subWindows + 1)) / subWindows)
  }

  /** The count in the window up to `now`. */
  count(now: number): number {
    this.drop(now)
    return this.total
  }

  /** How much more fits now. */
  room(now: number): number {
    return Math.max(0, this.most - this.count(now))
  }

  /** The earliest time, from `now` on, at which `cost` more fits. More than the limit fits when the window is empty. */
  availableAt(now: number, cost = 1): number {
    this.drop(now)
    let missing = this.total + Math.min(cost, this.most) - this.most
    if (missing <= 0) return now
    for (const [subWindow, count] of this.counts) {
      missing -= count
      if (missing <= 0) return Math.max(now, (subWindow + subWindows + 1) * this.subWindowMs)
    }
    return now
  }

  /** Counts what is sent; a negative cost gives back what was counted then, unless no window reaches it any more. */
  take(now: number, cost = 1): void {
    this.drop(now)
    const subWindow = Math.floor(now / this.subWindowMs)
    const before = this.counts.get(subWindow) ?? 0
    const change = Math.max(cost, -before)
    if (change === 0) return
    this.counts.set(subWindow, before + change)
    this.total += change
  }

  /** Changes the limit; what was counted stays. */
  setLimit(limit: number): void {
    this.limit = limit
  }

  /** The counts, to be kept over a restart. */
  save(now: number): Saved {
    this.drop(now)
    return [...this.counts]
  }

  /** Adds counts that were kept. */
  restore(saved: Saved): void {
    const all = new Map(this.counts)
    for (const [subWindow, count] of saved) all.set(subWindow, (all.get(subWindow) ?? 0) + count)
    this.counts.clear()
    this.total = 0
    this.oldest = Number.NEGATIVE_INFINITY
    for (const [subWindow, count] of [...all].sort(([a], [b]) => a - b)) {
      this.counts.set(subWindow, count)
      this.total += count
    }
  }

  /** Forgets sub-windows that no window up to `now` reaches. */
  private drop(now: number): void {
    const first = Math.floor(now / this.subWindowMs) - subWindows
    if (first <= this.oldest) return
    this.oldest = first
    for (const [subWindow, count] of this.counts) {
      if (subWindow >= first) return
      this.counts.delete(subWindow)
      this.total -= count
    }
  }
}
