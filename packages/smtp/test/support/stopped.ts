/** Time that stands still, for limits that must hold to the millisecond whatever the machine is busy with. */
import * as Effect from "effect/Effect"
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
