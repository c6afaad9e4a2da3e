/**
 * Limits that several processes hold together: each leases the times at which it may send from a ledger that all share.
 *
 * The ledger is the state of one `RateLimit`. Who has messages to send takes the next few times from it, about 250 ms ahead,
 * by reading it, moving it on, and writing it back if nobody else did meanwhile. Times that nobody uses are lost, as those of
 * a process that dies: less is sent then, never more. Because the ledger is stored, counts survive restarts too.
 *
 * Pure: the caller passes the time in milliseconds since 1970, and brings the ledger.
 *
 * @since 0.1.0
 */

import type { ReadRates } from "./FlowOptions.ts"
import * as Limit from "./Limit.ts"
import { type Cost, oneMessage, type Rate, RateLimit, type Saved } from "./RateLimit.ts"

/** How far ahead times are leased, in milliseconds. */
const leaseMs = 250

/** Nothing is leased further ahead, so that processes that come later wait no longer. */
const furthestMs = 500

/**
 * A message may be admitted so many milliseconds after its time, and begin so many after that: what all processes are late
 * together must fit into the burst.
 */
const latestMs = 15

/** How long a message that is late waits where no other time is leased, in milliseconds. */
const retryMs = 25

/** Times under limits without spacing may be used for so long, in milliseconds. */
const countedMs = 1000

/** Without spacing, so many messages are leased at first, and at most. */
const fewest = 8
const most = 500

/**
 * Times taken from a ledger, and the ledger as it is then.
 *
 * @since 0.1.0
 */
export interface Lease {
  readonly times: ReadonlyArray<number>
  readonly ledger: string
}

/**
 * The limits of one relay, lane or tenant, leased.
 *
 * @since 0.1.0
 */
export class LeasedRate implements Rate {
  private readonly rates: ReadRates
  private readonly isSpaced: boolean
  private readonly perSecond: number
  private times: Array<number> = []
  private isWanted = false
  private used = 0
  private lastCount = fewest

  constructor(rates: ReadRates) {
    this.rates = rates
    const spaced = rates.limits.filter(({ windowMs }) => windowMs <= 60_000)
    this.isSpaced = spaced.length > 0
    this.perSecond = Math.min(...spaced.map(Limit.perSecond))
  }

  /** The earliest time, from `now` on, at which a message may be admitted; infinite until more is leased. */
  availableAt(now: number): number {
    this.drop(now)
    const [first] = this.times
    if (first === undefined) this.isWanted = true
    return first === undefined ? Number.POSITIVE_INFINITY : Math.max(now, first)
  }

  /** The number of leased times until then. */
  countUntil(now: number, until: number): number {
    this.drop(now)
    this.isWanted = true
    return this.times.filter((time) => time <= until).length
  }

  /** Uses a time. */
  admit(): void {
    this.times.shift()
    this.used++
    this.isWanted = true
  }

  /** The earliest time, from `now` on, at which an admitted message may begin: one that is late needs another time. */
  beginsAt(now: number, _: Cost, admittedAt: number): number {
    return this.isLate(now, admittedAt) ? Math.min(this.availableAt(now), now + retryMs) : now
  }

  /** Counts a message that begins. */
  begin(now: number, _: Cost, admittedAt: number): void {
    if (this.isLate(now, admittedAt)) this.admit()
  }

  /** The number of times to lease now: 0 if nothing waits, or enough are leased. */
  wanted(now: number): number {
    this.drop(now)
    if (!this.isWanted) return 0
    if (this.isSpaced) {
      const last = this.times.at(-1)
      if (last !== undefined && last > now + leaseMs / 2) return 0
      return Math.max(1, Math.ceil((this.perSecond * leaseMs) / 1000))
    }
    if (this.times.length > this.lastCount / 2) return 0
    this.lastCount = Math.min(most, Math.max(fewest, 2 * this.used))
    return this.lastCount
  }

  /**
   * Takes up to `count` times from a ledger as it was stored; `undefined` for a new one. `now` is the clock by which the
   * ledger counts.
   */
  lease(stored: string | undefined, now: number, count: number): Lease {
    const shared = new RateLimit(this.rates.limits, this.rates.warmUp, true)
    if (stored !== undefined) shared.restore(JSON.parse(stored) as Saved)
    const times: Array<number> = []
    while (times.length < count) {
      const at = shared.availableAt(times.at(-1) ?? now, oneMessage)
      if (at > now + furthestMs) break
      shared.admit(at, oneMessage)
      times.push(at)
    }
    return { times, ledger: JSON.stringify(shared.save(now)) }
  }

  /** Adds leased times, by the caller's clock. */
  grant(times: ReadonlyArray<number>): void {
    this.times = [...this.times, ...times]
    this.used = 0
    this.isWanted = false
  }

  private isLate(now: number, admittedAt: number): boolean {
    return this.isSpaced && now - admittedAt > latestMs
  }

  private drop(now: number): void {
    const oldest = now - (this.isSpaced ? latestMs : countedMs)
    while (this.times.length > 0 && this.times[0]! < oldest) this.times.shift()
  }
}
