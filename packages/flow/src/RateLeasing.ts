/**
 * Leases limits from ledgers: those that several processes share, and those that must survive a restart, because they are slow or count
 * by the hour or day. Other limits are kept here.
 *
 * While the ledgers cannot be reached nothing is leased, and nothing that such a limit concerns is sent.
 *
 * @since 0.2.0
 */

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { MakeRate } from "./FlowControl.ts"
import type { ReadRates, Settings } from "./FlowOptions.ts"
import { LeasedRate } from "./LeasedRate.ts"
import type { LedgerError, Ledgers } from "./Ledgers.ts"
import * as Limit from "./Limit.ts"
import { RateLimit } from "./RateLimit.ts"

/** The interval at which wanted leases are looked for, in milliseconds. */
const everyMs = 50

/** A store that is away is asked again after this many milliseconds. */
const awayMs = 1_000

/**
 * The other senders through the same relay and for the same tenants: none, dispatchers with lanes of their own, or outboxes and
 * streams to the same lanes.
 *
 * @since 0.2.0
 */
export type Sharers = "nobody" | "dispatchers" | "outboxes"

/** The most tries of a lease that other dispatchers get in the way of. */
const maxAttempts = 5

/**
 * The limits of a process that are leased. `onGranted` runs when there are new times.
 *
 * @since 0.2.0
 */
export class RateLeasing<E extends LedgerError> {
  private readonly ledgers: Ledgers<E>
  private readonly relay: string
  private readonly sharers: Sharers
  private readonly leased = new Map<string, LeasedRate>()
  private readonly onGranted: () => void

  constructor(ledgers: Ledgers<E>, { name }: Pick<Settings, "name">, sharers: Sharers, onGranted: () => void) {
    this.ledgers = ledgers
    this.relay = name
    this.sharers = sharers
    this.onGranted = onGranted
  }

  /** Makes the limits of a relay, a lane or a tenant. */
  readonly makeRate: MakeRate = (name, rates) => {
    const isShared = this.sharers === "outboxes" || (this.sharers === "dispatchers" && !name.startsWith("lane:"))
    if (!isLong(rates) && (!isShared || rates.limits.length === 0)) return new RateLimit(rates.limits, rates.warmUp)
    const rate = new LeasedRate(rates)
    this.leased.set(name === "relay" ? `relay:${this.relay}` : name, rate)
    return rate
  }

  /** Leases the wanted limits, again and again. Fails if the ledgers fail for good. */
  get run(): Effect.Effect<never, E> {
    return Effect.forever(Effect.andThen(this.leaseWanted, Effect.sleep(everyMs)))
  }

  private readonly leaseWanted: Effect.Effect<void, E> = Effect.suspend(() =>
    Effect.forEach(
      [...this.leased],
      ([name, rate]) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const count = rate.wanted(now)
          return count === 0 && !rate.hasUnused ? Effect.void : this.lease(name, rate, count, maxAttempts)
        }),
      { discard: true }
    )
  )

  private lease(name: string, rate: LeasedRate, count: number, left: number): Effect.Effect<void, E> {
    const { ledgers, onGranted } = this
    return Effect.gen({ self: this }, function* () {
      const { ledger: stored, now: theirs, version } = yield* ledgers.read(name)
      // Taken after the store's: times then come a little too late, never too early.
      const ours = yield* Clock.currentTimeMillis
      const aheadMs = ours - theirs
      const lease = rate.lease(stored, theirs, count)
      const { opensAt, recipientsOpenAt } = lease
      rate.hold(opensAt && opensAt + aheadMs, recipientsOpenAt && recipientsOpenAt + aheadMs)
      if (!lease.isChanged) return
      const isWritten = yield* ledgers.write(name, version, lease.ledger)
      if (!isWritten) {
        if (left > 0) yield* this.lease(name, rate, count, left - 1)
        return
      }
      rate.take(lease, aheadMs)
      onGranted()
    }).pipe(
      Effect.catchIf(
        (error) => error.isRetryable,
        (error) =>
          Effect.andThen(Effect.logWarning(`could not lease the limit ${name}: ${error.message}`), Effect.sleep(awayMs))
      )
    )
  }
}

/**
 * True if a restart would let more through: limits of more than a minute, and slow ones, whose burst is one message at once. The
 * burst of a quicker one is what passes during a restart.
 */
const isLong = ({ limits, warmUp }: ReadRates): boolean =>
  warmUp !== undefined || limits.some((limit) => limit.windowMs > 60_000 || Limit.perSecond(limit) < slow)

/** Units a second below which a limit is slow. */
const slow = 2
