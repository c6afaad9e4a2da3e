/**
 * Leases limits from ledgers in the store: those that several dispatchers share, and those that count by the hour or day
 * and so must survive a restart. Other limits are kept here.
 *
 * While the store cannot be reached nothing is leased, and nothing that such a limit concerns is sent.
 */
import type { MakeRate } from "@mailrace/flow/FlowControl"
import type { ReadRates, Settings } from "@mailrace/flow/FlowOptions"
import { LeasedRate } from "@mailrace/flow/LeasedRate"
import { RateLimit } from "@mailrace/flow/RateLimit"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type { Ledgers } from "../../OutboxStore.ts"

/** The interval at which wanted leases are looked for, in milliseconds. */
const everyMs = 50

/** A store that is away is asked again after this many milliseconds. */
const awayMs = 1_000

/** The other senders through the same relay and for the same tenants: to lanes of their own, or to the same lanes. */
export type Sharers = "nobody" | "dispatchers" | "outboxes"

/** The most tries of a lease that other dispatchers get in the way of. */
const maxAttempts = 5

/** The limits of a dispatcher that are leased. */
export class RateLeasing {
  private readonly ledgers: Ledgers
  private readonly relay: string
  private readonly sharers: Sharers
  private readonly leased = new Map<string, LeasedRate>()
  private readonly onGranted: () => void

  constructor(ledgers: Ledgers, { name }: Pick<Settings, "name">, sharers: Sharers, onGranted: () => void) {
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

  /** Leases the wanted limits, again and again. */
  get run(): Effect.Effect<never, OutboxError> {
    return Effect.forever(Effect.andThen(this.leaseWanted, Effect.sleep(everyMs)))
  }

  private readonly leaseWanted: Effect.Effect<void, OutboxError> = Effect.suspend(() =>
    Effect.forEach(
      [...this.leased],
      ([name, rate]) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const count = rate.wanted(now)
          return count === 0 ? Effect.void : this.lease(name, rate, count, maxAttempts)
        }),
      { discard: true }
    )
  )

  private lease(name: string, rate: LeasedRate, count: number, left: number): Effect.Effect<void, OutboxError> {
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

const isLong = ({ limits, warmUp }: ReadRates): boolean =>
  warmUp !== undefined || limits.some(({ windowMs }) => windowMs > 60_000)
