/**
 * How long a store takes to record an end, and from when on its silence means trouble.
 *
 * A database that is being stopped, or a disk that hangs, often says nothing for a while before it fails, and what is sent
 * meanwhile may be sent twice. A fixed patience would be too short for a slow disk and too long for a quick one, so it is
 * learnt as TCP learns when a segment is lost (RFC 6298 §2): the usual time, and four times its variation.
 */

/** Between these two, in milliseconds. The shorter one forgives a checkpoint, and a pause of our own event loop. */
const shortest = 50
const longest = 1000

/** Learns how long answers take. */
export class AnswerTime {
  private usual: number | undefined
  private variation = 0

  /** An answer came after so many milliseconds, at the first try. */
  learn(ms: number): void {
    if (this.usual === undefined) {
      this.usual = ms
      this.variation = ms / 2
    } else {
      this.variation += (Math.abs(ms - this.usual) - this.variation) / 4
      this.usual += (ms - this.usual) / 8
    }
  }

  /** For how many milliseconds silence is nothing unusual. */
  get limit(): number {
    return Math.min(longest, Math.max(shortest, (this.usual ?? 0) + 4 * this.variation))
  }
}
