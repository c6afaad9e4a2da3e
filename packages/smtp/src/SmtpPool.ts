/**
 * The sessions with one relay: opened when needed, shared, replaced when worn out or broken.
 *
 * It is an `effect/Pool` whose items are sessions and whose per-item concurrency is the depth of the pipelining mode.
 * The mode is only known after the relay has been spoken to, so the pool is made when the first session is open, and
 * that session becomes its first item.
 *
 * **Details**
 *
 * - A session that ends, carries its last message or reaches its lifetime retires: the pool opens another at once, while
 *   the old one finishes what is on its way and says QUIT in the background. Nobody waits for that.
 * - A relay that refuses one more connection (421 at the greeting, "too many connections") is not asked again until one
 *   of the open ones has gone or a while has passed, longer each time; its refusal costs no message as long as another
 *   session is open, or was a moment ago.
 * - A relay that ends sessions as soon as they are open, before there is a message for them, is asked ever more slowly.
 */
import * as MailError from "mailrace/MailError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Pipelining from "./Pipelining.ts"
import * as RelayMemory from "./RelayMemory.ts"
import * as SmtpOpening from "./SmtpOpening.ts"
import type { Settings } from "./SmtpOptions.ts"
import type * as SmtpSession from "./SmtpSession.ts"

/** A count of what the pool has done and holds. */
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
  /** The mode of the last session opened; `undefined` before the first. */
  readonly pipelining: Pipelining.Mode | undefined
  /** Why the relay is not speculated with, where the self-test said so. */
  readonly speculationRefused: string | undefined
}

/** The sessions with one relay. */
export interface SmtpPool {
  /** Lends a session to an effect; opens one when there is need and room. */
  readonly use: <A, E>(
    f: (session: SmtpSession.SmtpSession) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | MailError.MailError>
  /** Opens a session unless one is open, and keeps it. */
  readonly warm: Effect.Effect<void, MailError.MailError>
  readonly stats: Effect.Effect<Stats>
}

type Sessions = Pool.Pool<SmtpSession.SmtpSession, MailError.MailError>

/** How long a relay that wants no more connections is left alone when none of the open ones goes, in milliseconds. */
const refusalPauseMs = 5_000

/** The longest that such a pause grows to by doubling, in milliseconds. */
const longestPauseMs = 300_000

/** The same where none is open any more: the relay may not have noticed yet. */
const shortPauseMs = 100

/** A session that ends within so many milliseconds and was given nothing was not worth opening. */
const stillbornMs = 1_000

/** Makes the pool; nothing is opened before it is needed, or `minConnections` asks for it. */
export const make = Effect.fnUntraced(function* (settings: Settings): Effect.fn.Return<SmtpPool, never, Scope.Scope> {
  const outer = yield* Effect.scope
  // Goodbyes go on while the pool works, and are waited for when it closes; so their scope is the last to close.
  const goodbyes = yield* Scope.fork(outer, "parallel")
  // A first session that never came to belong to the pool is closed here.
  yield* Scope.addFinalizer(
    outer,
    Effect.suspend(() => first?.close ?? Effect.void)
  )
  const scope = yield* Scope.fork(outer)
  const context = yield* Effect.context()
  const runFork = Effect.runForkWith(context)
  const memory = RelayMemory.make()
  const counts = { opened: 0, failed: 0, uses: 0, open: 0, peak: 0 }
  let mode: Pipelining.Mode | undefined
  let sessions: Sessions | undefined
  let first: SmtpSession.SmtpSession | undefined
  let opening: Deferred.Deferred<Sessions, MailError.MailError> | undefined
  let goneAt = Number.NEGATIVE_INFINITY
  /** How many sessions in a row were not worth opening. */
  let stillborn = 0
  /** Who waits for a session to go before asking the relay for another. */
  const refused = new Set<() => void>()
  /** Sessions that retired before the pool was made. */
  const early: Array<SmtpSession.SmtpSession> = []
  let isClosed = false
  /**
   * One more than may be open, so that a session that retires can finish while its replacement is opened; that the others
   * are then also replaced waits for it.
   */
  const room = Semaphore.makeUnsafe(settings.maxConnections + 1)

  yield* Scope.addFinalizer(
    outer,
    Effect.sync(() => {
      isClosed = true
      if (opening !== undefined) Deferred.doneUnsafe(opening, Effect.fail(closed()))
      // Closing, `Pool` would interrupt those who wait for a session, which nobody has asked for; so they are told first.
      const end = Exit.fail(closed()) as Exit.Failure<never, MailError.MailError>
      for (const notify of sessions?.state.waiters ?? []) notify(end)
    })
  )

  const openCounted: Effect.Effect<SmtpSession.SmtpSession, MailError.MailError> = Effect.uninterruptibleMask(
    (restore) =>
      Effect.andThen(
        restore(room.take(1)),
        Effect.onExit(restore(SmtpOpening.open(settings, memory)), (exit) => {
          if (exit._tag === "Failure") {
            counts.failed++
            return Effect.asVoid(room.release(1))
          }
          counts.opened++
          counts.open++
          counts.peak = Math.max(counts.peak, counts.open)
          mode = exit.value.mode
          return Effect.void
        })
      )
  )

  const openPatiently = (pauseMs: number): Effect.Effect<SmtpSession.SmtpSession, MailError.MailError> =>
    Effect.catchIf(
      openCounted,
      (error) => isConnectionLimit(error) && (counts.open > 0 || performance.now() - goneAt < refusalPauseMs),
      () =>
        Effect.andThen(
          untilOneGoes(counts.open > 0 ? pauseMs : shortPauseMs),
          openPatiently(Math.min(2 * pauseMs, longestPauseMs))
        )
    )

  const untilOneGoes = (pauseMs: number): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const wake = (): void => {
        clearTimeout(timer)
        refused.delete(wake)
        resume(Effect.void)
      }
      const timer = setTimeout(wake, pauseMs)
      refused.add(wake)
      return Effect.sync(() => {
        clearTimeout(timer)
        refused.delete(wake)
      })
    })

  const gone = Effect.suspend(() => {
    counts.open--
    goneAt = performance.now()
    for (const wake of refused) wake()
    return room.release(1)
  })

  /** Takes a session out of the pool, or notes it for when there is one. */
  const leave = (session: SmtpSession.SmtpSession): void => {
    if (sessions === undefined) early.push(session)
    else runFork(Pool.invalidate(sessions, session))
  }

  /** Ties a session to the pool: it leaves when it retires, and says goodbye without holding anybody up. */
  const attach = (session: SmtpSession.SmtpSession): Effect.Effect<SmtpSession.SmtpSession, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const openedAt = performance.now()
        const lifetime =
          settings.maxLifetimeMs === undefined ? undefined : setTimeout(() => session.retire(), settings.maxLifetimeMs)
        lifetime?.unref()
        session.onceRetired(() => {
          clearTimeout(lifetime)
          const wasUsed = session.messages > 0 || session.ending === undefined
          stillborn = wasUsed || performance.now() - openedAt > stillbornMs ? 0 : stillborn + 1
          leave(session)
        })
        return session
      }),
      () =>
        Effect.asVoid(
          Effect.forkIn(Effect.ensuring(session.close, gone), goodbyes, {
            startImmediately: true,
            uninterruptible: true
          })
        )
    )

  const acquire: Effect.Effect<SmtpSession.SmtpSession, MailError.MailError, Scope.Scope> = Effect.uninterruptible(
    Effect.suspend(() => {
      const ready = first
      first = undefined
      if (ready !== undefined) return attach(ready)
      const pauseMs = stillborn < 2 ? 0 : Math.min(shortPauseMs * 2 ** (stillborn - 2), refusalPauseMs)
      const open = openPatiently(refusalPauseMs)
      const opened = Effect.interruptible(pauseMs === 0 ? open : Effect.delay(open, pauseMs))
      return Effect.flatMap(opened, attach)
    })
  )

  const create: Effect.Effect<Sessions, MailError.MailError> = Effect.flatMap(openCounted, (session) => {
    first = session
    return Pool.makeWithTTL({
      acquire,
      min: settings.minConnections,
      max: settings.maxConnections,
      concurrency: Pipelining.depthOf(session.mode, settings.depth),
      timeToLive: settings.idleTimeToLive
    }).pipe(
      // The first session belongs to the pool from now on, even if nobody waits for it any more.
      Effect.tap((pool) => Effect.ignore(Pool.use(pool, () => Effect.void))),
      // Of the two, the inner one counts: the context holds the outer scope.
      Scope.provide(scope),
      Effect.provideContext(context)
    )
  })

  /** The pool, made by whoever comes first; all who come meanwhile share that one's fate. */
  const ensure: Effect.Effect<Sessions, MailError.MailError> = Effect.suspend(() => {
    if (isClosed) return Effect.fail(closed())
    if (sessions !== undefined) return Effect.succeed(sessions)
    if (opening !== undefined) return Deferred.await(opening)
    const deferred = (opening = Deferred.makeUnsafe<Sessions, MailError.MailError>())
    const attempt = Effect.onExit(create, (exit) =>
      Effect.sync(() => {
        opening = undefined
        if (Exit.isSuccess(exit)) sessions = exit.value
        for (const session of early.splice(0)) leave(session)
        Deferred.doneUnsafe(deferred, exit)
      })
    )
    return Effect.andThen(Effect.forkIn(attempt, scope), Deferred.await(deferred))
  })

  if (settings.minConnections > 0) yield* Effect.forkIn(Effect.ignore(ensure), scope)

  const lend = <A, E>(
    pool: Sessions,
    f: (session: SmtpSession.SmtpSession) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | MailError.MailError> =>
    Pool.use(pool, (session) =>
      session.isOpen ? f(session) : Effect.andThen(Pool.invalidate(pool, session), f(session))
    )

  const use: SmtpPool["use"] = (f) => {
    counts.uses++
    return sessions === undefined || isClosed ? Effect.flatMap(ensure, (pool) => lend(pool, f)) : lend(sessions, f)
  }

  return {
    use,
    warm: Effect.flatMap(ensure, (pool) => Pool.use(pool, () => Effect.void)),
    stats: Effect.suspend(() =>
      Effect.map(
        sessions === undefined ? Effect.succeed({ idle: 0, used: 0, pending: 0 }) : Pool.stats(sessions),
        ({ idle, pending, used }): Stats => ({
          opened: counts.opened,
          failed: counts.failed,
          reused: Math.max(0, counts.uses - counts.opened),
          peak: counts.peak,
          idle,
          busy: used,
          waiting: pending,
          pipelining: mode,
          speculationRefused: memory.verdict?.isSafe === false ? memory.verdict.why : undefined
        })
      )
    )
  }
})

/** What is said to who comes after the end. */
const closed = (): MailError.MailError =>
  MailError.make(new MailError.ConnectionLost({ phase: "connect", problem: "the transport is closed" }))

/** Whether the relay refused because this client has enough connections, by its reply to the connection itself. */
const isConnectionLimit = ({ reason }: MailError.MailError): boolean =>
  reason._tag === "Throttled" ||
  (reason._tag === "ConnectFailed" &&
    reason.kind === "greeting" &&
    reason.reply !== undefined &&
    reason.reply.code < 500)
