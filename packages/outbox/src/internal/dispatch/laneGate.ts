/**
 * How many mails may be on their way for one lane, or for the relay as a whole, after it asked to slow down.
 *
 * Nothing is limited until a first complaint. Each complaint then halves what was on its way, once a cohort: an answer
 * to what was begun before the last cut says nothing new. When a single mail on its way is still too many, the gate
 * closes for a second, then two, up to a minute, and lets one through to see. Each success opens it by one, until it
 * limits nothing again.
 *
 * A mail that is deferred for a reason of its own (its mailbox is full) is no complaint; several in a row without one that
 * went through are.
 *
 * Without it a lane that is throttled would be walked through from end to end, every mail of it deferred.
 */

const shortestPause = 1000
const longestPause = 60_000
/** A relay may ask for more time than this for a mail, but its lane is looked at again. */
const longestAskedPause = 300_000
/** From how many deferrals in a row on each is a complaint. */
const deferralThreshold = 5

/** Limits what is on its way. */
export class LaneGate {
  inFlight = 0
  private window = Infinity
  private closedUntil = 0
  private pause = 0
  private deferrals = 0
  /** Where the last cut stands in the order of what was begun. */
  private cutAt = 0

  /** How many more may begin now. */
  room(now: number): number {
    return now < this.closedUntil ? 0 : Math.max(0, this.window - this.inFlight)
  }

  /** When it opens again; `undefined` when it is open. */
  opensAt(now: number): number | undefined {
    return now < this.closedUntil ? this.closedUntil : undefined
  }

  get isQuiet(): boolean {
    return this.inFlight === 0 && this.window === Infinity
  }

  /** Whether what it knows is too old to be of use. */
  isStale(now: number): boolean {
    return this.inFlight === 0 && now >= this.closedUntil + longestPause
  }

  /** A mail went through. `full` is where the limit is of no more use. */
  succeeded(full: number): void {
    this.pause = 0
    this.deferrals = 0
    if (this.window !== Infinity && ++this.window >= full) this.window = Infinity
  }

  /** A mail was deferred; returns whether that is a complaint. */
  deferred(): boolean {
    return ++this.deferrals >= deferralThreshold
  }

  /** A complaint about what began as number `begun`, while `inFlight` still counts it; `next` is the next number. */
  failed(begun: number, next: number, now: number, askedMs: number): void {
    if (begun < this.cutAt) return
    this.cutAt = next
    const before = Math.min(this.window, this.inFlight)
    this.window = Math.max(1, Math.floor(before / 2))
    if (before > 1) return
    this.pause = Math.min(longestPause, Math.max(shortestPause, this.pause * 2))
    this.closedUntil = now + Math.max(this.pause, Math.min(askedMs, longestAskedPause))
  }
}
