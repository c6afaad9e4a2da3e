/**
 * Does the housekeeping beside the sending: deletes settled messages in time, and puts back messages that were
 * claimed and lost.
 */
import * as LogEvent from "mailrace/LogEvent"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type { OutboxStore, DispatcherLease } from "../../OutboxStore.ts"
import type { ClaimedMails } from "./claimedMails.ts"
import type { LaneScheduler } from "./laneScheduler.ts"

/** The collaborators and settings of the sweeper. */
export interface Dependencies {
  readonly store: OutboxStore
  readonly lease: DispatcherLease
  readonly claimedMails: ClaimedMails
  readonly scheduler: LaneScheduler
  readonly interval: Duration.Input
  readonly keepBodies: Duration.Input
  readonly keepRows: Duration.Input
}

/** The age from which an unknown claim counts as lost, in milliseconds. */
const longestDoubt = 60_000

/** Sweeps at each interval. */
export const run = ({ scheduler, claimedMails, interval, keepBodies, keepRows, store, lease }: Dependencies) => {
  const retention = { bodies: Duration.toMillis(keepBodies), rows: Duration.toMillis(keepRows) }
  return Effect.gen(function* () {
    while (true) {
      yield* Effect.sleep(interval)
      const now = yield* Clock.currentTimeMillis
      scheduler.forget(now)
      const reclaimed = yield* claimedMails.persist(lease.reclaim((seq) => claimedMails.has(seq), now - longestDoubt))
      if (reclaimed > 0)
        yield* LogEvent.warning("outbox.reclaimed", `put back ${reclaimed} messages whose claim was lost`, {
          messages: reclaimed
        })
      for (let done = false; !done;) {
        const begun = yield* Clock.currentTimeMillis
        const swept = yield* claimedMails.persist(store.sweep(retention, now))
        for (const row of swept.expired) claimedMails.emit("Expired", row, now)
        done = swept.done && !swept.isShrinking
        // Rests as long as the step took: housekeeping must not use the store more than sending does.
        const took = (yield* Clock.currentTimeMillis) - begun
        if (!done) yield* took > 0 ? Effect.sleep(took) : Effect.yieldNow
      }
    }
  }) satisfies Effect.Effect<never, OutboxError>
}
