/**
 * Ownership of buckets by session locks, for several dispatchers that share one PostgreSQL database.
 *
 * A dispatcher owns a bucket by holding its advisory lock on a dedicated connection. Each beat is one round trip that
 * renews the dispatcher's row, compares its buckets and epochs with the database's, and counts the dispatchers. A
 * dispatcher with more than its share leaves the surplus; one with less takes buckets without an owner.
 *
 * **Shares** are by rank among the presence locks, so that they add up: ⌊n/d⌋, and one more for the first n mod d.
 *
 * **Losing the connection.** The locks go with it, so ownership is unconfirmed from the first error on and nothing begins.
 * The session notices the loss at once, because it listens for notifications. A dispatcher that reconnects first looks for
 * its former buckets: nobody has taken those that still bear its name. For the grace period it takes no bucket that bears
 * another's name, because the other may have lost its connection for the same reason.
 *
 * **Taking over.** A bucket left in good order bears no name and is taken at once. An unlocked bucket that bears a name
 * belongs to a dispatcher that died, or was cut off and is about to come back. The others leave it alone for the grace
 * period, counted from when they first saw it so, or until its owner's lease is over.
 *
 * So nobody else takes a bucket during the grace period after its lock was seen held. Each beat and each check sees the
 * locks, and for most of that period any number of messages may begin without another query.
 */
import * as LogEvent from "mailrace/LogEvent"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Lane from "../../Lane.ts"
import * as OutboxError from "../../OutboxError.ts"
import * as Confirmation from "../dispatch/confirmation.ts"
import type * as Dispatch from "../dispatch/possession.ts"
import type { Statements } from "./dispatch.ts"
import type { LockSession, Unlocked } from "./lockSession.ts"

/** The settings of ownership. */
export interface Settings {
  /** The server, as error texts name it. */
  readonly name: string
  readonly heartbeatMs: number
  readonly leaseMs: number
}

/** A session of this dispatcher, from a connection of its own. */
export type Open = Effect.Effect<LockSession, OutboxError.OutboxError, Scope.Scope>

type Possession = Dispatch.Possession<Statements, { readonly leaseMs: number }>

/** Becomes one of the dispatchers. Resumes with its share, except for buckets that another must leave first. */
export const hold = (
  possession: Possession,
  open: Open,
  settings: Settings
): Effect.Effect<void, OutboxError.OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const ownership = new SessionOwnership(possession, open, settings, yield* Clock.Clock)
    yield* Effect.acquireRelease(ownership.begin, () => ownership.end)
  })

/**
 * The grace period in milliseconds, two and a half beats, and its upper bound. With the default beat of half a second, a
 * killed dispatcher is replaced after 1.25 to 1.75 s; one that was cut off has at least 1.25 s to come back.
 */
const graceOf = (heartbeatMs: number): number => Math.min(2.5 * heartbeatMs, 5000)

/** The part of the grace period in which messages begin freely. The rest gives those on their way time to end. */
const exclusivePart = 0.6

/** The number of beats between two searches for rows of dead dispatchers. */
const tidyEvery = 60

/** The time for which the end waits for the database, in milliseconds. */
const longestGoodbye = 5000

/** The pause between two attempts to connect, in milliseconds. */
const reconnectEvery = 100

/** An unlocked bucket of an owner that may come back, as it was first seen. */
interface Orphan {
  readonly owner: string
  readonly beatAt: number | undefined
  readonly since: number
}

class SessionOwnership {
  private readonly possession: Possession
  private readonly open: Open
  private readonly settings: Settings
  private readonly graceMs: number
  private readonly clock: Clock.Clock
  private session: { readonly locks: LockSession; readonly scope: Scope.Closeable } | undefined
  private loop: Fiber.Fiber<unknown> | undefined
  /** The time until which this dispatcher takes no bucket from others, on the monotonic clock. */
  private aloneUntil = 0
  /** Unlocked buckets that bear another dispatcher's name, and since when this one knows. */
  private readonly orphaned = new Map<number, Orphan>()
  /** The time at which the first of them may be taken. */
  private takeAt = Infinity
  private isShort = false
  private beats = 0
  /** True while a caller waits for all buckets without an owner to be taken. */
  private request: Deferred.Deferred<boolean> | undefined
  /** Completes when there is work before the next heartbeat; fails with an error that occurs beside the heartbeats. */
  private interruption = Deferred.makeUnsafe<void, OutboxError.OutboxError>()

  constructor(possession: Possession, open: Open, settings: Settings, clock: Clock.Clock) {
    this.clock = clock
    this.possession = possession
    this.open = open
    this.settings = settings
    this.graceMs = graceOf(settings.heartbeatMs)
  }

  /** Milliseconds on the monotonic clock. */
  private get now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  /** Takes the first share, then maintains it until `end`. */
  readonly begin: Effect.Effect<void, OutboxError.OutboxError> = Effect.gen({ self: this }, function* () {
    const locks = yield* this.connect
    const first = Effect.gen({ self: this }, function* () {
      yield* this.balance(locks)
      // The first share includes the buckets of dead dispatchers, or a short run would end without them.
      if (this.isShort && this.takeAt < Infinity) {
        yield* Effect.sleep(Math.max(0, this.takeAt - this.now))
        yield* this.balance(locks)
      }
      yield* locks.tellOthers
    })
    yield* Effect.onError(first, () => this.disconnect)
    this.possession.onFree = () => Deferred.doneUnsafe(this.interruption, Effect.void)
    this.possession.onRenew(() => this.ask())
    this.possession.onSettle(this.settle)
    this.loop = yield* Effect.forkDetach(this.keep)
  })

  /** Gives up all buckets and announces it. The sending has ended by then, so all claimed messages are put back. */
  readonly end: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    if (this.loop !== undefined) yield* Fiber.interrupt(this.loop)
    const { session } = this
    if (session === undefined) return
    // Dispatchers that look at free buckets must not count this one among those that get a share.
    const goodbye = session.locks.leave.pipe(
      Effect.andThen(session.locks.yieldUp([...this.possession.owned.keys()])),
      Effect.andThen(session.locks.tellOthers)
    )
    yield* Effect.ignore(within(longestGoodbye, this.settings.name, goodbye))
    yield* this.disconnect
  })

  private readonly connect: Effect.Effect<LockSession, OutboxError.OutboxError> = Effect.uninterruptibleMask(
    (restore) =>
      Effect.gen({ self: this }, function* () {
        const scope = Scope.makeUnsafe()
        const locks = yield* Effect.onError(restore(Scope.provide(this.open, scope)), () =>
          Scope.close(scope, Exit.void)
        )
        this.session = { locks, scope }
        return locks
      })
  )

  /** Disconnects without waiting for a silent server. */
  private readonly disconnect: Effect.Effect<void> = Effect.suspend(() => {
    const { session } = this
    this.session = undefined
    return session === undefined ? Effect.void : Effect.asVoid(Effect.forkDetach(Scope.close(session.scope, Exit.void)))
  })

  private readonly keep: Effect.Effect<never> = Effect.suspend(() => {
    let wasServed = true
    const serve = Effect.gen({ self: this }, function* () {
      const locks = this.session?.locks ?? (yield* this.reconnect)
      wasServed = true
      yield* this.serve(locks)
    })
    const recover = (error: OutboxError.OutboxError) =>
      Effect.gen({ self: this }, function* () {
        this.possession.revoke()
        yield* this.disconnect
        if (wasServed) {
          yield* LogEvent.warning(
            "ownership.lost",
            `lost the locks on buckets of ${this.settings.name}; no message starts until they are back: ${error.message}`,
            { dispatcher: this.settings.name }
          )
        } else yield* Effect.sleep(Math.min(reconnectEvery, this.settings.heartbeatMs))
        wasServed = false
      })
    return Effect.forever(Effect.catch(serve, recover), { disableYield: true })
  })

  private readonly reconnect: Effect.Effect<LockSession, OutboxError.OutboxError> = Effect.gen(
    { self: this },
    function* () {
      this.interruption = Deferred.makeUnsafe()
      const locks = yield* this.connect
      this.aloneUntil = this.now + this.graceMs
      this.orphaned.clear()
      yield* this.deadline(this.balance(locks))
      return locks
    }
  )

  private serve(locks: LockSession): Effect.Effect<never, OutboxError.OutboxError> {
    return Effect.forever(
      Effect.andThen(
        Effect.suspend(() => this.rest(locks, this.now + this.pauseMs)),
        Effect.suspend(() => this.deadline(this.balance(locks)))
      ),
      { disableYield: true }
    )
  }

  /**
   * Waits for the next heartbeat, or for a notification from another dispatcher. Gives up buckets that become free in the
   * meantime.
   */
  private rest(locks: LockSession, until: number): Effect.Effect<void, OutboxError.OutboxError> {
    return Effect.gen({ self: this }, function* () {
      while (true) {
        const { interruption } = this
        const free = yield* Effect.raceAllFirst([
          Effect.as(Deferred.await(interruption), true),
          // Many dispatchers are notified at once, and should not all check at once.
          Effect.as(
            Effect.andThen(locks.notified, Effect.sleep(Math.random() * this.settings.heartbeatMs * jitter)),
            false
          ),
          Effect.as(Effect.sleep(Math.max(0, until - this.now)), false)
        ])
        if (!free) return
        if (this.request === undefined) yield* Effect.sleep(freeTogether)
        if (this.interruption === interruption) this.interruption = Deferred.makeUnsafe()
        yield* this.deadline(this.yieldFree(locks))
        if (this.request !== undefined) return
      }
    })
  }

  private get pauseMs(): number {
    const beatMs = this.settings.heartbeatMs
    const pause = this.isShort ? beatMs / 4 : beatMs
    return Math.max(0, Math.min(pause, this.takeAt - this.now))
  }

  /** Balances the share: locks the owned buckets, leaves surplus ones, takes missing ones. */
  private balance(locks: LockSession): Effect.Effect<void, OutboxError.OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const { possession } = this
      const since = Confirmation.now()
      const census = yield* locks.heartbeat(possession.inFlight)
      yield* this.regain(locks, census)
      this.confirm(since)
      const dispatchers = Math.max(1, census.dispatchers)
      const share = Math.floor(Lane.buckets / dispatchers) + (census.rank < Lane.buckets % dispatchers ? 1 : 0)
      const kept = [...possession.kept]
      const { request } = this
      if (request === undefined && kept.length > share)
        yield* Effect.forkDetach(possession.beginLeaving(kept.slice(share)), started)
      yield* this.yieldFree(locks)
      const stale = [...census.locked].filter((bucket) => !possession.owned.has(bucket))
      if (stale.length > 0) yield* locks.unlock(stale)
      this.takeAt = Infinity
      const wanted = (request === undefined ? share : Lane.buckets) - kept.length
      const taken = wanted > 0 ? yield* this.take(locks, wanted) : 0
      this.isShort = kept.length + taken < share
      possession.hasShare = !this.isShort
      // The answer waits for buckets whose owner may come back; the next heartbeat is due when they may be taken.
      if (request !== undefined && (taken > 0 || this.takeAt === Infinity)) {
        this.request = undefined
        Deferred.doneUnsafe(request, Effect.succeed(taken === 0))
      }
      if (this.beats++ % tidyEvery === 0) yield* locks.tidy
    })
  }

  /** Locks again the buckets of a lost connection that no other dispatcher owns by now. */
  private regain(
    locks: LockSession,
    { epochs, locked, owned: count }: Effect.Success<ReturnType<LockSession["heartbeat"]>>
  ): Effect.Effect<void, OutboxError.OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const { owned } = this.possession
      const unlocked = [...owned.keys()].filter((bucket) => !locked.has(bucket))
      let sum = 0
      for (const epoch of owned.values()) sum += epoch
      if (unlocked.length === 0 && count === owned.size && sum === epochs) return
      const again = unlocked.length === 0 ? [] : yield* locks.lock(unlocked, unlocked.length)
      const held = new Set([...locked, ...again])
      const mine = yield* locks.mine([...owned.keys()])
      const lost = [...owned].flatMap(([bucket, epoch]) =>
        held.has(bucket) && mine.get(bucket) === epoch ? [] : [bucket]
      )
      if (lost.length === 0) return
      yield* LogEvent.warning(
        "ownership.lost",
        `another dispatcher has taken over ${lost.length} of ${owned.size} buckets of ${this.settings.name}; ` +
          "it also sends the messages that waited here",
        { dispatcher: this.settings.name, buckets: lost.length }
      )
      // Their waiting messages leave the queues before this continues.
      yield* Effect.forkDetach(this.possession.lose(lost), started)
      yield* locks.unlock(lost.filter((bucket) => again.includes(bucket)))
    })
  }

  /** Takes up to a number of buckets; returns the number it took. */
  private take(locks: LockSession, count: number): Effect.Effect<number, OutboxError.OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const mayBeTaken = this.candidates(yield* locks.unlocked)
      if (mayBeTaken.length === 0) return 0
      const locked = yield* locks.lock(mayBeTaken, count)
      yield* this.possession.take(locked, locks)
      return locked.length
    })
  }

  /** Unlocked buckets that may be taken now: first those that bear this dispatcher's name, then any. */
  private candidates(unlocked: ReadonlyArray<Unlocked>): ReadonlyArray<number> {
    const { possession } = this
    const { now } = this
    const own: Array<number> = []
    const others: Array<number> = []
    const seen = new Set<number>()
    for (const { beatAt, bucket, isOver, owner } of unlocked) {
      // This dispatcher may still be sending messages of a bucket that it lost.
      if (possession.owned.has(bucket) || possession.isBusy(bucket)) continue
      if (owner === undefined) others.push(bucket)
      else if (owner === possession.owner) own.push(bucket)
      else {
        seen.add(bucket)
        let orphan = this.orphaned.get(bucket)
        // An owner with a heartbeat since then was back in the meantime.
        if (orphan?.owner !== owner || orphan.beatAt !== beatAt) {
          this.orphaned.set(bucket, (orphan = { owner, beatAt, since: now }))
        }
        const at = Math.max(isOver ? 0 : orphan.since + this.graceMs, this.aloneUntil)
        if (at <= now) others.push(bucket)
        else this.takeAt = Math.min(this.takeAt, at)
      }
    }
    for (const bucket of this.orphaned.keys()) if (!seen.has(bucket)) this.orphaned.delete(bucket)
    return [...own, ...shuffled(others)]
  }

  private yieldFree(locks: LockSession): Effect.Effect<void, OutboxError.OutboxError> {
    return Effect.suspend(() => {
      const free = this.possession.free
      if (free.length === 0) return Effect.void
      this.possession.forget(free)
      return Effect.andThen(locks.yieldUp(free), locks.tellOthers)
    })
  }

  /** Takes all buckets without an owner at the next opportunity, even beyond its share. */
  private readonly settle: Effect.Effect<boolean> = Effect.suspend(() => {
    const request = (this.request ??= Deferred.makeUnsafe())
    Deferred.doneUnsafe(this.interruption, Effect.void)
    return Deferred.await(request)
  })

  /** Asks for a confirmation between two beats. */
  private ask(): void {
    const { session } = this
    if (session === undefined) return
    const since = Confirmation.now()
    Effect.runFork(
      Effect.matchEffect(session.locks.check, {
        onSuccess: () =>
          Effect.sync(() => {
            if (this.session === session) this.confirm(since)
          }),
        onFailure: (error) =>
          Effect.sync(() => {
            if (this.session !== session) return
            this.possession.revoke()
            Deferred.doneUnsafe(this.interruption, Effect.fail(error))
          })
      })
    )
  }

  private confirm(since: Confirmation.Moment): void {
    this.possession.confirmed(since, exclusivePart * this.graceMs)
  }

  private deadline<A>(effect: Effect.Effect<A, OutboxError.OutboxError>) {
    return within(this.settings.leaseMs, this.settings.name, effect)
  }
}

/** Forks an effect that runs up to its first wait before the forking fiber continues. */
const started = { startImmediately: true } as const

/** The time within which buckets that become free are given up together, in milliseconds. */
const freeTogether = 10

/** The part of a heartbeat over which notified dispatchers spread their checks. */
const jitter = 0.05

/** Fails if the database does not answer in time, and leaves the hung call behind. */
const within = <A>(
  ms: number,
  store: string,
  effect: Effect.Effect<A, OutboxError.OutboxError>
): Effect.Effect<A, OutboxError.OutboxError> =>
  Effect.flatMap(Effect.forkDetach(effect, started), (fiber) =>
    Effect.timeoutOrElse(
      Effect.onInterrupt(Fiber.join(fiber), () => Effect.asVoid(Effect.forkDetach(Fiber.interrupt(fiber)))),
      {
        duration: ms,
        orElse: () =>
          Effect.fail(
            OutboxError.make(
              new OutboxError.Unavailable({ store, problem: `it did not answer for ${ms} ms`, isRetryable: true })
            )
          )
      }
    )
  )

const shuffled = (buckets: Array<number>): Array<number> => {
  for (let i = buckets.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[buckets[i], buckets[j]] = [buckets[j]!, buckets[i]!]
  }
  return buckets
}
