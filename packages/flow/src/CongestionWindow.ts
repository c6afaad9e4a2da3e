/**
 * A congestion window: limits the messages on their way to one lane, or to the relay as a whole, after complaints (AIMD).
 *
 * There is no limit until a first complaint. Each complaint then halves the number on their way, once a cohort: the
 * answer to a message that began before the last cut says nothing new. If even one message on its way is too many,
 * the gate closes for a second, then two, up to a minute, and lets one message through as a probe. Each success
 * raises the limit by one, until it limits nothing again. So the window doubles with each cohort of successes, as in TCP's
 * slow start; Postfix's queue manager adds one for a whole cohort. Postfix must not overshoot, as it has nothing else;
 * here a relay that limits the rate is held by the `PaceController`.
 *
 * A message that is deferred for a reason of its own (its mailbox is full) is not a complaint; several in a row
 * without a success are.
 *
 * Without the window, a dispatcher would go through a throttled lane from end to end and defer every message of it.
 *
 * Pure: the caller passes the time in milliseconds.
 *
 * @since 0.1.0
 */

const shortestPause = 1000
const longestPause = 60_000
/** A relay may ask for a longer wait for a message, but the lane is probed again after this time. */
const longestAskedPause = 300_000
/** The number of deferrals in a row from which each counts as a complaint. */
const deferralThreshold = 5

/**
 * Limits the messages on their way.
 *
 * @since 0.1.0
 */
export class CongestionWindow {
  /** The number of messages on their way, which the caller counts. */
  inFlight = 0
  private window = Infinity
  private closedUntil = 0
  private pause = 0
  private deferrals = 0
  /** The number of the first message that began after the last cut. */
  private cutAt = 0

  /** The most messages on their way at once; infinite while nothing limits them, 0 while it is closed. */
  size(now: number): number {
    return now < this.closedUntil ? 0 : this.window
  }

  /** The number of messages that may begin now. */
  room(now: number): number {
    return Math.max(0, this.size(now) - this.inFlight)
  }

  /** The time at which it opens again; `undefined` if it is open. */
  opensAt(now: number): number | undefined {
    return now < this.closedUntil ? this.closedUntil : undefined
  }

  /** True if nothing is on its way and nothing limits it. */
  get isQuiet(): boolean {
    return this.inFlight === 0 && this.window === Infinity
  }

  /** True if its state is too old to be useful. */
  isStale(now: number): boolean {
    return this.inFlight === 0 && now >= this.closedUntil + longestPause
  }

  /** Records a success. `full` is the concurrency at which the limit is lifted. */
  succeeded(full: number): void {
    this.pause = 0
    this.deferrals = 0
    if (this.window !== Infinity && ++this.window >= full) this.window = Infinity
  }

  /** Records a deferral; returns true if it counts as a complaint. */
  deferred(): boolean {
    return ++this.deferrals >= deferralThreshold
  }

  /** Closes for this many milliseconds, and lets one message through then. */
  close(now: number, ms: number): void {
    this.window = 1
    this.closedUntil = Math.max(this.closedUntil, now + ms)
  }

  /**
   * Records a complaint about the message with the number `begun`, while `inFlight` still counts it; `next` is the
   * next number.
   */
  failed(begun: number, next: number, now: number, askedMs: number): void {
    if (begun < this.cutAt) return
    this.cutAt = next
    const before = Math.min(this.window, this.inFlight)
    this.window = Math.max(1, Math.floor(before / 2))
    if (before > 1) return
    this.pause = Math.min(longestPause, Math.max(shortestPause, this.pause * 2))
    const closedMs = Math.max(this.pause, Math.min(askedMs, longestAskedPause))
    this.closedUntil = Math.max(this.closedUntil, now + closedMs)
  }
}
