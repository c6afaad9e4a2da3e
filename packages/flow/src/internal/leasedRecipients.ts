/**
 * The part of a `LeasedRate` that limits recipients: times at which a number of recipients may be written to.
 *
 * Each time is leased for the recipients of the largest message that went lately or waits. Smaller messages share it; what they
 * leave of it is lost under limits of up to a minute, so that together the processes send less and never more, and goes back to
 * the ledger under longer ones. Three processes whose messages had 1 to 40 recipients used 0.8 of a limit.
 *
 * Pure: the caller passes the time in milliseconds since 1970, and brings the ledger.
 */
import * as Limit from "../Limit.ts"
import type { RateLimit } from "../RateLimit.ts"
import { LeaseRest } from "./leaseRest.ts"
import { countedMs, fewest, furthestMs, latestOf, leaseMs, most } from "./leaseTimes.ts"

/** A time at which this many recipients may be written to. */
export interface LeasedTime {
  readonly at: number
  readonly recipients: number
}

interface Slot {
  readonly at: number
  /** The same by the ledger's clock. */
  readonly ledgerAt: number
  recipients: number
}

/** Times for recipients, leased. */
export class LeasedRecipients {
  readonly rest = new LeaseRest()
  private readonly isSpaced: boolean
  /** How long a time may be used. */
  private readonly usableMs: number
  private readonly perSecond: number
  private slots: Array<Slot> = []
  private isWanted = false
  private used = 0
  private lastCount = fewest
  /** The most recipients of a message that waits for more than is leased. */
  private wantedAtOnce = 1
  /** The most recipients of a message since the last lease. */
  private largest = 1
  /** Recipients that were leased and not used, or used and not leased, by the ledger's time. */
  private credits: Array<{ readonly at: number; readonly recipients: number }> = []
  /** How many of them the lease under way takes into account. */
  private crediting = 0

  constructor(limits: ReadonlyArray<Limit.Limit>) {
    const spaced = limits.filter(({ windowMs }) => windowMs <= 60_000)
    this.isSpaced = spaced.length > 0
    this.perSecond = Math.min(...spaced.map(Limit.perSecond))
    this.usableMs = this.isSpaced ? latestOf(this.perSecond) : countedMs
  }

  /** The earliest time, from `now` on, at which this many recipients may be written to, as far as is leased. */
  availableAt(now: number, recipients: number): number {
    this.drop(now)
    let first = 0
    let sum = 0
    for (const slot of this.slots) {
      sum += slot.recipients
      const at = Math.max(now, slot.at)
      while (this.slots[first]!.at < this.oldestAt(at)) sum -= this.slots[first++]!.recipients
      if (sum >= recipients) return at
    }
    this.isWanted = true
    this.wantedAtOnce = Math.max(this.wantedAtOnce, recipients)
    return this.rest.opensAt > now ? this.rest.opensAt : Number.POSITIVE_INFINITY
  }

  /** The number of messages of this many recipients that may be admitted from `now` until `until`. */
  countUntil(now: number, until: number, recipients: number): number {
    this.drop(now)
    this.isWanted = true
    let sum = 0
    for (const slot of this.slots) if (slot.at <= until) sum += slot.recipients
    const count = Math.floor(sum / recipients)
    return count === 0 && this.availableAt(now, Math.ceil(recipients)) <= until ? 1 : count
  }

  /** Uses times. */
  admit(recipients: number): void {
    this.largest = Math.max(this.largest, recipients)
    let left = recipients
    let ledgerAt = Number.NEGATIVE_INFINITY
    while (left > 0 && this.slots.length > 0) {
      const slot = this.slots[0]!
      const taken = Math.min(left, slot.recipients)
      slot.recipients -= taken
      left -= taken
      ledgerAt = slot.ledgerAt
      if (slot.recipients === 0) this.slots.shift()
    }
    if (left > 0) this.credits.push({ at: ledgerAt, recipients: -left })
    this.used += recipients
    this.isWanted = true
  }

  /** The number of recipients to lease times for now: 0 if nothing waits, or enough are leased. */
  wanted(now: number): number {
    this.drop(now)
    if (!this.isWanted || this.rest.isAt(now)) return 0
    const isShort = this.slots.length === 0 || this.wantedAtOnce > 1
    if (this.isSpaced) {
      if (!isShort && this.slots.at(-1)!.at > now + leaseMs / 2) return 0
      return Math.max(1, Math.ceil((this.perSecond * leaseMs) / 1000))
    }
    if (!isShort && this.slots.reduce((sum, { recipients }) => sum + recipients, 0) > this.lastCount / 2) return 0
    this.lastCount = Math.min(most, Math.max(fewest, 2 * this.used))
    return this.lastCount
  }

  /** Takes times for about `count` recipients from the limits as all processes share them. */
  lease(
    shared: RateLimit,
    now: number,
    count: number
  ): { readonly times: ReadonlyArray<LeasedTime>; readonly opensAt: number | undefined } {
    this.crediting = this.credits.length
    for (const { at, recipients } of this.credits) shared.correct({ recipients: -recipients, bytes: 0 }, at)
    const times: Array<LeasedTime> = []
    let leased = 0
    const size = Math.max(this.wantedAtOnce, this.isSpaced ? this.largest : 1)
    while (leased < count) {
      const recipients = leased === 0 || this.isSpaced ? size : 1
      const cost = { recipients, bytes: 0 }
      const at = shared.availableAt(times.at(-1)?.at ?? now, cost)
      if (at > now + furthestMs) return { times, opensAt: leased === 0 ? at : undefined }
      shared.admit(at, cost)
      leased += recipients
      const last = times.at(-1)
      if (last?.at === at) times[times.length - 1] = { at, recipients: last.recipients + recipients }
      else times.push({ at, recipients })
    }
    return { times, opensAt: undefined }
  }

  /** Adds leased times by the ledger's clock; the caller's is `aheadMs` ahead of it. */
  grant(times: ReadonlyArray<LeasedTime>, aheadMs: number): void {
    this.credits.splice(0, this.crediting)
    this.crediting = 0
    if (times.length === 0) return
    this.rest.end()
    for (const { at, recipients } of times) this.slots.push({ at: at + aheadMs, ledgerAt: at, recipients })
    this.slots.sort((a, b) => a.at - b.at)
    this.used = 0
    this.isWanted = false
    this.wantedAtOnce = 1
    this.largest = 1
  }

  private oldestAt(now: number): number {
    return now - this.usableMs
  }

  private drop(now: number): void {
    const oldest = this.oldestAt(now)
    while (this.slots.length > 0 && this.slots[0]!.at < oldest) {
      const { ledgerAt, recipients } = this.slots.shift()!
      if (!this.isSpaced) this.credits.push({ at: ledgerAt, recipients })
    }
  }
}
