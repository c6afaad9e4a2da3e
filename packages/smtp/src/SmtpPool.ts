/**
 * The sessions with one relay: opened when needed, shared, replaced when worn out or broken. `SmtpTransport` asks here for a
 * session for each message.
 *
 * It is an `effect/Pool` whose items are sessions and whose per-item concurrency is the depth of the pipelining mode.
 * The mode is only known after the relay has been spoken to, so the pool is made when the first session is open, and
 * that session becomes its first item.
 *
 * A session that ends, carries its last message or reaches its lifetime retires: the pool opens another at once, while the
 * old one finishes what is on its way and says QUIT in the background. Nobody waits for that.
 *
 * `internal/pool/sessionOpener` opens them and counts them, `internal/pool/connectBackoff` knows how to ask a relay that does not want
 * more, and `internal/pool/idleStrategy` lets go of those that nobody needs.
 */

import * as MailError from "mailrace/MailError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import * as IdleStrategy from "./internal/pool/idleStrategy.ts"
import { SessionOpener } from "./internal/pool/sessionOpener.ts"
import * as Pipelining from "./Pipelining.ts"
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
  /** The mode in which the relay is sent to; `undefined` before the first session. */
  readonly pipelining: Pipelining.Mode | undefined
  /** Why nothing goes ahead of the relay's replies any more, where the self-test failed or something else went wrong. */
  readonly speculationRefused: string | undefined
  /** Why mail went in clear although the relay offers TLS (mode `opportunistic`); `undefined` when none did. */
  readonly tlsFailure: string | undefined
}

/** The sessions with one relay. */
export interface SmtpPool {
  /** Lends a session to an effect; opens one when there is need and room. */
  readonly use: <A, E>(
    f: (session: SmtpSession.SmtpSession) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | MailError.MailError>
  /** Opens a session unless one is open, and keeps it. */
  readonly warm: Effect.Effect<void, MailError.MailError>
  /** What the pool has done so far and holds now. */
  readonly stats: Effect.Effect<Stats>
}

type SessionPool = Pool.Pool<SmtpSession.SmtpSession, MailError.MailError>

/** Makes the pool; nothing is opened before it is needed, or `minConnections` asks for it. */
export const make = Effect.fnUntraced(function* (settings: Settings): Effect.fn.Return<SmtpPool, never, Scope.Scope> {
  const outer = yield* Effect.scope
  // Goodbyes go on while the pool works, and are waited for when it closes; so their scope is the last to close.
  const closingScope = yield* Scope.fork(outer, "parallel")
  // A first session that never came to belong to the pool is closed here.
  yield* Scope.addFinalizer(
    outer,
    Effect.suspend(() => (first === undefined ? Effect.void : opener.close(first)))
  )
  const scope = yield* Scope.fork(outer)
  const context = yield* Effect.context()
  const runFork = Effect.runForkWith(context)
  let uses = 0
  /** Messages that wait for the pool to be made. */
  let arriving = 0
  let pool: SessionPool | undefined
  let first: SmtpSession.SmtpSession | undefined
  let opening: Deferred.Deferred<SessionPool, MailError.MailError> | undefined
  /** Sessions that retired before the pool was made. */
  const early: Array<SmtpSession.SmtpSession> = []
  let isClosed = false
  const opener = new SessionOpener(
    settings,
    () => arriving + (pool?.state.usage ?? 0) > opener.counts.open,
    (why) => {
      if (pool !== undefined) setDepth(pool, Pipelining.depthOf("envelope", settings.depth))
      runFork(Effect.logWarning(`${settings.relay} is sent to in mode envelope from now on: ${why}`))
    }
  )

  yield* Scope.addFinalizer(
    outer,
    Effect.sync(() => {
      isClosed = true
      if (opening !== undefined) Deferred.doneUnsafe(opening, Effect.fail(closed()))
      // Closing, `Pool` would interrupt those who wait for a session, which nobody has asked for; so they are told first.
      const end = Exit.fail(closed()) as Exit.Failure<never, MailError.MailError>
      for (const notify of pool?.state.waiters ?? []) notify(end)
    })
  )

  /** Takes a session out of the pool, or notes it for when there is one. */
  const leave = (session: SmtpSession.SmtpSession): void => {
    if (pool === undefined) early.push(session)
    else runFork(Pool.invalidate(pool, session))
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
          opener.retired(session, performance.now() - openedAt)
          leave(session)
        })
        return session
      }),
      () =>
        Effect.asVoid(
          Effect.forkIn(opener.close(session), closingScope, { startImmediately: true, uninterruptible: true })
        )
    )

  const acquire: Effect.Effect<SmtpSession.SmtpSession, MailError.MailError, Scope.Scope> = Effect.uninterruptible(
    Effect.suspend(() => {
      const ready = first
      first = undefined
      return ready !== undefined ? attach(ready) : Effect.flatMap(Effect.interruptible(opener.openAnother), attach)
    })
  )

  const create: Effect.Effect<SessionPool, MailError.MailError> = Effect.flatMap(opener.open, (session) => {
    first = session
    return IdleStrategy.make<SmtpSession.SmtpSession, MailError.MailError>(settings.idleTimeToLiveMs).pipe(
      Effect.flatMap((strategy) =>
        Pool.makeWithStrategy({
          acquire,
          min: settings.minConnections,
          max: settings.maxConnections,
          concurrency: Pipelining.depthOf(
            opener.memory.pipelining.steppedDown === undefined ? session.fastestMode : "envelope",
            settings.depth
          ),
          strategy
        })
      ),
      // The first session belongs to the pool from now on, even if nobody waits for it any more.
      Effect.tap((made) => Effect.ignore(Pool.use(made, () => Effect.void))),
      // Of the two, the inner one counts: the context holds the outer scope.
      Scope.provide(scope),
      Effect.provideContext(context)
    )
  })

  /** The pool, made by whoever comes first; all who come meanwhile share that one's fate. */
  const ensure: Effect.Effect<SessionPool, MailError.MailError> = Effect.suspend(() => {
    if (isClosed) return Effect.fail(closed())
    if (pool !== undefined) return Effect.succeed(pool)
    if (opening !== undefined) return Deferred.await(opening)
    const deferred = (opening = Deferred.makeUnsafe<SessionPool, MailError.MailError>())
    const attempt = Effect.onExit(create, (exit) =>
      Effect.sync(() => {
        opening = undefined
        if (Exit.isSuccess(exit)) pool = exit.value
        for (const session of early.splice(0)) leave(session)
        Deferred.doneUnsafe(deferred, exit)
      })
    )
    return Effect.andThen(Effect.forkIn(attempt, scope), Deferred.await(deferred))
  })

  if (settings.minConnections > 0) yield* Effect.forkIn(Effect.ignore(ensure), scope)

  const lend = <A, E>(
    lender: SessionPool,
    f: (session: SmtpSession.SmtpSession) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | MailError.MailError> =>
    Pool.use(lender, (session) =>
      session.isOpen ? f(session) : Effect.andThen(Pool.invalidate(lender, session), f(session))
    )

  const use: SmtpPool["use"] = (f) => {
    uses++
    if (pool !== undefined && !isClosed) return lend(pool, f)
    return Effect.suspend(() => {
      arriving++
      return Effect.onExit(ensure, () =>
        Effect.sync(() => {
          arriving--
        })
      )
    }).pipe(Effect.flatMap((made) => lend(made, f)))
  }

  return {
    use,
    warm: Effect.flatMap(ensure, (made) => Pool.use(made, () => Effect.void)),
    stats: Effect.suspend(() =>
      Effect.map(
        pool === undefined ? Effect.succeed({ idle: 0, used: 0, pending: 0 }) : Pool.stats(pool),
        ({ idle, pending, used }): Stats => ({
          opened: opener.counts.opened,
          failed: opener.counts.failed,
          reused: Math.max(0, uses - opener.counts.opened),
          peak: opener.counts.peak,
          idle,
          busy: used,
          waiting: pending,
          pipelining: opener.mode,
          speculationRefused: opener.memory.pipelining.steppedDown,
          tlsFailure: opener.memory.tlsFailure
        })
      )
    )
  }
})

/** How many messages a session is lent to at once from now on; those that it is lent to stay. */
const setDepth = ({ config }: SessionPool, depth: number): void => {
  // `Pool` reads it whenever an item is lent or given back, and has no other way to say it.
  const changeable: { concurrency: number } = config
  changeable.concurrency = depth
}

/** What is said to who comes after the end. */
const closed = (): MailError.MailError =>
  MailError.make(new MailError.ConnectionLost({ phase: "connect", problem: "the transport is closed" }))
