/**
 * The limits that a relay's replies have asked for, of the relay or of one lane: a rate and a number of messages at once, each
 * for its time. A later reply replaces what it names and leaves the other.
 *
 * Pure: the caller passes the time in milliseconds.
 */
import type { AskedLimits } from "../AskedLimits.ts"
import * as Limit from "../Limit.ts"
import { type Cost, RateLimit } from "../RateLimit.ts"

/** The limits of a relay or a lane, as long as they hold. */
export class AskedGate {
  /** The messages that were admitted while the gate was there, and have not ended. */
  inFlight = 0
  private limit: Limit.Limit | undefined
  private rate: RateLimit | undefined
  private rateEndsAt = Number.NEGATIVE_INFINITY
  private most = Number.POSITIVE_INFINITY
  private mostEndsAt = Number.NEGATIVE_INFINITY

  /** Keeps to limits from now on. Returns true if they are others than those that hold already. */
  heed({ connections, forMs, slowTo }: Pick<AskedLimits, "connections" | "forMs" | "slowTo">, now: number): boolean {
    let isNew = false
    if (slowTo !== undefined) {
      if (this.rateAt(now) === undefined || Limit.format(slowTo) !== Limit.format(this.limit!)) {
        this.limit = slowTo
        this.rate = new RateLimit([slowTo])
        isNew = true
      }
      this.rateEndsAt = now + forMs
    }
    if (connections !== undefined) {
      if (now >= this.mostEndsAt || connections !== this.most) isNew = true
      this.most = connections
      this.mostEndsAt = now + forMs
    }
    return isNew
  }

  /** True if nothing holds any more. */
  isOver(now: number): boolean {
    return this.inFlight === 0 && now >= this.rateEndsAt && now >= this.mostEndsAt
  }

  /** The earliest time, from `now` on, at which a message may be admitted; earlier if one of those that are on their way ends. */
  availableAt(now: number, cost: Cost): number {
    if (this.room(now) < 1) return this.mostEndsAt
    return Math.min(this.rateAt(now)?.availableAt(now, cost) ?? now, Math.max(now, this.rateEndsAt))
  }

  /** True if a limit on recipients holds. */
  countsRecipients(now: number): boolean {
    return this.rateAt(now) !== undefined && this.limit?.unit === "recipients"
  }

  /** The number of messages of this many recipients each that may be admitted from `now` until `until`. */
  countUntil(now: number, until: number, recipients: number): number {
    return Math.min(this.rateAt(now)?.countUntil(now, until, recipients) ?? Number.POSITIVE_INFINITY, this.room(now))
  }

  /** Counts a message that is admitted. */
  admit(now: number, cost: Cost): void {
    this.inFlight++
    this.rateAt(now)?.admit(now, cost)
  }

  /** The earliest time, from `now` on, at which an admitted message may begin. */
  beginsAt(now: number, cost: Cost): number {
    return Math.min(this.rateAt(now)?.beginsAt(now, cost) ?? now, Math.max(now, this.rateEndsAt))
  }

  /** Counts a message that begins. */
  begin(now: number, cost: Cost): void {
    this.rateAt(now)?.begin(now, cost)
  }

  private rateAt(now: number): RateLimit | undefined {
    return now < this.rateEndsAt ? this.rate : undefined
  }

  private room(now: number): number {
    return now < this.mostEndsAt ? this.most - this.inFlight : Number.POSITIVE_INFINITY
  }
}
