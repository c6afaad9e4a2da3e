/** The beats of a dispatcher, over a session whose answers the test gives. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { Possession, type BucketStore } from "../src/internal/dispatch/possession.ts"
import type { LockSession, Unlocked } from "../src/internal/postgres/lockSession.ts"
import * as SessionOwnership from "../src/internal/postgres/sessionOwnership.ts"
import type { Statements } from "../src/internal/postgres/dispatch.ts"
import type { Database } from "../src/Ownership.ts"

const heartbeatMs = 400

/** The grace period, of two and a half beats. */
const graceMs = 1000

/** The only dispatcher; it finds `unlocked` buckets beside those that it owns. */
const alone = (unlocked: () => ReadonlyArray<Unlocked>) =>
  Effect.gen(function* () {
    const asked = { beats: 0 }
    const locked = new Set<number>()
    const epochs = new Map<number, number>()
    const session = {
      heartbeat: () =>
        Effect.sync(() => {
          asked.beats++
          return { dispatchers: 1, rank: 0, locked, owned: epochs.size, epochs: epochs.size }
        }),
      unlocked: Effect.sync(() => unlocked().filter(({ bucket }) => !locked.has(bucket))),
      lock: (buckets: ReadonlyArray<number>) =>
        Effect.sync(() => {
          for (const bucket of buckets) locked.add(bucket)
          return buckets
        }),
      mine: () => Effect.succeed(epochs),
      unlock: () => Effect.void,
      yieldUp: () => Effect.void,
      tidy: Effect.void,
      leave: Effect.void,
      tellOthers: Effect.void,
      notified: Effect.never
    } as never as LockSession
    const store = {
      take: (buckets: ReadonlyArray<number>) =>
        Effect.sync(() => {
          for (const bucket of buckets) epochs.set(bucket, 1)
          return buckets.map((bucket) => ({ bucket, epoch: 1 }))
        }),
      recover: () => Effect.succeed({ recovered: 0, givenUp: [] })
    } as never as BucketStore<Statements>
    const possession = new Possession(store, {
      owner: "me",
      database: { leaseMs: 15_000 } as Database,
      maxCrashes: 5,
      onGivenUp: undefined
    })
    yield* SessionOwnership.hold(possession, Effect.succeed(session), { name: "db", heartbeatMs, leaseMs: 15_000 })
    return { asked, possession }
  })

const orphan = (bucket: number, beatAt: number): Unlocked => ({ bucket, owner: "another", beatAt, isOver: false })

describe("a dispatcher that holds session locks", () => {
  it.effect("takes the buckets of a vanished dispatcher only after the grace period", () =>
    Effect.gen(function* () {
      let unlocked: ReadonlyArray<Unlocked> = []
      const { possession } = yield* alone(() => unlocked)
      unlocked = [orphan(7, 1)]
      // Seen at the next heartbeat, which follows at once, as it has not its share.
      yield* TestClock.adjust(heartbeatMs)
      yield* TestClock.adjust(graceMs - heartbeatMs)
      assert.isFalse(possession.kept.has(7))
      yield* TestClock.adjust(heartbeatMs)
      assert.isTrue(possession.kept.has(7))
    })
  )

  it.effect("gives an owner that came back in the meantime the whole grace period again", () =>
    Effect.gen(function* () {
      let unlocked: ReadonlyArray<Unlocked> = []
      const { possession } = yield* alone(() => unlocked)
      unlocked = [orphan(7, 1)]
      yield* TestClock.adjust(graceMs - 100)
      unlocked = [orphan(7, 2)]
      yield* TestClock.adjust(graceMs - 100)
      assert.isFalse(possession.kept.has(7))
      yield* TestClock.adjust(heartbeatMs)
      assert.isTrue(possession.kept.has(7))
    })
  )

  it.effect("waits for such buckets before it ends, and asks no more often than its heartbeat", () =>
    Effect.gen(function* () {
      let unlocked: ReadonlyArray<Unlocked> = []
      const { asked, possession } = yield* alone(() => unlocked)
      unlocked = [orphan(7, 1)]
      const before = asked.beats
      // As a dispatcher that drains does, until there are none.
      const settled = yield* Effect.forkChild(
        Effect.repeat(possession.lease.holding!.settle, { until: (isSettled) => isSettled })
      )
      yield* TestClock.adjust(graceMs - 1)
      assert.isUndefined(settled.pollUnsafe())
      assert.isAtMost(asked.beats - before, (4 * graceMs) / heartbeatMs + 1)
      yield* TestClock.adjust(heartbeatMs)
      assert.isTrue(yield* Fiber.join(settled))
      assert.isTrue(possession.kept.has(7))
    })
  )
})
