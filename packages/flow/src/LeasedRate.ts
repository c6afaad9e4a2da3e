/**
 * Limits that several processes hold together: each leases the times at which it may send from a ledger that all share.
 *
 * The ledger is the state of one `RateLimit`. A process that has messages to send takes the next few times from it, about 250 ms
 * ahead, by reading it, moving it on, and writing it back if nobody else did meanwhile. Times that nobody uses are lost, as those
 * of a process that dies: less is sent then, never more. Because the ledger is stored, counts survive restarts too.
 *
 * Under a limit on bytes each time is leased with the bytes of a message. What a smaller message leaves of them, and what
 * nobody uses, goes back to the ledger with the next lease. Limits on recipients lease times of their own, one for each
 * recipient.
 *
 * Pure: the caller passes the time in milliseconds since 1970, and brings the ledger.
 *
 * @since 0.1.0
 */

import type { ReadRates } from "./FlowOptions.ts"
import { LeaseRest } from "./internal/leaseRest.ts"
import { countedMs, fewest, furthestMs, latestOf, leaseMs, most } from "./internal/leaseTimes.ts"
import { type LeasedTime, LeasedRecipients } from "./internal/leasedRecipients.ts"
import * as Limit from "./Limit.ts"
import { type ByteRoom, type Cost, oneMessage, type Rate, RateLimit, type Saved } from "./RateLimit.ts"

/** How long a message that is late waits where no other time is leased, in milliseconds. */
const retryMs = 25

/** A time is leased with this many bytes at most while it is not known how large the messages are. */
const typicalBytes = 16_384

/**
 * Times taken from a ledger, and the ledger as it is then.
 *
 * @since 0.1.0
 */
export interface Lease {
  readonly times: ReadonlyArray<number>
  /** When there will be one, if there is none now. */
  readonly opensAt: number | undefined
  /** The bytes that each of them may be used for; infinite if no limit counts bytes. */
  readonly bytes: number
  /** Times for recipients, under limits that count them. */
  readonly recipients: ReadonlyArray<LeasedTime>
  /** When there will be one for recipients, if there is none now. */
  readonly recipientsOpenAt: number | undefined
  /** True if something was taken, so that the ledger has to be written. */
  readonly isChanged: boolean
  readonly ledger: string
}

/**
 * The limits of one relay, lane or tenant, leased.
 *
 * @since 0.1.0
 */
export class LeasedRate implements Rate {
  /** All limits but those on recipients. */
  private readonly rates: Pick<ReadRates, "limits" | "warmUp">
  private readonly recipientLimits: ReadonlyArray<Limit.Limit>
  private readonly recipients: LeasedRecipients | undefined
  /** False if there are none but limits on recipients, so that any time will do. */
  private readonly isTimed: boolean
  private readonly isSpaced: boolean
  private readonly perSecond: number
  /** The smallest amount of the limits on bytes; infinite if there are none. */
  private readonly fewestBytes: number
  private slots: Array<Slot> = []
  private isWanted = false
  private used = 0
  private lastCount: number
  /** The most bytes of a message that waits. */
  private wantedBytes = 0
  /** Bytes that were leased and not used, or used and not leased, by the ledger's time. */
  private credits: Array<{ readonly at: number; readonly bytes: number }> = []
  /** How many of them the lease under way takes into account. */
  private crediting = 0
  /** Leased times that nobody used, by the ledger's clock. */
  private unused: Array<number> = []
  /** How many of them the lease under way takes into account. */
  private returning = 0
  private lastUsed: Slot | undefined
  /** How many times, and times for recipients, `wanted` has asked for, where there are both. */
  private timesToLease = Number.POSITIVE_INFINITY
  private recipientsToLease = Number.POSITIVE_INFINITY
  private readonly rest = new LeaseRest()
  private readonly latestMs: number

  constructor({ limits, warmUp }: ReadRates) {
    const isOfRecipients = ({ unit }: Limit.Limit): boolean => unit === "recipients"
    this.recipientLimits = limits.filter(isOfRecipients)
    this.recipients = this.recipientLimits.length === 0 ? undefined : new LeasedRecipients(this.recipientLimits)
    const rates = { limits: limits.filter((limit) => !isOfRecipients(limit)), warmUp }
    this.rates = rates
    this.isTimed = rates.limits.length > 0 || warmUp !== undefined || this.recipients === undefined
    const spaced = rates.limits.filter(({ windowMs }) => windowMs <= 60_000)
    this.isSpaced = spaced.length > 0
    this.perSecond = Math.min(...spaced.map((limit) => (limit.unit === "bytes" ? Infinity : Limit.perSecond(limit))))
    this.latestMs = latestOf(this.perSecond)
    this.fewestBytes = Math.min(...rates.limits.map(({ amount, unit }) => (unit === "bytes" ? amount : Infinity)))
    this.lastCount = this.countsBytes ? 1 : fewest
  }

  /** True if a limit counts messages over more than a minute. */
  private get countsMessages(): boolean {
    const { limits, warmUp } = this.rates
    return warmUp !== undefined || limits.some(({ unit, windowMs }) => unit === "messages" && windowMs > 60_000)
  }

  private get countsBytes(): boolean {
    return this.fewestBytes !== Infinity
  }

  /**
   * The earliest time, from `now` on, at which a message may be admitted; infinite until more is leased, unless the ledger
   * told when that will be.
   */
  availableAt(now: number, cost: Cost = oneMessage): number {
    const recipientsAt = this.recipients?.availableAt(now, cost.recipients) ?? now
    return this.isTimed ? Math.max(recipientsAt, this.timeAvailableAt(now, cost)) : recipientsAt
  }

  private timeAvailableAt(now: number, cost: Cost): number {
    this.drop(now)
    const slot = this.slots[this.fitting(cost)]
    if (slot !== undefined) return Math.max(now, slot.at)
    this.isWanted = true
    this.wantedBytes = Math.max(this.wantedBytes, cost.bytes)
    return this.rest.opensAt > now ? this.rest.opensAt : Number.POSITIVE_INFINITY
  }

  /** The number of messages of this many recipients each that leased times let through until then. */
  countUntil(now: number, until: number, recipients = 1): number {
    const count = this.recipients?.countUntil(now, until, recipients) ?? Number.POSITIVE_INFINITY
    if (!this.isTimed) return count
    this.drop(now)
    this.isWanted = true
    return Math.min(count, this.slots.filter(({ at }) => at <= until).length)
  }

  /** The bytes of the leased times until then. */
  bytesUntil(now: number, until: number): ByteRoom {
    this.drop(now)
    let bytes = this.countsBytes ? 0 : Number.POSITIVE_INFINITY
    for (const slot of this.slots) if (slot.at <= until) bytes += slot.bytes
    return { bytes, isWhole: !this.countsBytes }
  }

  /** Uses a time. */
  admit(_now?: number, cost: Cost = oneMessage): void {
    this.recipients?.admit(cost.recipients)
    if (!this.isTimed) return
    const [slot] = this.slots.splice(Math.max(0, this.fitting(cost)), 1)
    this.lastUsed = slot ?? this.lastUsed
    if (slot !== undefined) this.credit(slot, slot.bytes - cost.bytes)
    this.used++
    this.isWanted = true
  }

  /** The earliest time, from `now` on, at which an admitted message may begin: one that is late needs another time. */
  beginsAt(now: number, cost: Cost, admittedAt: number): number {
    return this.isLate(now, admittedAt) ? Math.min(this.availableAt(now, cost), now + retryMs) : now
  }

  /** Counts a message that begins. */
  begin(now: number, cost: Cost, admittedAt: number): void {
    if (this.isLate(now, admittedAt)) this.admit(now, cost)
  }

  /** Counts this many bytes more, or fewer if negative, than a message was admitted with. */
  correct({ bytes }: Cost): void {
    if (this.lastUsed !== undefined) this.credit(this.lastUsed, -bytes)
    if (bytes <= 0 || !this.countsBytes) return
    // The ledger does not know of these bytes yet, so what else is leased is asked for anew.
    for (const slot of this.slots.splice(0)) this.credit(slot, slot.bytes)
    this.isWanted = true
  }

  /** True if leased times were not used, which the ledger should know although nothing waits. */
  get hasUnused(): boolean {
    return this.unused.length > 0
  }

  /** The number of times to lease now: 0 if nothing waits, or enough are leased. */
  wanted(now: number): number {
    const times = this.timesWanted(now)
    if (this.recipients === undefined) return times
    this.timesToLease = times
    this.recipientsToLease = this.recipients.wanted(now)
    return Math.max(times, this.recipientsToLease)
  }

  private timesWanted(now: number): number {
    this.drop(now)
    if (!this.isWanted || !this.isTimed || this.rest.isAt(now)) return 0
    const isShort = this.slots.length === 0 || this.wantedBytes > 0
    if (this.countsBytes) return isShort ? Math.min(most, Math.max(1, 2 * this.used)) : 0
    if (this.isSpaced) {
      const last = this.slots.at(-1)
      if (last !== undefined && last.at > now + leaseMs / 2) return 0
      return Math.max(1, Math.ceil((this.perSecond * leaseMs) / 1000))
    }
    if (this.slots.length > this.lastCount / 2) return 0
    this.lastCount = Math.min(most, Math.max(fewest, 2 * this.used))
    return this.lastCount
  }

  /**
   * Takes up to `count` times from a ledger as it was stored; `undefined` for a new one. `now` is the clock by which the
   * ledger counts.
   */
  lease(stored: string | undefined, now: number, count: number): Lease {
    const saved = stored === undefined ? {} : (JSON.parse(stored) as Saved)
    const shared = new RateLimit(this.rates.limits, this.rates.warmUp, true)
    shared.restore(saved)
    const sharedRecipients = new RateLimit(this.recipientLimits, undefined, true)
    sharedRecipients.restore(saved)
    const { bytes, opensAt, times } = this.leaseTimes(shared, now, Math.min(count, this.timesToLease))
    const recipients = this.recipients?.lease(sharedRecipients, now, Math.min(count, this.recipientsToLease))
    return {
      times,
      opensAt,
      bytes,
      recipients: recipients?.times ?? [],
      recipientsOpenAt: recipients?.opensAt,
      isChanged: times.length > 0 || (recipients?.times.length ?? 0) > 0 || this.returning > 0,
      ledger: JSON.stringify({ ...shared.save(now), ...sharedRecipients.save(now) })
    }
  }

  private leaseTimes(
    shared: RateLimit,
    now: number,
    count: number
  ): Pick<Lease, "bytes" | "opensAt"> & { readonly times: ReadonlyArray<number> } {
    this.crediting = this.credits.length
    for (const { at, bytes } of this.credits) shared.correct({ recipients: 0, bytes: -bytes }, at)
    this.returning = this.unused.length
    for (const at of this.unused) shared.giveBack(at)
    const bytes = this.wantedBytes > 0 ? this.wantedBytes : Math.min(typicalBytes, this.fewestBytes / 100)
    const cost = { recipients: 1, bytes: this.countsBytes ? bytes : 0 }
    const times: Array<number> = []
    let opensAt: number | undefined
    while (times.length < count) {
      const at = shared.availableAt(times.at(-1) ?? now, cost)
      if (at > now + furthestMs) {
        if (times.length === 0) opensAt = at
        break
      }
      shared.admit(at, cost)
      times.push(at)
    }
    return { times, opensAt, bytes: this.countsBytes ? bytes : Number.POSITIVE_INFINITY }
  }

  /** Takes what was leased, once the ledger was written; the caller's clock is `aheadMs` ahead of the ledger's. */
  take({ bytes, recipients, times }: Lease, aheadMs = 0): void {
    this.recipients?.grant(recipients, aheadMs)
    if (this.isTimed) {
      this.grant(
        times.map((at) => at + aheadMs),
        bytes,
        aheadMs
      )
    }
  }

  /** Adds leased times, by the caller's clock, which is `aheadMs` ahead of the ledger's. */
  grant(times: ReadonlyArray<number>, bytes = Number.POSITIVE_INFINITY, aheadMs = 0): void {
    this.credits.splice(0, this.crediting)
    this.crediting = 0
    this.unused.splice(0, this.returning)
    this.returning = 0
    if (times.length === 0) return
    this.rest.end()
    for (const at of times) this.slots.push({ at, bytes, ledgerAt: at - aheadMs })
    this.used = 0
    this.isWanted = false
    this.wantedBytes = 0
  }

  /** Notes that the ledger has nothing to lease before this time, or nothing for recipients, by the caller's clock. */
  hold(opensAt: number | undefined, recipientsOpenAt?: number): void {
    if (opensAt !== undefined) this.rest.begin(opensAt)
    if (recipientsOpenAt !== undefined) this.recipients?.rest.begin(recipientsOpenAt)
  }

  private fitting({ bytes }: Cost): number {
    return this.slots.findIndex((slot) => bytes <= slot.bytes)
  }

  private credit({ ledgerAt }: Slot, bytes: number): void {
    if (this.countsBytes && bytes !== 0) this.credits.push({ at: ledgerAt, bytes })
  }

  private isLate(now: number, admittedAt: number): boolean {
    return this.isSpaced && now - admittedAt > this.latestMs
  }

  private drop(now: number): void {
    const oldest = now - (this.isSpaced ? this.latestMs : countedMs)
    while (this.slots.length > 0 && this.slots[0]!.at < oldest) {
      const slot = this.slots.shift()!
      this.credit(slot, slot.bytes)
      if (this.countsMessages) this.unused.push(slot.ledgerAt)
    }
  }
}

/** A leased time. */
interface Slot {
  readonly at: number
  /** The same by the ledger's clock. */
  readonly ledgerAt: number
  readonly bytes: number
}
