/**
 * The usual time of an answer and its variation.
 */

/**
 * The bounds of the limit, in milliseconds. The lower one allows for a checkpoint, and for a pause of our own event
 * loop.
 */
const shortest = 50
const longest = 1000

/** Learns how long answers take. */
export class AnswerTime {
  private usual: number | undefined
  private variation = 0

  /** Records an answer that came at the first try, after `ms` milliseconds. */
  learn(ms: number): void {
    if (this.usual === undefined) {
      this.usual = ms
      this.variation = ms / 2
    } else {
      this.variation += (Math.abs(ms - this.usual) - this.variation) / 4
      this.usual += (ms - this.usual) / 8
    }
  }

  /** The silence that is still normal, in milliseconds. */
  get limit(): number {
    return Math.min(longest, Math.max(shortest, (this.usual ?? 0) + 4 * this.variation))
  }
}
