/**
 * Remembers how many connections a relay allows, and when it may be asked for another.
 *
 * A relay tells its limit by refusing one connection more: 421 or 554 at the greeting, 421 or 454 at AUTH. Such a refusal is
 * a limit only while another session is open or was a moment ago; otherwise the relay refuses the client. The number of
 * sessions that were open then is the limit from that moment on, and for ten minutes beyond the last of them. One more is
 * tried at most once a minute, and at most once in five minutes where each try is refused.
 *
 * A relay notices late that a connection has gone. So a refusal within five seconds of a goodbye leaves room for one more,
 * which is tried after a pause.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 */

/** For this many milliseconds a relay may still count a session that has gone. */
const settleMs = 5_000

/** How long a limit is remembered when no session is open any more, in milliseconds. */
const memoryMs = 600_000

/** How long after a refusal one more is tried, in milliseconds; doubles up to `longestProbeMs`. */
const firstProbeMs = 60_000
const longestProbeMs = 300_000

/** The first pause after an attempt that failed while a session was open, in milliseconds; doubles up to `longestPauseMs`. */
const failurePauseMs = 5_000
const longestPauseMs = 300_000

/** The first pause after a refusal that a goodbye explains, or after sessions that ended at once; doubles up to `settleMs`. */
const shortPauseMs = 100

/** A session that ends within this many milliseconds without a message was not worth opening. */
const shortLivedMs = 1_000

/** Remembers how many connections a relay allows. */
export class ConnectionLimit {
  private limit = Number.POSITIVE_INFINITY
  private expiresAt = Number.POSITIVE_INFINITY
  private probeAt = Number.POSITIVE_INFINITY
  private probeEveryMs = firstProbeMs
  private isProbing = false
  private goneAt = Number.NEGATIVE_INFINITY
  /** Nothing is opened before this time. */
  private pausedUntil = Number.NEGATIVE_INFINITY
  /** Only a session that is needed is opened before this time. */
  private failedUntil = Number.NEGATIVE_INFINITY
  /** The limit that somebody has set, and its end. */
  private cap = Number.POSITIVE_INFINITY
  private capEndsAt = Number.NEGATIVE_INFINITY
  private pauses = 0
  private failures = 0
  /** How many sessions in a row were not worth opening. */
  private shortLived = 0

  /** How many connections may be open or opening, now that `count` are; `isNeeded` where messages wait and none is. */
  allowed(now: number, count: number, isNeeded: boolean): number {
    if (now < this.pausedUntil || (now < this.failedUntil && !isNeeded)) return count
    if (count === 0 && now >= this.expiresAt) this.forget()
    return Math.min(now >= this.probeAt ? this.limit + 1 : this.limit, this.cappedAt(now))
  }

  /** Sets a limit for a time; a later one replaces it. */
  capUntil(endsAt: number, most: number): void {
    this.cap = most
    this.capEndsAt = endsAt
  }

  /** The limit that has been set; infinite if there is none. */
  cappedAt(now: number): number {
    return now < this.capEndsAt ? this.cap : Number.POSITIVE_INFINITY
  }

  /** How long until `allowed` may give more, in milliseconds; infinite where only a goodbye helps. */
  changesIn(now: number): number {
    const paused = Math.max(this.pausedUntil, this.failedUntil)
    if (now < paused) return paused - now
    const changesAt = Math.min(
      now < this.probeAt ? this.probeAt : Number.POSITIVE_INFINITY,
      now < this.capEndsAt ? this.capEndsAt : Number.POSITIVE_INFINITY
    )
    return changesAt - now
  }

  /** An attempt begins while this many other connections are open or opening. */
  attempted(now: number, others: number): void {
    if (others < this.limit || now < this.probeAt) return
    this.isProbing = true
    this.probeAt = now + this.probeEveryMs
  }

  /** A session has opened; `open` of them are now. */
  opened(now: number, open: number): void {
    this.pauses = 0
    this.failures = 0
    if (this.isProbing && open > this.limit) {
      this.isProbing = false
      this.probeEveryMs = firstProbeMs
      this.probeAt = now + firstProbeMs
    }
    if (open > this.limit) this.limit = open
  }

  /**
   * The relay refused a connection by a reply while `open` sessions were open. Tells whether that shows a limit, so that
   * messages wait for the sessions that there are.
   */
  refused(now: number, open: number): boolean {
    const hasJustGone = now - this.goneAt < settleMs
    if (open === 0 && !hasJustGone) return false
    if (hasJustGone) this.pause(now)
    if (this.isProbing) {
      this.isProbing = false
      this.probeEveryMs = Math.min(2 * this.probeEveryMs, longestProbeMs)
    }
    this.lower(now, hasJustGone ? open + 1 : open)
    return true
  }

  /** The relay told a session that too many are open, of which `open` remain. */
  exceeded(now: number, open: number): void {
    this.lower(now, Math.max(1, open))
  }

  /** An attempt failed that no message waited for alone. */
  failed(now: number): void {
    // Attempts that fail together are one failure.
    if (now < this.failedUntil) return
    this.failedUntil = now + Math.min(failurePauseMs * 2 ** this.failures, longestPauseMs)
    this.failures++
  }

  /** A session takes no more messages. It is not worth replacing at once if it ended early and carried nothing. */
  retired(now: number, ageMs: number, wasUsed: boolean): void {
    this.shortLived = wasUsed || ageMs > shortLivedMs ? 0 : this.shortLived + 1
    if (this.shortLived < 2) return
    const pauseMs = Math.min(shortPauseMs * 2 ** (this.shortLived - 2), settleMs)
    this.pausedUntil = Math.max(this.pausedUntil, now + pauseMs)
  }

  /** A session has closed, so that the relay has room for another. */
  gone(now: number): void {
    this.goneAt = now
    if (this.limit !== Number.POSITIVE_INFINITY) this.expiresAt = now + memoryMs
  }

  private lower(now: number, limit: number): void {
    this.limit = Math.min(this.limit, limit)
    this.expiresAt = now + memoryMs
    this.probeAt = now + this.probeEveryMs
  }

  private pause(now: number): void {
    if (now < this.pausedUntil) return
    this.pausedUntil = now + Math.min(shortPauseMs * 2 ** this.pauses, settleMs)
    this.pauses++
  }

  private forget(): void {
    this.limit = Number.POSITIVE_INFINITY
    this.expiresAt = Number.POSITIVE_INFINITY
    this.probeAt = Number.POSITIVE_INFINITY
    this.probeEveryMs = firstProbeMs
    this.isProbing = false
  }
}
