import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Sampler from "../src/Sampler.ts"

describe("Sampler", () => {
  it.live("measures CPU, memory, the event loop and bytes between two samples", () =>
    Effect.gen(function* () {
      let sent = 0
      const sampler = yield* Sampler.make({ every: "30 millis", bytes: () => (sent += 3000) })
      const samples = yield* Stream.runCollect(Stream.take(sampler.samples, 2))
      const last = samples[1]!
      assert.isAbove(last.rss, last.heapUsed)
      assert.isAbove(last.heapUsed, 1_000_000)
      assert.isAtLeast(last.cpu, 0)
      assert.isTrue(last.eventLoopUtilization >= 0 && last.eventLoopUtilization <= 1)
      assert.isAtLeast(last.eventLoopDelayP99Ms, last.eventLoopDelayP50Ms)
      assert.isTrue(last.bytesPerSecond > 0 && last.bytesPerSecond <= 100_000)
      assert.isAtLeast(last.at, samples[0]!.at)
      assert.isDefined(yield* sampler.latest)
    }).pipe(Effect.scoped)
  )

  it.live("is shared by all who want it, until the last has gone", () =>
    Effect.gen(function* () {
      const [first, second, later] = yield* Effect.all([Scope.make(), Scope.make(), Scope.make()])
      const one = yield* Scope.provide(Sampler.shared, first)
      assert.strictEqual(yield* Scope.provide(Sampler.shared, second), one)
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(yield* Scope.provide(Sampler.shared, later), one)
      yield* Scope.close(second, Exit.void)
      yield* Scope.close(later, Exit.void)
      assert.notStrictEqual(yield* Effect.scoped(Sampler.shared), one)
    })
  )
})
