/**
 * Several limits at once for one relay, lane or tenant, as `14/s` and `50000/d`.
 *
 * Limits of up to a minute space what is sent (`TokenBucket`), longer ones count it (`SlidingCount`). Spacing is done
 * twice. Messages are *admitted* at 0.99 of the rate and with a part of the burst. They are *begun* later, when a
 * session is free, and those that arrive bunched are held back again, so that the limit holds where the relay counts: at
 * the first octet of MAIL. The rest of the burst is for what the network and the relay's own clock add.
 *
 * Pure: the caller passes the time in milliseconds since 1970, on a scale that does not jump.
 *
 * @since 0.1.0
 */

import * as Limit from "./Limit.ts"
import * as SlidingCount from "./SlidingCount.ts"
import { TokenBucket } from "./TokenBucket.ts"
import type { WarmUp } from "./WarmUp.ts"
import * as WarmUps from "./WarmUp.ts"

/**
 * The weight of one message.
 *
 * @since 0.1.0
 */
export interface Cost {
  readonly recipients: number
  readonly bytes: number
}

/**
 * A message of one recipient, whose size does not matter.
 *
 * @since 0.1.0
 */
export const oneMessage: Cost = { recipients: 1, bytes: 0 }

/**
 * The bytes that limits on bytes let through.
 *
 * @since 0.1.0
 */
export interface ByteRoom {
  /** Infinite if no limit counts bytes. */
  readonly bytes: number
  /** True if nothing of it is used, so that a message that is larger than all of it may go. */
  readonly isWhole: boolean
}

/**
 * The state that is kept over a restart, by limit in the form of `Limit.format`: counts, or the time at which a bucket is full
 * again.
 *
 * @since 0.1.0
 */
export type Saved = Readonly<Record<string, SlidingCount.Saved | number>>

/**
 * The limits of one relay, lane or tenant, kept by this process (`RateLimit`) or leased from what several share
 * (`LeasedRate`).
 *
 * @since 0.1.0
 */
export interface Rate {
  /** The earliest time, from `now` on, at which a message may be admitted. */
  readonly availableAt: (now: number, cost: Cost) => number
  /** The number of messages of this many recipients each (1 by default) that may be admitted from `now` until `until`. */
  readonly countUntil: (now: number, until: number, recipients?: number) => number
  /** The bytes of messages that may be admitted from `now` until `until`. */
  readonly bytesUntil: (now: number, until: number) => ByteRoom
  /** Counts a message that is admitted. */
  readonly admit: (now: number, cost: Cost) => void
  /** The earliest time, from `now` on, at which a message may begin that was admitted at `admittedAt`. */
  readonly beginsAt: (now: number, cost: Cost, admittedAt: number) => number
  /** Counts a message that begins. */
  readonly begin: (now: number, cost: Cost, admittedAt: number) => void
  /** Counts so much more, or less if negative, than a message was admitted with at `admittedAt`. */
  readonly correct: (more: Cost, admittedAt: number) => void
}

/** A limit of up to a minute. */
interface Spacing {
  readonly limit: Limit.Limit
  readonly admitted: TokenBucket
  readonly begun: TokenBucket
}

/** A longer limit. */
interface Counting {
  readonly name: string
  readonly unit: Limit.Unit
  readonly count: SlidingCount.SlidingCount
}

/** The share of the limit that is used, so that late timers of a second do not add up to more. */
const used = 0.99

/** A message that is late by this many milliseconds does not cost those behind it their places. */
const latenessMs = 30

/**
 * The limits of one relay, lane or tenant.
 *
 * @since 0.1.0
 */
export class RateLimit implements Rate {
  private readonly spacings: ReadonlyArray<Spacing>
  private readonly countings: ReadonlyArray<Counting>
  private readonly warmUp: { readonly plan: WarmUp; readonly count: SlidingCount.SlidingCount } | undefined
  private warmUpDay = Number.NEGATIVE_INFINITY

  /**
   * Starts with full buckets and empty counts. With `isEven` messages are admitted one by one and never in a burst, for a
   * process that cannot see how late others are.
   */
  constructor(limits: ReadonlyArray<Limit.Limit>, warmUp?: WarmUp, isEven = false) {
    this.spacings = limits.filter(isSpaced).map((limit) => spacingOf(limit, isEven))
    this.countings = limits
      .filter((limit) => !isSpaced(limit))
      .map((limit) => ({
        name: Limit.format(limit),
        unit: limit.unit,
        count: new SlidingCount.SlidingCount(limit.amount, limit.windowMs)
      }))
    this.warmUp =
      warmUp === undefined ? undefined : { plan: warmUp, count: new SlidingCount.SlidingCount(warmUp.from, dayMs) }
  }

  /** The earliest time, from `now` on, at which a message may be admitted. */
  availableAt(now: number, cost: Cost): number {
    let at = now
    for (const { admitted, limit } of this.spacings)
      at = Math.max(at, admitted.availableAt(now, amountOf(limit.unit, cost)))
    for (const { count, unit } of this.countings) at = Math.max(at, count.availableAt(now, amountOf(unit, cost)))
    if (this.warmUp === undefined) return at
    this.warm(now)
    return Math.max(at, this.warmUp.count.availableAt(now))
  }

  /** The number of messages of this many recipients each (1 by default) that may be admitted from `now` until `until`. */
  countUntil(now: number, until: number, recipients = 1): number {
    let count = Number.POSITIVE_INFINITY
    for (const { admitted, limit } of this.spacings) {
      if (limit.unit !== "bytes") {
        const cost = amountOf(limit.unit, { recipients, bytes: 0 })
        count = Math.min(
          count,
          wholeOf(admitted.countUntil(now, until), cost, admitted.availableAt(now, cost) <= until)
        )
      }
    }
    for (const { count: counted, unit } of this.countings) {
      if (unit !== "bytes") {
        const cost = amountOf(unit, { recipients, bytes: 0 })
        count = Math.min(count, wholeOf(counted.room(now), cost, counted.availableAt(now, cost) <= until))
      }
    }
    if (this.warmUp === undefined) return count
    this.warm(now)
    return Math.min(count, this.warmUp.count.room(now))
  }

  /** The bytes of messages that may be admitted from `now` until `until`. */
  bytesUntil(now: number, until: number): ByteRoom {
    let bytes = Number.POSITIVE_INFINITY
    let isWhole = true
    for (const { admitted, limit } of this.spacings) {
      if (limit.unit !== "bytes") continue
      bytes = Math.min(bytes, admitted.countUntil(now, until))
      isWhole &&= admitted.fullAt <= until
    }
    for (const { count, unit } of this.countings) {
      if (unit !== "bytes") continue
      bytes = Math.min(bytes, count.room(now))
      isWhole &&= count.count(now) === 0
    }
    return { bytes, isWhole }
  }

  /** Counts a message that is admitted. */
  admit(now: number, cost: Cost): void {
    for (const { admitted, limit } of this.spacings) admitted.take(now, amountOf(limit.unit, cost))
    for (const { count, unit } of this.countings) count.take(now, amountOf(unit, cost))
    this.warmUp?.count.take(now)
  }

  /** The earliest time, from `now` on, at which an admitted message may begin. */
  beginsAt(now: number, cost: Cost): number {
    let at = now
    for (const { begun, limit } of this.spacings) at = Math.max(at, begun.availableAt(now, amountOf(limit.unit, cost)))
    return at
  }

  /** Counts a message that begins. */
  begin(now: number, cost: Cost): void {
    for (const { begun, limit } of this.spacings) begun.take(now, amountOf(limit.unit, cost))
  }

  /** Counts so much more, or less if negative, than a message was admitted with at `admittedAt`. */
  correct(more: Cost, admittedAt: number): void {
    for (const { admitted, limit } of this.spacings) {
      if (limit.unit === "bytes" || limit.unit === "recipients") admitted.take(admittedAt, more[limit.unit])
    }
    for (const { count, unit } of this.countings) {
      if (unit === "bytes" || unit === "recipients") count.take(admittedAt, more[unit])
    }
  }

  /** Uncounts a message that was admitted at `admittedAt` and never sent, where limits count; its spacing is over. */
  giveBack(admittedAt: number): void {
    for (const { count, unit } of this.countings) if (unit === "messages") count.take(admittedAt, -1)
    this.warmUp?.count.take(admittedAt, -1)
  }

  /** The state to keep over a restart. */
  save(now: number): Saved {
    const saved: Record<string, SlidingCount.Saved | number> = {}
    for (const { admitted, limit } of this.spacings) {
      if (admitted.fullAt > now) saved[Limit.format(limit)] = admitted.fullAt
    }
    for (const { count, name } of this.countings) saved[name] = count.save(now)
    if (this.warmUp !== undefined) saved[warmUpName] = this.warmUp.count.save(now)
    return saved
  }

  /** Adds what was kept; limits that are no more are ignored. */
  restore(saved: Saved): void {
    for (const { admitted, limit } of this.spacings) {
      const fullAt = saved[Limit.format(limit)]
      if (typeof fullAt === "number") admitted.fullAt = Math.max(admitted.fullAt, fullAt)
    }
    for (const { count, name } of this.countings) count.restore(countsOf(saved[name]))
    this.warmUp?.count.restore(countsOf(saved[warmUpName]))
  }

  private warm(now: number): void {
    const { count, plan } = this.warmUp!
    const day = WarmUps.dayOf(plan, now)
    if (day === this.warmUpDay) return
    this.warmUpDay = day
    count.setLimit(WarmUps.amountOn(plan, day))
  }
}

const dayMs = 86_400_000

const warmUpName = "warmup"

const countsOf = (saved: Saved[string] | undefined): SlidingCount.Saved => (Array.isArray(saved) ? saved : [])

const isSpaced = ({ windowMs }: Limit.Limit): boolean => windowMs <= 60_000

const spacingOf = (limit: Limit.Limit, isEven: boolean): Spacing => {
  const rate = Limit.perSecond(limit) * used
  const burst = Limit.burstOf(limit)
  return {
    limit,
    admitted: new TokenBucket(rate, isEven ? 1 : Math.max(1 + (rate * latenessMs) / 1000, 0.7 * burst)),
    begun: new TokenBucket(rate, Math.max(1 + (rate * latenessMs) / 1000, 0.8 * burst))
  }
}

/** How many messages of a cost a number lets through: one that costs more than all of it too, where that may go. */
const wholeOf = (amount: number, cost: number, mayGo: boolean): number =>
  Math.max(Math.floor(amount / cost), mayGo ? 1 : 0)

const amountOf = (unit: Limit.Unit, cost: Cost): number => (unit === "recipients" || unit === "bytes" ? cost[unit] : 1)
