/**
 * A dispatcher with a full outbox in SQLite: its claims from a long backlog, and its start after another one died.
 *
 * The backlog is a campaign. Claimed messages go back outside of the measured time, so that the backlog keeps its length.
 * The start uses a file in which every message is claimed; each start gets a copy of it.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import type { ClaimedRow, LaneQuota, DispatcherLease } from "@mailrace/outbox/OutboxStore"
import * as SqliteStore from "@mailrace/outbox/SqliteStore"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { Batch, MakeContestant } from "../Contestant.ts"
import * as Campaign from "../internal/campaign.ts"
import { type TempFolder, tempFolder, withCopy } from "../internal/tempFolder.ts"
import { timed } from "../internal/timed.ts"

const claimed = 250

const maxCrashes = 5

export const make: MakeContestant = async (spec) => {
  const folder = tempFolder()
  const path = `${folder.path}/outbox.db`
  const backlog = spec.backlog ?? 1000
  return spec.contestant.endsWith("-recovery") ? recovering(folder, path, backlog) : claiming(folder, path, backlog)
}

const claiming = async (folder: TempFolder, path: string, backlog: number) => {
  const scope = Scope.makeUnsafe()
  const { due, lease } = await Effect.runPromise(
    Scope.provide(
      Effect.gen(function* () {
        yield* fill(path, backlog)
        const store = yield* SqliteStore.make({ path })
        const lease = yield* store.dispatch(maxCrashes)
        return { lease, due: (yield* lease.dueLanes(undefined, Campaign.domains, Date.now())).lanes }
      }),
      scope
    )
  )
  let next = 0
  /** Asks ten other lanes each time, so that claims in a row do not read the same pages. */
  const quotas = (): ReadonlyArray<LaneQuota> =>
    Array.from({ length: 10 }, () => ({ ...due[next++ % due.length]!, limit: claimed / 10 }))
  return {
    concurrency: 1,
    warmsUp: false,
    send: (batch: Batch) =>
      timed(batch, (clock) =>
        Effect.gen(function* () {
          const wanted = quotas()
          const begin = clock.begin()
          const { rows } = yield* lease.claim(wanted, Date.now())
          clock.end(begin)
          if (rows.length !== claimed) batch.failed(`${rows.length} mails were claimed instead of ${claimed}`)
          yield* lease.release(rows)
        })
      ),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      folder.remove()
    }
  }
}

const recovering = async (folder: TempFolder, path: string, backlog: number) => {
  await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        yield* fill(path, backlog)
        const store = yield* SqliteStore.make({ path })
        yield* claimAll(yield* store.dispatch(maxCrashes))
      })
    )
  )
  return {
    concurrency: 1,
    leastBatch: 1,
    warmsUp: false,
    send: (batch: Batch) =>
      timed(batch, (clock) =>
        withCopy(path, (copy) => {
          const begin = clock.begin()
          return Effect.scoped(
            Effect.gen(function* () {
              const { recovered } = yield* (yield* SqliteStore.make({ path: copy })).dispatch(maxCrashes)
              clock.end(begin)
              if (recovered !== backlog) batch.failed(`${recovered} mails were put back instead of ${backlog}`)
            })
          )
        })
      ),
    close: async () => folder.remove()
  }
}

/** Fills a file and closes it; whether the power fails meanwhile does not matter. */
const fill = (path: string, count: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const outbox = yield* Outbox.make(yield* SqliteStore.make({ path, durability: "normal" }))
      const mails = Stream.fromIterable({ [Symbol.iterator]: () => Campaign.mails(0, count) })
      yield* Stream.runDrain(outbox.enqueueAll(mails, { render: true }))
    })
  )

/** Claims until nothing is left. */
const claimAll = (lease: DispatcherLease) =>
  Effect.gen(function* () {
    const now = Date.now()
    for (;;) {
      const { lanes: due } = yield* lease.dueLanes(undefined, Campaign.domains, now)
      if (due.length === 0) return
      const { rows }: { readonly rows: ReadonlyArray<ClaimedRow> } = yield* lease.claim(
        due.map((lane) => ({ ...lane, limit: 100 })),
        now
      )
      if (rows.length === 0) return
    }
  })
