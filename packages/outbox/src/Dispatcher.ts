/**
 * Drains the outbox: claims the due messages, sends them through `Mailer.sendAll` and settles the outcomes.
 *
 * Four parts run concurrently, each in a file of its own in `internal/dispatch`. The *claimer* (`claiming`) keeps a
 * short queue for each lane filled. The *pipeline* (`sending`) is `sendAll` over a stream that takes one message from
 * each lane in turn, as the `laneScheduler` decides. The outcomes are *settled* in groups (`claimedMails`), again and
 * again while the store cannot be written; meanwhile no attempt begins (`beginGate`) and nothing is claimed. The
 * *sweeper* (`sweeping`) does the housekeeping once a minute.
 *
 * If several dispatchers share the lanes, each begins only messages that are confirmed to be its own (`Holding`).
 * When a bucket is left or lost, its waiting messages leave the queues.
 *
 * `concurrency` and a prefetch of 500 (1,000 of small messages, if lanes are many) bound the number of claimed
 * messages, including those that are sent but not yet settled.
 *
 * When the dispatcher is interrupted, it begins no more attempts. The attempts under way end first, within the
 * transport's bound; then all outcomes are settled, and messages that were not begun are given back as if they had
 * never been claimed.
 *
 * @since 0.1.0
 */

import * as FlowChange from "@mailrace/flow/FlowChange"
import { FlowControl, type Gates, type Held, type Wait } from "@mailrace/flow/FlowControl"
import * as FlowMetrics from "@mailrace/flow/FlowMetrics"
import * as LoadGuard from "@mailrace/flow/LoadGuard"
import { RateLeasing } from "@mailrace/flow/RateLeasing"
import type * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as LogEvent from "mailrace/LogEvent"
import type * as Delivery from "mailrace/Delivery"
import { MailTransport } from "mailrace/MailTransport"
import type * as RetryPolicy from "mailrace/RetryPolicy"
import * as Backoff from "./Backoff.ts"
import { BeginGate } from "./internal/dispatch/beginGate.ts"
import { Claiming, type Until } from "./internal/dispatch/claiming.ts"
import type { EventHub } from "./internal/dispatch/eventHub.ts"
import * as ClaimedMails from "./internal/dispatch/claimedMails.ts"
import { LaneScheduler } from "./internal/dispatch/laneScheduler.ts"
import * as RecipientCount from "./internal/dispatch/recipientCount.ts"
import * as WaitReport from "./internal/dispatch/waitReport.ts"
import { LaneScanner } from "./internal/dispatch/laneScanner.ts"
import type { DispatchSignal } from "./internal/dispatch/dispatchSignal.ts"
import { unreadableOutcome } from "./internal/dispatch/settlement.ts"
import * as Sending from "./internal/dispatch/sending.ts"
import * as UnrecordedMetric from "./internal/dispatch/unrecordedMetric.ts"
import * as PauseLog from "./internal/dispatch/pauseLog.ts"
import * as Sweeping from "./internal/dispatch/sweeping.ts"
import type { ClaimAttempts } from "./internal/dispatch/claimAttempts.ts"
import type { OutboxError } from "./OutboxError.ts"
import type { DispatcherLease, Holding, Ledgers, OutboxStore, Settlement } from "./OutboxStore.ts"
import type * as Payload from "./Payload.ts"

/**
 * Options for draining the outbox.
 *
 * @since 0.1.0
 */
export interface Options {
  /**
   * The number of messages on their way at once. Defaults to the number that keeps the transport busy
   * (`MailTransport.concurrency`), or 10.
   */
  readonly concurrency?: number | undefined
  /** The quick retries within one claim. Defaults to `RetryPolicy.defaultPolicy`: 100, 200, 400 ms. */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /**
   * The delays of later attempts. Defaults to `Backoff.defaultBackoff`: 1, 5, 15 minutes, 1 hour, then every 4 hours.
   */
  readonly backoff?: Backoff.Backoff | undefined
  /**
   * The policy for a message whose final reply was lost: `resend` (at least once, under the same Message-ID) or
   * `giveUp` (at most once; the message is `dead` and may have arrived). Defaults to `resend`.
   */
  readonly onUnknown?: "resend" | "giveUp" | undefined
  /**
   * The number of messages of a lane that may be claimed now, such as the free tokens of a rate limiter. Defaults to
   * no limit.
   */
  readonly quota?: ((lane: string) => number) | undefined
  /**
   * Limits by relay, lane and tenant, from `FlowOptions.resolve`. The dispatcher does not claim messages that they hold
   * back. A lane's limits go by its name. A message counts the recipients that it is still owed to, and its bytes are those
   * of the stored message until it is composed. Defaults to none.
   */
  readonly flow?: FlowOptions.Settings | undefined
  /**
   * True if one relay takes all messages: while a rule leaves it alone (`ProviderRules`), the dispatcher claims nothing.
   * With several relays, the transport that chooses among them leaves one alone. The dispatcher calls a function at each
   * such reply, so the answer may change. Defaults to true, and to false where `flow` holds limits of `lanes` alone
   * (`asked`).
   */
  readonly isOneRelay?: boolean | (() => boolean) | undefined
  /**
   * Where the limits of `flow` are kept and shared, such as `RedisLedgers` for dispatchers of several outboxes; the limits of
   * lanes are shared too then. Defaults to the outbox's own store, which its dispatchers share.
   */
  readonly ledgers?: Ledgers | undefined
  /**
   * The condition for ending: `never`; `idle`, when nothing is due now and nothing is in flight; or `empty`, when
   * nothing waits outside of paused lanes. The dispatcher calls a function whenever it has nothing to do, so the
   * answer may change. Defaults to `never`.
   *
   * If several dispatchers share a PostgreSQL outbox, each answers for the lanes that it owns and for those without
   * an owner, which it takes over before it ends. The lanes of another live dispatcher are left to that dispatcher.
   */
  readonly until?: Until | (() => Until) | undefined
  /**
   * Runs once this process is the dispatcher and before it claims; `recovered` messages were put back. `status` can
   * be read at any time from then on, even after the dispatcher has ended.
   */
  readonly onStart?: ((recovered: number, status: Status) => Effect.Effect<void>) | undefined
  /**
   * Runs when an attempt has ended, while its outcome is being recorded. It cannot be interrupted, and delays the
   * next messages while it runs. `onUntried` reports messages that end without an attempt.
   */
  readonly onDelivery?: ((delivery: Delivery.Delivery, attempt: AttemptedMail) => Effect.Effect<void>) | undefined
  /**
   * Called when this dispatcher has ended a message without an attempt and the change is committed: the message is
   * `Expired`, or `Dead` because it cannot be read or because processes died on it. The function must not throw, and
   * it delays the dispatcher while it runs.
   */
  readonly onUntried?: ((mail: Untried) => void) | undefined
  /**
   * The longest interval between two searches for changes by other processes; the shortest is half of it.
   * Defaults to 1 second.
   */
  readonly poll?: Duration.Input | undefined
  /** The interval of housekeeping. Defaults to 1 minute. */
  readonly sweepInterval?: Duration.Input | undefined
  /** The time for which the bodies of accepted and cancelled messages are kept. Defaults to 1 minute. */
  readonly keepBodies?: Duration.Input | undefined
  /** The time for which the rows of settled messages are kept. Defaults to 30 days. */
  readonly keepRows?: Duration.Input | undefined
  /**
   * The number of times that a process may end while a message is on its way before the message is given up. Messages
   * that only waited to be sent are not counted; to tell them apart, the first end does not count either. Defaults to
   * 5.
   */
  readonly maxCrashes?: number | undefined
}

/**
 * The condition on which a dispatcher ends.
 *
 * @since 0.1.0
 */
export type { Until }

/**
 * The status of a dispatcher.
 *
 * @since 0.1.0
 */
export interface Status {
  /**
   * The number of messages that a relay has accepted and the outbox has not recorded: they are on their way into the
   * store, or a full disk or a lost database keeps them out. From the first message that is kept out, no attempt
   * begins until it is recorded. Messages that are still unrecorded when the dispatcher has ended will be sent again,
   * and a warning in the log gives their number.
   */
  readonly unrecorded: number
  /** Why messages wait now, and since when: limits, and lanes or a relay that asked for patience. */
  readonly waits: ReadonlyArray<Wait>
  /** How long the limits have held messages back. */
  readonly held: ReadonlyArray<Held>
  /** How far the gates of the relay are open, and those of the lanes that are slowed down. */
  readonly gates: Gates
}

/**
 * A message whose attempt has ended, and its next state.
 *
 * @since 0.1.0
 */
export interface AttemptedMail {
  readonly id: string
  /** The `id` of the message itself when it was enqueued. */
  readonly mailId: string | undefined
  readonly idempotencyKey: string | undefined
  readonly tenant: string | undefined
  readonly lane: string
  /** The number of attempts, including this one. */
  readonly attempts: number
  readonly state: Settlement["state"]
  /** The time of the next attempt, for `due`. */
  readonly dueAt: Date | undefined
}

/**
 * A message that ended without an attempt.
 *
 * @since 0.1.0
 */
export interface Untried {
  readonly _tag: "Expired" | "Dead"
  readonly id: string
  /** The attempts of earlier claims. */
  readonly attempts: number
  /** The reason for `Dead`: `Unreadable`, or absent if processes died on the message. */
  readonly reason: string | undefined
}

/**
 * The parts that the dispatcher shares with the service.
 *
 * @since 0.1.0
 */
export interface Parts {
  readonly store: OutboxStore
  readonly codec: Payload.PayloadCodec
  readonly hub: Pick<EventHub, "emitChange">
  readonly signal: DispatchSignal
}

/** The number of claimed messages kept ready beside those on their way; twice as many small ones, if lanes are many. */
const prefetch = 500

/**
 * Runs until the condition in `until` holds, an interrupt comes, or an error occurs that waiting does not cure. Fails
 * with `AlreadyDispatching` if another process sends from the same file.
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
        yield* LogEvent.info(
          "outbox.reclaimed",
          `put back ${lease.recovered} messages that a process had claimed when it ended`,
          { messages: lease.recovered }
        )
      }
      yield* dispatch(parts, options, lease, options.concurrency ?? transport.concurrency ?? 10)
    })
  )

/** Wires the concurrent parts; ends with the claimer, or with the first failure of any part. */
const dispatch = Effect.fnUntraced(function* (
  parts: Parts,
  options: Options,
  lease: DispatcherLease,
  concurrency: number
) {
  const { codec, hub, signal, store } = parts
  const clock = yield* Clock.Clock
  const leasing = rateLeasing(parts, options, lease, () => {
    signal.wake()
    sending.offer()
  })
  const flow = options.flow === undefined ? undefined : new FlowControl(options.flow, concurrency, leasing?.makeRate)
  const { isOneRelay = options.flow?.asked !== "lanes" } = options
  const scheduler = new LaneScheduler(concurrency, prefetch, flow, {
    isOneRelay: typeof isOneRelay === "function" ? isOneRelay : () => isOneRelay,
    recipientsOf: RecipientCount.make(codec)
  })
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const log = (change: FlowChange.Change): void => void fork(FlowChange.log(change, options.flow?.name ?? "the relay"))
  scheduler.onChange = log
  if (flow !== undefined) flow.onChange = log
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
  const status = statusOf(claimedMails, scheduler, flow, clock)
  yield* show(store, options, status, concurrency)
  if (store.ledgers !== undefined) yield* WaitReport.run(store.ledgers, (now) => scheduler.waits(now))
  if (options.onStart !== undefined) yield* options.onStart(lease.recovered, status)
  const sending = yield* Sending.make({
    lease,
    claimedMails,
    scheduler,
    gate,
    signal,
    codec,
    concurrency,
    flow,
    clock,
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
  const guard = options.flow?.guard
  if (guard !== undefined) yield* LoadGuard.feed(guard, sending.offer)
  if (lease.holding !== undefined) followOwnership(lease.holding, { claiming, gate, sending, signal })
  yield* Effect.acquireRelease(
    Effect.sync(() => void (signal.isHeard = true)),
    () => Effect.sync(() => void (signal.isHeard = false))
  )
  yield* sendBeside(sending, claimedMails, [
    Effect.tap(claiming.run, () => Effect.sync(() => sending.complete())),
    ...upkeep(parts, options, { lease, claimedMails, scheduler, scanner }),
    leasing?.run ?? Effect.void
  ])
})

/** Begins messages only while the ownership of their buckets is confirmed, and follows its changes. */
const followOwnership = (
  holding: Holding,
  {
    claiming,
    gate,
    sending,
    signal
  }: Pick<Sending.Dependencies, "gate" | "signal"> & {
    readonly claiming: Claiming
    readonly sending: Sending.Sending
  }
): void => {
  gate.require(holding.isConfirmed)
  holding.listen({
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
}

/** Housekeeping of the store, the log of pauses, and the hints of other processes. */
const upkeep = (
  { signal, store }: Parts,
  options: Options,
  {
    claimedMails,
    lease,
    scanner,
    scheduler
  }: Pick<Sending.Dependencies, "lease" | "claimedMails" | "scheduler"> & { readonly scanner: LaneScanner }
): ReadonlyArray<Effect.Effect<void, OutboxError>> => {
  const sweeping = Sweeping.run({
    store,
    lease,
    claimedMails,
    scheduler,
    interval: options.sweepInterval ?? "1 minute",
    keepBodies: options.keepBodies ?? "1 minute",
    keepRows: options.keepRows ?? "30 days"
  })
  // Logging a pause is less urgent than keeping to it, which each claim does.
  const pauses = PauseLog.run(store, Duration.times(Duration.fromInputUnsafe(options.poll ?? "1 second"), 5))
  const listening = Stream.runForEach(store.hints, () =>
    Effect.sync(() => {
      scanner.want()
      signal.wake()
    })
  )
  return [sweeping, claimedMails.bounded(pauses), claimedMails.bounded(listening)]
}

/** Sends while the other parts run; ends when sending does, or with the first failure of any part. */
const sendBeside = Effect.fnUntraced(function* (
  sending: Pick<Sending.Sending, "run">,
  claimedMails: ClaimedMails.ClaimedMails,
  others: ReadonlyArray<Effect.Effect<void, OutboxError>>
) {
  const running = yield* Effect.forkScoped(Effect.all(others, { concurrency: "unbounded", discard: true }))
  yield* Effect.raceAllFirst([
    sending.run,
    Effect.andThen(Fiber.join(running), Effect.never),
    Deferred.await(claimedMails.broken),
    // Starts the deadline with the interrupt and not after it, or the calls it waits for would wait for the store forever.
    Effect.onInterrupt(Effect.never, () => claimedMails.beginShutdown)
  ])
  yield* claimedMails.settled
})

/** Leases the limits that several processes share; `undefined` if there are none. `onLeased` runs when more came. */
const rateLeasing = (
  { store }: Parts,
  { flow, ledgers }: Options,
  { holding }: DispatcherLease,
  onLeased: () => void
): RateLeasing<OutboxError> | undefined => {
  const shared = ledgers ?? store.ledgers
  if (flow === undefined || shared === undefined) return undefined
  const sharers = ledgers !== undefined ? "outboxes" : holding !== undefined ? "dispatchers" : "nobody"
  return new RateLeasing(shared, flow, sharers, onLeased)
}

/** Shows the run's metrics while the scope is open. */
const show = Effect.fnUntraced(function* (
  { name }: OutboxStore,
  { flow }: Options,
  status: Status,
  concurrency: number
) {
  yield* UnrecordedMetric.show(name, () => status.unrecorded)
  if (flow !== undefined) yield* FlowMetrics.show(flow.name, concurrency, () => status.gates)
})

const statusOf = (
  claimedMails: Pick<Status, "unrecorded">,
  scheduler: LaneScheduler,
  flow: FlowControl | undefined,
  clock: Clock.Clock
): Status => ({
  get unrecorded() {
    return claimedMails.unrecorded
  },
  get waits() {
    return scheduler.waits(clock.currentTimeMillisUnsafe())
  },
  get held() {
    return flow?.held(clock.currentTimeMillisUnsafe()) ?? []
  },
  get gates() {
    return scheduler.gates(clock.currentTimeMillisUnsafe())
  }
})

/** A hub for one run, which also reports messages that end without an attempt. */
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
