/**
 * The sessions with one relay: opened when needed, shared, replaced when worn out or broken. `SmtpTransport` asks here for a
 * session for each message.
 *
 * Three parts share the work:
 *
 * - `internal/pool/messageScheduler` decides, without any effect, which message goes to which session, and when another
 *   session is worth opening. `internal/pool/connectionLimit` knows how many the relay allows.
 * - An `effect/Pool` holds the sessions as resources. It opens each by `internal/pool/sessionOpener` and closes it with its
 *   scope or when it is invalidated. The scheduler borrows each session for as long as the session takes messages.
 * - `SmtpPool` carries the decisions out.
 *
 * A session is opened, ready, and finally retired: it has ended, carried its last message, reached its lifetime, or has been
 * idle for too long. A retired session finishes what is on its way and says QUIT in the background, while others open.
 *
 * A session that cannot be opened fails messages only when no other is open or on its way: then all that wait share the
 * error.
 *
 * @since 0.1.0
 */

import * as MailError from "mailrace/MailError"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pool from "effect/Pool"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as ConnectionEnd from "./internal/connection/connectionEnd.ts"
import { turnTime } from "./internal/connection/turnClock.ts"
import { Borrower } from "./internal/pool/borrower.ts"
import { ConnectionLimit } from "./internal/pool/connectionLimit.ts"
import { ContentEnds } from "./internal/pool/contentEnds.ts"
import { MessageScheduler } from "./internal/pool/messageScheduler.ts"
import { RelayLog } from "./internal/pool/relayLog.ts"
import type { RelayMetrics } from "./internal/pool/relayMetrics.ts"
import { SessionOpener } from "./internal/pool/sessionOpener.ts"
import type { Capabilities } from "./Capabilities.ts"
import type * as Pipelining from "./Pipelining.ts"
import type { Settings } from "./SmtpOptions.ts"
import type { SmtpSession } from "./SmtpSession.ts"

/**
 * A count of what the pool has done and holds.
 *
 * @since 0.1.0
 */
export interface Stats {
  /** Sessions opened so far. */
  readonly opened: number
  /** Attempts to open one that failed. */
  readonly failed: number
  /** Messages that found an open session. */
  readonly reused: number
  /** The most sessions open at once. */
  readonly peak: number
  /** Sessions open that carry no message now. */
  readonly idle: number
  /** Sessions that carry messages now. */
  readonly busy: number
  /** Messages that wait for a session. */
  readonly waiting: number
  /**
   * Messages wait because `connectionRate` lets no further connection be opened: since when, and when it does, in
   * milliseconds since 1970. `undefined` while none does.
   */
  readonly connectionsHeld: { readonly since: number; readonly until: number } | undefined
  /** The mode in which the relay is sent to; `undefined` before the first session. */
  readonly pipelining: Pipelining.Mode | undefined
  /** Why nothing goes ahead of the relay's replies any more, where the self-test failed or something else went wrong. */
  readonly speculationRefused: string | undefined
  /** Why mail went in clear although the relay offers TLS (mode `opportunistic`); `undefined` when none did. */
  readonly tlsFailure: string | undefined
}

/**
 * Limits on the connections to a relay for a time, as its reply asks for.
 *
 * @since 0.2.0
 */
export interface Limits {
  /** The most connections, from 1; those beyond finish what is on its way and close. Defaults to no other limit. */
  readonly connections?: number | undefined
  /** The most messages on a connection, from 1; those that have carried more close. Defaults to no other limit. */
  readonly messagesPerConnection?: number | undefined
  /** How long, in milliseconds. */
  readonly forMs: number
}

/**
 * The sessions with one relay.
 *
 * @since 0.1.0
 */
export interface SmtpPool {
  /** Lets a message have a session, at once or later; opens one when there is need and room. */
  readonly borrow: (borrower: Borrower) => void
  /** The message has ended, or does not want a session any more. Called once for each that borrowed. */
  readonly giveBack: (borrower: Borrower) => void
  /** True if no message has a session or waits for one. */
  readonly isUnused: () => boolean
  /** Opens a session unless one is open, keeps it, and gives what the relay offers on it. */
  readonly warm: Effect.Effect<Capabilities, MailError.MailError>
  /** Which messages have ended sessions by their content. */
  readonly contentEnds: ContentEnds
  /** Sets limits on connections, in place of those that were set before. */
  readonly limit: (limits: Limits) => Effect.Effect<void>
  /** Counts of the pool, past and current. */
  readonly stats: Effect.Effect<Stats>
}

/**
 * Makes the pool; nothing is opened before it is needed, or `minConnections` asks for it. What it does is recorded in
 * `metrics`.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  settings: Settings,
  metrics?: RelayMetrics
): Effect.fn.Return<SmtpPool, never, Scope.Scope> {
  const outer = yield* Effect.scope
  // Goodbyes go on while the pool works, and are waited for when it closes; so their scope is the last to close.
  const closingScope = yield* Scope.fork(outer, "parallel")
  const scope = yield* Scope.fork(outer)
  const context = yield* Effect.context()
  const pool = new Sessions(settings, scope, closingScope, context, metrics)
  yield* Scope.addFinalizer(scope, pool.closeUnpooled)
  pool.resource = yield* Scope.provide(
    Pool.makeWithStrategy({ acquire: pool.acquire, min: 0, max: settings.maxConnections + 1, strategy: byHand }),
    scope
  )
  yield* Scope.addFinalizer(outer, pool.close)
  if (metrics !== undefined) yield* metrics.watch(() => pool.stats)
  pool.react()
  return {
    borrow: (borrower) => pool.borrow(borrower),
    giveBack: (borrower) => pool.giveBack(borrower),
    isUnused: () => pool.isUnused,
    contentEnds: new ContentEnds(),
    warm: pool.warm,
    limit: (limits) => Effect.sync(() => pool.setLimits(limits)),
    stats: Effect.sync(() => pool.stats)
  }
})

type SessionPool = Pool.Pool<SmtpSession, MailError.MailError>

/** The scheduler alone decides which sessions go. */
const byHand: Pool.Strategy<SmtpSession, MailError.MailError> = {
  run: () => Effect.void,
  onAcquire: () => Effect.void,
  reclaim: () => Effect.undefined
}

/** Waits for a session without sending on it. */
class Visitor extends Borrower {
  private readonly resume: (effect: Effect.Effect<Capabilities, MailError.MailError>) => void

  constructor(resume: (effect: Effect.Effect<Capabilities, MailError.MailError>) => void) {
    super({ units: 1, isUrgent: true, isAlone: false })
    this.resume = resume
  }

  override onPlaced({ capabilities }: SmtpSession): void {
    this.resume(Effect.succeed(capabilities))
  }

  override onRefused(error: MailError.MailError): void {
    this.resume(Effect.fail(error))
  }
}

type State =
  | { readonly _tag: "Working" }
  /** A message that comes later learns that the transport is closed. */
  | { readonly _tag: "Closed" }

/** Carries out what the scheduler decides. */
class Sessions {
  resource!: SessionPool
  private state: State = { _tag: "Working" }
  private readonly settings: Settings
  private readonly scope: Scope.Scope
  private readonly closingScope: Scope.Scope
  private readonly runFork: <A, E>(effect: Effect.Effect<A, E>) => void
  private readonly opener: SessionOpener
  private readonly scheduler: MessageScheduler<SmtpSession>
  private readonly limit = new ConnectionLimit()
  private readonly log: RelayLog
  private readonly metrics: RelayMetrics | undefined
  /** Sessions on their way into the pool. */
  private readonly opened: Queue.Queue<SmtpSession> = Effect.runSync(Queue.unbounded<SmtpSession>())
  /** The scope in which each session is borrowed. */
  private readonly leases = new Map<SmtpSession, Scope.Closeable>()
  private timer: { readonly handle: NodeJS.Timeout; readonly at: number } | undefined
  /** Since when a connection is wanted, and until when none may be opened. */
  private held: { readonly since: number; readonly until: number } | undefined
  private uses = 0
  /** The relay's offers on the session that was opened last. */
  private offered: Capabilities | undefined
  /** The context in which sessions are opened: the first message's, so that warnings reach its loggers. */
  private context: Context.Context<never>

  constructor(
    settings: Settings,
    scope: Scope.Scope,
    closingScope: Scope.Scope,
    context: Context.Context<never>,
    metrics: RelayMetrics | undefined
  ) {
    this.settings = settings
    this.metrics = metrics
    this.scope = scope
    this.closingScope = closingScope
    this.context = context
    this.runFork = Effect.runForkWith(context)
    this.log = new RelayLog(settings.relay)
    this.scheduler = new MessageScheduler({
      maxSessions: settings.maxConnections,
      minSessions: settings.minConnections,
      maxDepth: settings.depth,
      idleTimeToLiveMs: settings.idleTimeToLiveMs,
      maxWaitMs: settings.timeouts.session
    })
    this.opener = new SessionOpener(
      settings,
      () => this.scheduler.isBusy,
      (why) => this.runFork(this.log.steppedDown(why))
    )
  }

  get stats(): Stats {
    const { counts, memory, mode } = this.opener
    const { idle, open, waiting } = this.scheduler
    return {
      opened: counts.opened,
      failed: counts.failed,
      reused: Math.max(0, this.uses - counts.opened),
      peak: counts.peak,
      idle,
      busy: open - idle,
      waiting,
      connectionsHeld:
        this.held === undefined || waiting === 0
          ? undefined
          : { since: epochTime(this.held.since), until: epochTime(this.held.until) },
      pipelining: mode,
      speculationRefused: memory.pipelining.steppedDown,
      tlsFailure: memory.tlsFailure
    }
  }

  /** Lets a message have a session, at once or later. */
  borrow(borrower: Borrower): void {
    this.uses++
    this.admit(borrower)
  }

  /** The message has ended, or does not want a session any more. */
  giveBack(borrower: Borrower): void {
    this.scheduler.remove(borrower, turnTime())
    if (this.isShort) this.react()
  }

  get isUnused(): boolean {
    return this.scheduler.backlog === 0
  }

  /** Sets limits for a time; one that is not named stays as it is. */
  setLimits({ connections, forMs, messagesPerConnection }: Limits): void {
    const until = turnTime() + forMs
    if (connections !== undefined) this.limit.capUntil(until, Math.max(1, connections))
    if (messagesPerConnection !== undefined)
      this.opener.memory.messagesAsked = { most: Math.max(1, messagesPerConnection), until }
    this.keepLimits()
    for (const session of this.leases.keys()) session.retireIfExhausted()
    this.react()
  }

  private keepLimits(): void {
    for (const session of this.scheduler.beyond(this.limit.cappedAt(turnTime()))) session.retire()
  }

  readonly warm: Effect.Effect<Capabilities, MailError.MailError> = Effect.suspend(() => {
    if (this.scheduler.open > 0 && this.offered !== undefined) return Effect.succeed(this.offered)
    let visitor: Visitor | undefined
    const visit = Effect.callback<Capabilities, MailError.MailError>((resume) => {
      visitor = new Visitor(resume)
      this.admit(visitor)
    })
    return Effect.ensuring(
      visit,
      Effect.sync(() => {
        if (visitor !== undefined) this.giveBack(visitor)
      })
    )
  })

  private admit(borrower: Borrower): void {
    if (this.state._tag === "Closed") {
      borrower.onRefused(closed())
      return
    }
    const { scheduler } = this
    if (scheduler.open === 0) this.context = Fiber.getCurrent()?.context ?? this.context
    scheduler.add(borrower, turnTime())
    if (borrower.slot === undefined) this.react()
  }

  /** True if a change of what is on its way can lead to more than the count of it. */
  private get isShort(): boolean {
    const { scheduler, settings, timer } = this
    return scheduler.waiting > 0 || scheduler.open < settings.maxConnections || timer === undefined
  }

  /** Opens missing sessions, closes idle ones and places messages. Called after each change. */
  readonly react = (): void => {
    if (this.state._tag === "Closed") return
    const now = turnTime()
    const { scheduler } = this
    if (scheduler.open + scheduler.beingOpened < this.settings.maxConnections) this.openMissing(now)
    if (scheduler.waiting > 0) scheduler.placeAll(now)
    // A timer for later than a second is for what is idle, and only gets later.
    if (scheduler.waiting > 0 || this.timer === undefined || this.timer.at > now + 1000) this.setTimer(now)
  }

  private openMissing(now: number): void {
    const { limit, opener, scheduler } = this
    // Those that have retired and not closed yet count for the relay.
    const count = opener.counts.open + scheduler.beingOpened
    const leaving = opener.counts.open - scheduler.open
    const isNeeded = scheduler.waiting > 0 && count === 0
    const { connectionRate } = this.settings
    let held: typeof this.held
    for (let missing = scheduler.missing(now, limit.allowed(now, count, isNeeded) - leaving); missing > 0; missing--) {
      const availableAt = connectionRate?.availableAt(now) ?? now
      if (availableAt > now) {
        held = { since: this.held?.since ?? now, until: availableAt }
        if (count === 0) scheduler.heldUntil(availableAt)
        break
      }
      limit.attempted(now, opener.counts.open + scheduler.beingOpened)
      scheduler.openingBegan()
      this.runFork(Effect.forkIn(this.openOne, this.scope, { startImmediately: true }))
    }
    this.held = held
    if (held !== undefined && scheduler.waiting > 0 && held.until - now >= tellingHoldMs)
      this.runFork(this.log.heldBack(now, held.until - now))
  }

  /**
   * Opens a session, hands it to the pool and borrows it there. Left to the pool, one connection that is not answered would
   * hold up all that are needed later: it acquires what is missing together, and acquires nothing more until all have come.
   */
  private readonly openOne: Effect.Effect<void> = Effect.uninterruptibleMask((restore) =>
    Effect.gen({ self: this }, function* () {
      const begunAt = performance.now()
      const lease = yield* Scope.make()
      const open = Effect.provideContext(this.opener.open, this.context)
      const opened = yield* Effect.exit(restore(open))
      this.metrics?.opened(opened, performance.now() - begunAt)
      if (Exit.isSuccess(opened)) Queue.offerUnsafe(this.opened, opened.value)
      const exit = Exit.isSuccess(opened)
        ? yield* Effect.exit(restore(Scope.provide(Pool.get(this.resource), lease)))
        : opened
      const now = performance.now()
      // It may have ended on its way into the pool, when no message could learn of that.
      const ending = Exit.isSuccess(exit) ? exit.value.ending : undefined
      if (Exit.isSuccess(exit) && ending !== undefined) {
        this.leases.set(exit.value, lease)
        this.letGo(exit.value)
        this.scheduler.openingFailed()
        this.openingFailed(ConnectionEnd.toError(ending, "envelope"), now)
      } else if (Exit.isSuccess(exit)) {
        this.leases.set(exit.value, lease)
        this.limit.opened(now, this.opener.counts.open)
        yield* this.log.opened
        this.scheduler.opened(exit.value, now - begunAt, now)
        // It may have ended meanwhile.
        if (this.state._tag === "Closed" || !exit.value.isOpen) this.letGo(exit.value)
        this.keepLimits()
      } else {
        this.scheduler.openingFailed()
        const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
        if (error !== undefined) this.openingFailed(error, now)
      }
      this.react()
    })
  )

  /** Messages learn of the error only when there is no session for them and none to come. */
  private openingFailed(error: MailError.MailError, now: number): void {
    const { counts } = this.opener
    if (mayBeLimit(error) && this.limit.refused(now, counts.open)) {
      if (this.scheduler.open > 0) this.runFork(this.log.throttled("connections", now, error.reply))
      return
    }
    if (this.scheduler.open > 0 || this.scheduler.waiting === 0) this.limit.failed(now)
    else if (this.scheduler.beingOpened === 0) {
      this.runFork(this.log.unreachable(error))
      this.failWaiting(error)
    }
  }

  private failWaiting(error: MailError.MailError): void {
    for (const message of this.scheduler.takeWaiting()) if (message instanceof Borrower) message.onRefused(error)
  }

  /** Makes a session that has been opened a resource: it leaves when it retires, and says goodbye in the background. */
  readonly acquire: Effect.Effect<SmtpSession, MailError.MailError, Scope.Scope> = Effect.uninterruptible(
    Effect.suspend(() =>
      Effect.flatMap(Effect.interruptible(Queue.take(this.opened)), (session) =>
        Effect.acquireRelease(
          Effect.sync(() => this.watch(session)),
          () => this.leave(session)
        )
      )
    )
  )

  /** Closes the sessions that did not come into the pool any more. */
  readonly closeUnpooled: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(Queue.clear(this.opened), (sessions) =>
      Effect.forEach(sessions, (session) => this.leave(session), { discard: true })
    )
  )

  /** Sends QUIT in the background. */
  private leave(session: SmtpSession): Effect.Effect<void> {
    return Effect.asVoid(
      Effect.forkIn(this.sayGoodbye(session), this.closingScope, { startImmediately: true, uninterruptible: true })
    )
  }

  private watch(session: SmtpSession): SmtpSession {
    const { maxLifetimeMs } = this.settings
    const openedAt = turnTime()
    this.offered = session.capabilities
    const lifetime = maxLifetimeMs === undefined ? undefined : setTimeout(() => session.retire(), maxLifetimeMs)
    lifetime?.unref()
    session.onProgress = this.react
    session.onLimit = (limit) => {
      this.runFork(this.log.throttled(limit, turnTime()))
      if (limit === "connections") this.limit.exceeded(turnTime(), this.scheduler.open - 1)
      else for (const other of this.leases.keys()) other.retireIfExhausted()
    }
    session.onceRetired(() => {
      clearTimeout(lifetime)
      const now = turnTime()
      const wasUsed = session.messages > 0 || session.ending === undefined
      this.limit.retired(now, now - openedAt, wasUsed)
      this.letGo(session)
      this.react()
    })
    return session
  }

  private sayGoodbye(session: SmtpSession): Effect.Effect<void> {
    return Effect.andThen(
      this.opener.close(session),
      Effect.sync(() => {
        this.limit.gone(turnTime())
        this.react()
      })
    )
  }

  /** Gives a session back to be closed; it takes no more messages. */
  private letGo(session: SmtpSession): void {
    this.scheduler.retired(session)
    const lease = this.leases.get(session)
    if (lease === undefined) return
    this.leases.delete(session)
    // Given back first: an item that is invalidated while it is borrowed is replaced at once.
    this.runFork(Effect.andThen(Scope.close(lease, Exit.void), Pool.invalidate(this.resource, session)))
  }

  private setTimer(now: number): void {
    const { limit, scheduler } = this
    const isWaiting = scheduler.waiting > 0 || scheduler.open < this.settings.minConnections
    const inMs = Math.min(
      scheduler.changesIn(now),
      isWaiting ? limit.changesIn(now) : Number.POSITIVE_INFINITY,
      this.held === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.ceil(this.held.until - now))
    )
    const at = now + inMs
    if (inMs === Number.POSITIVE_INFINITY) return
    if (this.timer !== undefined && this.timer.at <= at) {
      if (scheduler.backlog > 0) this.timer.handle.ref()
      return
    }
    clearTimeout(this.timer?.handle)
    const handle = setTimeout(this.onTimer, Math.min(inMs, longestTimerMs))
    // An idle transport does not keep a process alive; a message that waits does.
    if (scheduler.backlog === 0) handle.unref()
    this.timer = { handle, at }
  }

  private readonly onTimer = (): void => {
    this.timer = undefined
    const now = performance.now()
    for (const session of this.scheduler.expired(now)) this.letGo(session)
    for (const session of this.scheduler.stalled(now)) session.giveBack()
    if (this.scheduler.isStuck(now)) this.failWaiting(waitedTooLong(this.settings.timeouts.session))
    this.react()
  }

  /** Fails the messages that wait and gives back the sessions; messages on their way finish. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.state = { _tag: "Closed" }
    clearTimeout(this.timer?.handle)
    this.failWaiting(closed())
    const leases = [...this.leases.values()]
    this.leases.clear()
    return Effect.forEach(leases, (lease) => Scope.close(lease, Exit.void), { discard: true })
  })
}

/** True if a refused session may show that the relay takes no more of them, and not what is wrong with this client or login. */
const mayBeLimit = ({ reason, reply }: MailError.MailError): boolean => {
  if (reply === undefined) return false
  const { about } = ReplyMeaning.of(reply, reason._tag === "AuthenticationFailed" ? "auth" : "greeting")
  return about !== "client" && about !== "mechanism" && about !== "tls"
}

/** A hold on opening connections is logged if it lasts at least this many milliseconds. */
const tellingHoldMs = 1_000

/** A time of the pool in milliseconds since 1970. */
const epochTime = (time: number): number => Math.floor(Date.now() - performance.now() + time)

/** The longest that a timer can wait, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1

/** The error for messages that wait while no session takes any. */
const waitedTooLong = (limitMs: number): MailError.MailError =>
  MailError.make(
    new MailError.Timeout({ phase: "session", limitMs, problem: `no session became free for ${limitMs} ms` })
  )

/** The error for messages that come after the pool has closed. */
const closed = (): MailError.MailError =>
  MailError.make(new MailError.ConnectionLost({ phase: "connect", problem: "the transport is closed" }))
