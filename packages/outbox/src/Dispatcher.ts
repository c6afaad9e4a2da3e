/**
 * Drains the outbox: claims what is due, sends it through `Mailer.sendAll`, settles how it ended.
 *
 * Four things run beside each other, each with a file of its own in `internal`. The *claimer* (`claiming`) keeps a short
 * queue for each lane filled. The *pipeline* (`sending`) is `sendAll` over a stream that takes one mail from each lane
 * in turn, as the `laneScheduler` says. What it ends is *settled* in groups (`claimedMails`), and again and again while the store
 * cannot be written; meanwhile nothing more is begun (`beginGate`) or claimed. The *sweeper* (`sweeping`) keeps house once a minute.
 *
 * Where several dispatchers share the lanes, nothing is begun that is not confirmed to be this one's (`Holding`), and what
 * waits of a bucket that is left or lost goes out of the queues.
 *
 * What is claimed is bounded by `concurrency` and a fixed prefetch, counting what is sent but not yet settled.
 *
 * When it is interrupted, it begins nothing more. Mails that were begun end first, within the transport's bound; then all
 * ends are settled, and what was not begun is given back as if it had never been claimed.
 *
 * @since 0.1.0
 */

import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import { MailTransport } from "mailrace/MailTransport"
import type * as RetryPolicy from "mailrace/RetryPolicy"
import * as Backoff from "./Backoff.ts"
import { BeginGate } from "./internal/dispatch/beginGate.ts"
import { Claiming, type Until } from "./internal/dispatch/claiming.ts"
import type { EventHub } from "./internal/dispatch/eventHub.ts"
import * as ClaimedMails from "./internal/dispatch/claimedMails.ts"
import { LaneScheduler } from "./internal/dispatch/laneScheduler.ts"
import { LaneScanner } from "./internal/dispatch/laneScanner.ts"
import type { DispatchSignal } from "./internal/dispatch/dispatchSignal.ts"
import { unreadableOutcome } from "./internal/dispatch/settlement.ts"
import * as Sending from "./internal/dispatch/sending.ts"
import * as Sweeping from "./internal/dispatch/sweeping.ts"
import type { ClaimAttempts } from "./internal/dispatch/claimAttempts.ts"
import type { OutboxError } from "./OutboxError.ts"
import type { OutboxStore, Settlement, DispatcherLease } from "./OutboxStore.ts"
import type * as Payload from "./Payload.ts"

/**
 * How the outbox is drained.
 *
 * @since 0.1.0
 */
export interface Options {
  /** Mails on their way at once. Defaults to what keeps the transport busy (`MailTransport.concurrency`), or 10. */
  readonly concurrency?: number | undefined
  /** The quick retries within one claim. Defaults to `RetryPolicy.defaultPolicy`: 100, 200, 400 ms. */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /** When to try again later. Defaults to `Backoff.defaultBackoff`: 1, 5, 15 minutes, 1 hour, then every 4 hours. */
  readonly backoff?: Backoff.Backoff | undefined
  /**
   * What to do when the final reply was lost: `resend` (at least once, under the same Message-ID) or `giveUp` (at most
   * once; the mail is `dead` and may have arrived). Defaults to `resend`.
   */
  readonly onUnknown?: "resend" | "giveUp" | undefined
  /** How many mails of a lane may be claimed now, as from a rate limiter's free tokens. Defaults to no limit. */
  readonly quota?: ((lane: string) => number) | undefined
  /**
   * When to end: `never`, when nothing is due now and nothing is in flight (`idle`), or when nothing waits at all but in
   * paused lanes (`empty`). A function is asked whenever there is nothing to do, so that it may change. Defaults to
   * `never`.
   *
   * Where several dispatchers share a PostgreSQL outbox, each answers for the lanes that it owns and for those that nobody
   * owns, which it takes before it ends. What another live dispatcher owns is that one's to send.
   */
  readonly until?: Until | (() => Until) | undefined
  /**
   * Runs once this process is the dispatcher and before it claims; `recovered` mails were put back. `status` can be read
   * at any time from then on, also when the dispatcher has ended.
   */
  readonly onStart?: ((recovered: number, status: Status) => Effect.Effect<void>) | undefined
  /**
   * Runs when an attempt ended, while its end is being recorded. It cannot be interrupted, and holds up what is sent
   * next while it runs. Mails that end without an attempt are told to `onUntried`.
   */
  readonly onDelivery?: ((delivery: Delivery.Delivery, attempt: AttemptedMail) => Effect.Effect<void>) | undefined
  /**
   * Called when this dispatcher ends a mail without an attempt, after that is committed: one that is `Expired`, or `Dead`
   * because it cannot be read or because processes died on it. It must not throw, and holds up the dispatcher while it
   * runs.
   */
  readonly onUntried?: ((mail: Untried) => void) | undefined
  /** The longest time between two looks for what other processes did. Defaults to 1 second, and a quarter at least. */
  readonly poll?: Duration.Input | undefined
  /** How often to keep house. Defaults to 1 minute. */
  readonly sweepInterval?: Duration.Input | undefined
  /** How long the bodies of accepted and cancelled mails are kept. Defaults to 1 minute. */
  readonly keepBodies?: Duration.Input | undefined
  /** How long the rows of settled mails are kept. Defaults to 30 days. */
  readonly keepRows?: Duration.Input | undefined
  /**
   * How often the process may end while a mail is on its way before the mail is given up. Mails that only waited to be
   * sent are not counted; to tell them apart, the first end is not counted either. Defaults to 5.
   */
  readonly maxCrashes?: number | undefined
}

/**
 * When a dispatcher ends.
 *
 * @since 0.1.0
 */
export type { Until }

/**
 * How a dispatcher stands.
 *
 * @since 0.1.0
 */
export interface Status {
  /**
   * Mails that a relay has accepted and that are not recorded as such: on their way into the store, or kept out of it by
   * a full disk or a database that is gone. From the first that is kept out, nothing more is begun until it is in. What is
   * left of them when the dispatcher has ended will be sent again, and a warning in the log says how many that are.
   */
  readonly unrecorded: number
}

/**
 * A mail whose attempt ended, and what becomes of it.
 *
 * @since 0.1.0
 */
export interface AttemptedMail {
  readonly id: string
  /** The `id` that the mail itself had when it was enqueued. */
  readonly mailId: string | undefined
  readonly idempotencyKey: string | undefined
  readonly tenant: string | undefined
  readonly lane: string
  /** Counting this one. */
  readonly attempts: number
  readonly state: Settlement["state"]
  /** When it is tried again, for `due`. */
  readonly dueAt: Date | undefined
}

/**
 * A mail that ended without an attempt.
 *
 * @since 0.1.0
 */
export interface Untried {
  readonly _tag: "Expired" | "Dead"
  readonly id: string
  /** Attempts before, by earlier claims. */
  readonly attempts: number
  /** Why it is dead: `Unreadable`, or absent where processes died on it. */
  readonly reason: string | undefined
}

/**
 * What the dispatcher shares with the service.
 *
 * @since 0.1.0
 */
export interface Parts {
  readonly store: OutboxStore
  readonly codec: Payload.PayloadCodec
  readonly hub: Pick<EventHub, "emitChange">
  readonly signal: DispatchSignal
}

/** Claimed mails kept ready beside those on their way. */
const prefetch = 500

/**
 * Runs until `until`, an interrupt, or an error that waiting does not mend. Fails with `AlreadyDispatching` when another
 * process sends from the same file.
 *
 * @since 0.1.0
 */
export const run = (shared: Parts, options: Options = {}): Effect.Effect<void, OutboxError, MailTransport> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { onUntried } = options
      const parts = onUntried === undefined ? shared : { ...shared, hub: overheard(shared.hub, onUntried) }
      const transport = yield* MailTransport
      const lease = yield* parts.store.dispatch(options.maxCrashes ?? 5, (row, now) =>
        parts.hub.emitChange("Dead", row, now)
      )
      if (lease.recovered > 0) {
        yield* Effect.logInfo(`put back ${lease.recovered} mails that a process had in hand when it ended`)
      }
      yield* dispatch(parts, options, lease, options.concurrency ?? transport.concurrency ?? 10)
    })
  )

/** Wires what runs beside each other, and ends with the claimer, or with the first failure of any. */
const dispatch = Effect.fnUntraced(function* (
  parts: Parts,
  options: Options,
  lease: DispatcherLease,
  concurrency: number
) {
  const { codec, hub, signal, store } = parts
  const scheduler = new LaneScheduler(concurrency, prefetch)
  const gate = new BeginGate()
  const scanner = new LaneScanner(lease, Duration.toMillis(options.poll ?? "1 second"))
  const claimedMails = yield* ClaimedMails.make({
    store: store.name,
    lease,
    hub,
    gate,
    onSettled: ({ dueAt }) => {
      if (dueAt !== undefined) scanner.addDueAt(dueAt)
      if (scheduler.isLow) signal.wake()
    },
    onGivenBack: () => signal.wake()
  })
  if (options.onStart !== undefined) yield* options.onStart(lease.recovered, claimedMails)
  const sending = yield* Sending.make({
    lease,
    claimedMails,
    scheduler,
    gate,
    signal,
    codec,
    concurrency,
    rules: { backoff: options.backoff ?? Backoff.defaultBackoff, onUnknown: options.onUnknown ?? "resend" },
    retry: options.retry,
    onEnded: (tried) => options.onDelivery?.(tried.delivery, attempted(tried)) ?? Effect.void
  })
  const claiming = new Claiming({
    lease,
    claimedMails,
    scheduler,
    gate,
    scanner,
    signal,
    concurrency,
    quota: options.quota ?? (() => Infinity),
    until: options.until ?? "never",
    onClaimed: sending.offer
  })
  const { holding } = lease
  if (holding !== undefined) gate.require(holding.isConfirmed)
  holding?.listen({
    onConfirmed: () => {
      gate.reconsider()
      sending.offer()
    },
    onTaken: () => {
      claiming.startOver()
      signal.wake()
    },
    onLeave: (buckets, isLost) => sending.leave(buckets, isLost)
  })
  const sweeping = Sweeping.run({
    store,
    lease,
    claimedMails,
    scheduler,
    interval: options.sweepInterval ?? "1 minute",
    keepBodies: options.keepBodies ?? "1 minute",
    keepRows: options.keepRows ?? "30 days"
  })
  const listening = Stream.runForEach(store.hints, () =>
    Effect.sync(() => {
      scanner.want()
      signal.wake()
    })
  )
  yield* Effect.acquireRelease(
    Effect.sync(() => void (signal.isHeard = true)),
    () => Effect.sync(() => void (signal.isHeard = false))
  )
  const claimed = Effect.tap(claiming.run, () => Effect.sync(() => sending.complete()))
  const helpers = yield* Effect.forkScoped(
    Effect.all([claimed, sweeping, claimedMails.bounded(listening)], { concurrency: "unbounded", discard: true })
  )
  yield* Effect.raceAllFirst([
    sending.run,
    Effect.andThen(Fiber.join(helpers), Effect.never),
    Deferred.await(claimedMails.broken),
    // With an interrupt and not after it, or what it waits for would wait for the store without end.
    Effect.onInterrupt(Effect.never, () => claimedMails.beginShutdown)
  ])
  yield* claimedMails.settled
})

/** A hub for one run, which says on what that ends without an attempt. */
const overheard = (hub: Parts["hub"], onUntried: (mail: Untried) => void): Parts["hub"] => ({
  emitChange: (change, row, now, end) => {
    hub.emitChange(change, row, now, end)
    const { attempts, id } = row
    if (change === "Expired" && end === undefined) onUntried({ _tag: change, id, attempts, reason: undefined })
    if (change === "Dead" && (end === undefined || end.outcome === unreadableOutcome))
      onUntried({ _tag: change, id, attempts, reason: end?.outcome })
  }
})

const attempted = ({ mailId, row, settlement }: ClaimAttempts): AttemptedMail => ({
  id: row.id,
  mailId,
  idempotencyKey: row.key,
  tenant: row.tenant || undefined,
  lane: row.lane,
  attempts: row.attempts,
  state: settlement.state,
  dueAt: settlement.dueAt === undefined ? undefined : new Date(settlement.dueAt)
})
