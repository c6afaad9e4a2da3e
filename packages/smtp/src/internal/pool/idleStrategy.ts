/**
 * Lets sessions go that were idle for long enough, down to those that are to be kept.
 *
 * It is what `Pool.makeWithTTL` does by usage, but for one thing: its timer does not keep the process alive. A program
 * that has sent its mails and never closes the transport's scope ends by itself once the idle connections have gone.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"

/** The strategy for a pool whose items may be idle for so many milliseconds. */
export const make = <A, E>(timeToLiveMs: number): Effect.Effect<Pool.Strategy<A, E>> =>
  Effect.map(Clock.Clock, (clock) => {
    const letGo = (pool: Pool.Pool<A, E>): Effect.Effect<void> =>
      Effect.suspend(() => {
        const expired = clock.currentTimeMillisUnsafe() - timeToLiveMs
        const idle = [...pool.state.items]
          .filter((item) => item.refCount === 0 && item.idleSince <= expired && !pool.state.invalidated.has(item))
          .sort((a, b) => a.idleSince - b.idleSince)
        return Effect.forEach(
          idle.slice(0, Math.max(0, countSpare(pool))),
          ({ exit }) => (exit._tag === "Success" ? Pool.invalidate(pool, exit.value) : Effect.void),
          { discard: true }
        )
      })
    return {
      run: (pool) => Effect.forever(Effect.andThen(pause(timeToLiveMs), letGo(pool))),
      onAcquire: () => Effect.void,
      reclaim: () => Effect.undefined
    }
  })

/** How many items are more than the pool would open for what it is used for now. */
const countSpare = <A, E>({ config, state }: Pool.Pool<A, E>): number =>
  state.items.size - state.invalidated.size - Math.max(config.minSize, Math.ceil(state.usage / config.concurrency))

const pause = (ms: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), ms)
    timer.unref()
    return Effect.sync(() => clearTimeout(timer))
  })
