/** Whether something is left behind: sockets, timers, requests to the system. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const held = (): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const resource of process.getActiveResourcesInfo()) counts.set(resource, (counts.get(resource) ?? 0) + 1)
  return counts
}

/** What is held now beyond what was held before. */
const more = (before: ReadonlyMap<string, number>): ReadonlyArray<string> =>
  [...held()].filter(([resource, count]) => count > (before.get(resource) ?? 0)).map(([resource]) => resource)

const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Waits until what other tests have closed is gone. */
const settled = Effect.gen(function* () {
  let last = ""
  for (let same = 0, turns = 0; same < 10 && turns < 500; turns++) {
    yield* turn
    const now = JSON.stringify([...held()])
    same = now === last ? same + 1 : 0
    last = now
  }
})

/** Runs an effect in a scope of its own, and fails when the process then holds what it did not hold before. */
export const leavingNothing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    yield* settled
    const before = held()
    const result = yield* Effect.scoped(effect)
    // Closing a socket takes some turns of the event loop, and the runner of the tests has timers of its own.
    for (let turns = 0; turns < 400 && more(before).length > 0; turns++) yield* turns < 100 ? turn : Effect.sleep(3)
    assert.deepStrictEqual(more(before), [])
    return result
  })
