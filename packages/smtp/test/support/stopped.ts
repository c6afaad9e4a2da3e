/** Time that stands still, for limits that must hold to the millisecond whatever the machine is busy with. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { vi } from "vitest"

/** Moves time. */
export interface Clock {
  readonly pass: (ms: number) => Effect.Effect<void>
}

/** Stops the time that timers and limits go by, until the scope closes. Sockets go on. */
export const clock: Effect.Effect<Clock, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync((): Clock => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
    return { pass: (ms) => Effect.promise(() => vi.advanceTimersByTimeAsync(ms)) }
  }),
  () => Effect.sync(() => vi.useRealTimers())
)

/** Lets the event loop turn, so that what sockets have to say is heard. */
export const turns = (count: number): Effect.Effect<void> =>
  Effect.repeat(
    Effect.callback<void>((resume) => {
      setImmediate(() => resume(Effect.void))
    }),
    { times: count - 1 }
  )

/**
 * Runs an effect while time passes only as the event loop turns, 10 ms with every 50 turns: on a busy machine both are
 * slow, and a silence is as long as ever.
 */
export const paced = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { pass } = yield* clock
      const fiber = yield* Effect.forkChild(effect)
      while (fiber.pollUnsafe() === undefined) {
        yield* turns(50)
        yield* pass(10)
      }
      return yield* Fiber.join(fiber)
    })
  ) as Effect.Effect<A, E, R>
