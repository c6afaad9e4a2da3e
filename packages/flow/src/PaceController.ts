/**
 * Finds the rate that a relay takes, from its complaints, and paces messages at it (AIMD with a memory).
 *
 * A relay that limits the rate of messages does not say its limit; it answers 421, 450 4.7.1 or the like to what is too
 * much. Fewer messages at once do not help where the limit times the service time is less than about two: one message
 * at a time is still too fast. So the rate itself is controlled:
 *
 * - **open**: no complaint yet, no limit.
 * - **searching**: after the first complaint, from the rate that the relay accepted in the last second. Each step that
 *   holds is followed by twice the rate, or, once a rate has failed, by the mean of that and the one that held.
 * - **steady**: once the two are close, 0.95 of the rate that failed. Every 20 s the rate rises by 5 %. Each such probe
 *   that holds makes the next one larger and earlier, so that a limit that was lifted is soon forgotten.
 * - **stopped**: the relay took nothing although next to nothing was asked of it. Messages wait for 1 s, then 2 s, up to
 *   10 s, and one goes as a probe. What was learned is forgotten: the relay had trouble, and told no limit.
 *
 * Only complaints about messages that were begun after the last change count, one for each change.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 *
 * @since 0.1.0
 */

import { TokenBucket } from "./TokenBucket.ts"

/**
 * Where the search for the rate stands.
 *
 * @since 0.1.0
 */
export type Phase = "open" | "searching" | "steady" | "stopped"

/** The lowest rate, in messages a second. */
const lowestRate = 0.1

/** The rate after a pause, in messages a second. */
const firstRate = 2

/** A rate has held after this many milliseconds, or four messages, or three service times, whichever is longest. */
const shortestHoldMs = 1000

/** The share of the failed rate that is kept to. */
const margin = 0.95

const probeEveryMs = 20_000
const shortestProbeMs = 5_000
const longestProbeMs = 120_000
const firstProbe = 0.05
const largestProbe = 0.5

const shortestPauseMs = 1_000
const longestPauseMs = 10_000

/** After this many complaints in a row nothing is sent for `restMs`; a rate that gave nothing else is stopped. */
const fruitless = 5
const restMs = 250

/** For this long after a cut the relay may still count earlier messages. */
const settleMs = 1000

/** The yield of a rate is the mean since the rate changed, if that is no longer ago: a second is short for few messages. */
const freshMs = 5000

/** The search ends where the rate that held is so close to the one that failed. */
const close = 0.9

/** How many milliseconds' worth of messages may go at once, because timers fire late. */
const burstMs = 10

/**
 * Controls the rate of messages to one relay or lane.
 *
 * @since 0.1.0
 */
export class PaceController {
  /** The rate in messages a second; infinite while there is no limit. */
  rate = Number.POSITIVE_INFINITY
  phase: Phase = "open"
  private readonly bucket = new TokenBucket(1, 1)
  private readonly accepted = new RecentCount()
  /** The lowest rate that failed, and the highest that held. */
  private failedRate = Number.POSITIVE_INFINITY
  private heldRate = 0
  /** The number of the first message at this rate. */
  private firstOfRate = 0
  private changedAt = Number.NEGATIVE_INFINITY
  /** From when on the rate is judged, and the number of the first message from then on. */
  private judgedFrom = Number.NEGATIVE_INFINITY
  private firstJudged = 0
  private next = 0
  /** Messages begun and accepted at this rate. */
  private begunOfRate = 0
  private acceptedOfRate = 0
  private complaintsOfRate = 0
  /** Complaints since the last success. */
  private complaintsInRow = 0
  private pausedUntil = Number.NEGATIVE_INFINITY
  private pauseMs = 0
  private probes = 0
  /** How often in a row a steady rate failed. */
  private failures = 0
  private probeEveryMs = probeEveryMs
  private serviceMs = 0

  /** The earliest time, from `now` on, at which a message may begin. */
  availableAt(now: number): number {
    if (this.rate === Number.POSITIVE_INFINITY) return now
    this.adjust(now)
    return Math.max(this.bucket.availableAt(now), this.pausedUntil)
  }

  /** Begins a message; returns its number, which `succeeded` and `complained` want. */
  begin(now: number): number {
    if (this.rate !== Number.POSITIVE_INFINITY) this.bucket.take(now)
    this.begunOfRate++
    if (now < this.judgedFrom) this.firstJudged = this.next + 1
    return this.next++
  }

  /** The relay took a message, or refused it for reasons of its own, after `serviceMs`. */
  succeeded(number: number, now: number, serviceMs: number): void {
    this.accepted.add(now)
    this.complaintsInRow = 0
    this.serviceMs += (serviceMs - this.serviceMs) * 0.1
    if (this.phase === "stopped") {
      this.pauseMs = 0
      this.phase = "searching"
      this.changeTo(now, firstRate)
    }
    if (number >= this.firstOfRate) this.acceptedOfRate++
  }

  /** The relay complained about a message. Returns true if the rate changed. */
  complained(number: number, now: number, askedMs = 0): boolean {
    if (number < this.firstOfRate) return false
    if (askedMs > 0) this.pausedUntil = Math.max(this.pausedUntil, now + askedMs)
    this.complaintsInRow++
    if (number >= this.firstJudged) this.complaintsOfRate++
    if (this.phase === "open") {
      this.phase = "searching"
      this.changeTo(now, Math.max(1, this.accepted.perSecond(now)))
      return true
    }
    if (this.phase === "stopped") {
      this.stop(now)
      return true
    }
    if (this.complaintsOfRate > 0 && now - this.judgedFrom >= this.holdMs) {
      this.failed(now)
      return true
    }
    // The rate was changed a moment ago, and what that does shows only after a while.
    if (this.complaintsInRow >= 20) this.pausedUntil = Math.max(this.pausedUntil, now + restMs)
    return false
  }

  /** Forgets all complaints: they were not about the rate. Those about messages that are on their way count no more. */
  reopen(): void {
    this.rate = Number.POSITIVE_INFINITY
    this.phase = "open"
    this.failedRate = Number.POSITIVE_INFINITY
    this.heldRate = 0
    this.firstOfRate = this.next
    this.complaintsOfRate = 0
    this.complaintsInRow = 0
    this.pausedUntil = Number.NEGATIVE_INFINITY
    this.pauseMs = 0
    this.probes = 0
    this.failures = 0
  }

  /** How much the relay takes, in messages a second. */
  private goodput(now: number): number {
    const lastSecond = this.accepted.perSecond(now)
    const age = now - this.changedAt - this.serviceMs
    return age > 1000 && age < freshMs ? Math.max(lastSecond, (this.acceptedOfRate / age) * 1000) : lastSecond
  }

  /** How long a rate is tried before it is judged. */
  private get holdMs(): number {
    return Math.max(shortestHoldMs, 4000 / this.rate, 3 * this.serviceMs)
  }

  private failed(now: number): void {
    const { rate } = this
    if (this.acceptedOfRate === 0 && this.complaintsInRow >= fruitless) return this.stop(now)
    const goodput = this.goodput(now)
    const wasSteady = this.phase === "steady"
    this.probes = 0
    this.failedRate = rate
    // A relay with a large burst lets a rate seem to hold for a while.
    if (this.heldRate >= rate || goodput < 0.45 * this.heldRate) this.heldRate = 0
    if (wasSteady) this.probeEveryMs = Math.min(longestProbeMs, this.probeEveryMs * 1.5)
    if (this.heldRate === 0 && goodput < 0.6 * rate) this.changeTo(now, Math.max(lowestRate, margin * goodput))
    else if (this.phase === "searching" && this.heldRate > 0 && this.heldRate < close * rate) {
      this.changeTo(now, Math.sqrt(this.heldRate * rate))
    } else {
      this.phase = "steady"
      this.changeTo(
        now,
        Math.max(margin ** Math.min(++this.failures, 4) * rate, Math.min(margin * rate, margin * goodput))
      )
    }
  }

  /** Judges a rate that was tried for long enough: lowers one that failed, and raises one that held. */
  private adjust(now: number): void {
    if (this.phase === "stopped") return
    const { rate } = this
    const held = now - this.judgedFrom
    if (held < this.holdMs) return
    if (this.complaintsOfRate > 0) return this.failed(now)
    if (this.acceptedOfRate < 4) return
    // Where less is sent than may be, it has not been tried whether the rate holds.
    if (this.begunOfRate < (rate * held) / 2000) return
    this.failures = 0
    if (this.phase === "searching") {
      this.heldRate = rate
      if (this.failedRate === Number.POSITIVE_INFINITY) this.changeTo(now, 2 * rate)
      else if (rate < close * this.failedRate) this.changeTo(now, Math.sqrt(rate * this.failedRate))
      else {
        this.phase = "steady"
        this.changeTo(now, margin * this.failedRate)
      }
      return
    }
    if (held < (this.probes === 0 ? this.probeEveryMs : Math.max(shortestProbeMs, probeEveryMs / 2 ** this.probes)))
      return
    this.heldRate = rate
    this.changeTo(now, rate * (1 + Math.min(largestProbe, firstProbe * 2 ** this.probes)))
    this.probes++
  }

  /** Lets one message through after a pause. */
  private stop(now: number): void {
    this.phase = "stopped"
    this.failedRate = Number.POSITIVE_INFINITY
    this.heldRate = 0
    this.probeEveryMs = probeEveryMs
    this.pauseMs = Math.min(longestPauseMs, Math.max(shortestPauseMs, 2 * this.pauseMs))
    this.changeTo(now, lowestRate)
    this.pausedUntil = now + this.pauseMs
  }

  private changeTo(now: number, rate: number): void {
    const isLower = rate < this.rate
    this.rate = rate
    this.changedAt = now
    this.judgedFrom = now + (isLower ? settleMs : 0)
    this.firstOfRate = this.next
    this.firstJudged = this.next
    this.begunOfRate = 0
    this.acceptedOfRate = 0
    this.complaintsOfRate = 0
    // A relay that has just complained has no room for a burst.
    if (isLower) this.bucket.empty(now)
    this.bucket.setRate(now, rate, 1 + (rate * burstMs) / 1000)
  }
}

/** Counts what happened in about the last second. */
class RecentCount {
  private startedAt = Number.NEGATIVE_INFINITY
  private current = 0
  private before = 0

  add(now: number): void {
    this.turn(now)
    this.current++
  }

  perSecond(now: number): number {
    this.turn(now)
    return this.current + this.before * (1 - (now - this.startedAt) / 1000)
  }

  private turn(now: number): void {
    const passed = now - this.startedAt
    if (passed < 1000) return
    this.before = passed < 2000 ? this.current : 0
    this.startedAt = passed < 2000 ? this.startedAt + 1000 : now
    this.current = 0
  }
}
