/**
 * The ownership of commit 8094cdc over the model's database, statement by statement: what it forgets is there for the model
 * to find. It counts what is in hand by the rows that it has seen, so not those of a claim that is on its way; it begins
 * whatever it has claimed, however its locks stand.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BucketStore } from "../../src/internal/dispatch/possession.ts"
import type { LockSession } from "../../src/internal/postgres/lockSession.ts"
import type { Statements } from "../../src/internal/postgres/dispatch.ts"
import * as Lane from "../../src/Lane.ts"
import type { OutboxError } from "../../src/OutboxError.ts"
import type { DispatcherLease } from "../../src/OutboxStore.ts"

const beat = "1 second"

/** Becomes one of the dispatchers. */
export const hold = (
  store: BucketStore<Statements>,
  open: Effect.Effect<LockSession, OutboxError, Scope.Scope>,
  owner: string
): Effect.Effect<DispatcherLease, OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const owned = new Map<number, number>()
    const held = new Map<number, number>()
    let claimable: ReadonlySet<number> = new Set()

    const take = (buckets: ReadonlyArray<number>) =>
      buckets.length === 0
        ? Effect.void
        : Effect.gen(function* () {
            // On the pool, and not on the connection that holds the locks.
            const taken = yield* store.take(buckets, owner, undefined)
            yield* store.recover(buckets, 0, 5, undefined)
            for (const { bucket, epoch } of taken) owned.set(bucket, epoch)
            claimable = new Set([...claimable, ...buckets])
          })
    const giveUp = (locks: LockSession, count: number) => {
      const leaving = [...owned.keys()].slice(-count)
      claimable = new Set([...owned.keys()].filter((bucket) => !leaving.includes(bucket)))
      const busy = new Set(held.values())
      const free = leaving.filter((bucket) => !busy.has(bucket))
      for (const bucket of free) owned.delete(bucket)
      return free.length === 0 ? Effect.void : locks.unlock(free)
    }
    const balance = (locks: LockSession) =>
      Effect.gen(function* () {
        const { dispatchers, locked } = yield* locks.heartbeat(held.size)
        const unlocked = [...owned.keys()].filter((bucket) => !locked.has(bucket))
        if (unlocked.length > 0) {
          const again = new Set(yield* locks.lock(unlocked, unlocked.length))
          for (const bucket of unlocked) if (!again.has(bucket)) owned.delete(bucket)
          yield* take([...again])
        }
        const share = Math.ceil(Lane.buckets / Math.max(1, dispatchers))
        if (owned.size > share) return yield* giveUp(locks, owned.size - share)
        claimable = new Set(owned.keys())
        if (owned.size === share) return
        const others = Array.from({ length: Lane.buckets }, (_, bucket) => bucket).filter(
          (bucket) => !owned.has(bucket)
        )
        yield* take(yield* locks.lock(others, share - owned.size))
      })
    const beats = (locks: LockSession): Effect.Effect<never, OutboxError> =>
      Effect.forever(Effect.andThen(Effect.sleep(beat), balance(locks)), { disableYield: true })
    const locks = yield* open
    yield* balance(locks)
    yield* Effect.forkScoped(
      Effect.catch(beats(locks), () =>
        Effect.forever(
          Effect.catch(
            Effect.scoped(Effect.flatMap(open, (locks) => Effect.andThen(balance(locks), beats(locks)))),
            () => Effect.sleep(beat)
          ),
          { disableYield: true }
        )
      )
    )
    const forget = (rows: Iterable<{ readonly seq: number }>) => {
      for (const { seq } of rows) held.delete(seq)
    }
    return {
      recovered: 0,
      holding: {
        isConfirmed: () => true,
        isSettled: () => true,
        settle: Effect.succeed(true),
        left: () => Infinity,
        spend: () => {},
        listen: () => {}
      },
      dueLanes: (after, limit, now) => store.dueLanes(after, limit, now, claimable),
      claim: (quotas, now) => {
        const mine = quotas.filter(({ bucket }) => claimable.has(bucket))
        if (mine.length === 0) return Effect.succeed({ rows: [], expired: [] })
        return Effect.map(store.claim(mine, now, owner), (claim) => {
          for (const row of claim.rows) held.set(row.seq, Lane.bucket(row.lane))
          return claim
        })
      },
      begin: () => Effect.void,
      settle: (batch) => Effect.tap(store.settle(batch), () => Effect.sync(() => forget(batch))),
      release: (rows) => Effect.tap(store.release(rows), () => Effect.sync(() => forget(rows))),
      reclaim: () => Effect.succeed(0)
    }
  })
