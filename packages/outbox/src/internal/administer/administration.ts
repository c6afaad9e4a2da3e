/**
 * Looks at the messages of an outbox and changes them, beside the dispatcher.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Sendable } from "mailrace/Mailer"
import * as WaitReport from "../dispatch/waitReport.ts"
import * as Lane from "../../Lane.ts"
import type { Attempt, Entry, Filter, StateCounts, Stats } from "../../OutboxEntry.ts"
import type { OutboxError } from "../../OutboxError.ts"
import type { Change } from "../../OutboxEvent.ts"
import type { KeyedMail, Occupancy, OutboxStore } from "../../OutboxStore.ts"
import type { PayloadCodec } from "../../Payload.ts"
import type { DispatchSignal } from "../dispatch/dispatchSignal.ts"
import type { EventHub } from "../dispatch/eventHub.ts"

/** Options for `retry`. */
export interface RetryOptions {
  /**
   * If true, messages that were never tried become due now, even before their `sendAt`. If false, they wait for that time,
   * cancelled ones as well. Defaults to true for a filter with `ids`, else to false.
   */
  readonly scheduled?: boolean | undefined
}

/** A message with its history and, as long as the outbox keeps it, its body. */
export interface Details {
  readonly entry: Entry
  /** The completed attempts, oldest first. */
  readonly attempts: ReadonlyArray<Attempt>
  /** The message as it is sent, with the template's fields filled in. Absent if it was purged or cannot be read. */
  readonly mail: Sendable | undefined
}

/** The collaborators and settings of the administration. */
export interface Dependencies {
  readonly store: OutboxStore
  readonly codec: PayloadCodec
  readonly hub: EventHub
  readonly signal: DispatchSignal
  /** The time until a retried message expires, in milliseconds. */
  readonly expiryMs: number
}

/** The part of the outbox that reads and changes stored messages. */
export interface Administration {
  readonly get: (id: string) => Effect.Effect<Details | undefined, OutboxError>
  readonly list: (filter?: Filter) => Stream.Stream<Entry, OutboxError>
  readonly keyed: (prefix: string) => Stream.Stream<KeyedMail, OutboxError>
  readonly count: (filter?: Filter) => Effect.Effect<StateCounts, OutboxError>
  readonly stats: Effect.Effect<Stats, OutboxError>
  readonly pausedLanes: Effect.Effect<ReadonlyArray<string>, OutboxError>
  readonly retry: (filter: Filter, options?: RetryOptions) => Stream.Stream<Entry, OutboxError>
  readonly cancel: (filter: Filter) => Stream.Stream<Entry, OutboxError>
  readonly purge: (filter: Filter) => Effect.Effect<number, OutboxError>
  readonly occupancy: Effect.Effect<Occupancy, OutboxError>
  readonly vacuum: Stream.Stream<Occupancy, OutboxError>
  readonly pause: (lane: string) => Effect.Effect<void, OutboxError>
  readonly resume: (lane: string) => Effect.Effect<void, OutboxError>
}

export const make = ({ codec, expiryMs, hub, signal, store }: Dependencies): Administration => {
  const addDue = (lane: string, dueAt: number, now: number): void =>
    signal.addDue({ bucket: Lane.bucket(lane), lane }, dueAt, now)
  const emit = (change: Change, entry: Entry, dueAt?: Date): void =>
    hub.emit({
      _tag: change,
      id: entry.id,
      messageId: entry.messageId,
      tenant: entry.tenant,
      lane: entry.lane,
      attempts: entry.attempts,
      at: entry.updatedAt,
      dueAt
    })
  const retried = (entry: Entry): void => {
    addDue(entry.lane, entry.dueAt.getTime(), entry.updatedAt.getTime())
    emit("Retried", entry, entry.dueAt)
  }
  return {
    get: (id) => details(store, codec, id),
    list: (filter = {}) => store.list(filter),
    keyed: store.keyed,
    count: (filter = {}) => store.count(filter),
    stats: Effect.flatMap(Effect.flatMap(Clock.currentTimeMillis, store.stats), (stats) =>
      store.ledgers === undefined
        ? Effect.succeed(stats)
        : Effect.map(
            // The report of a dispatcher that has gone is out of date.
            stats.dispatchers.length === 0 ? Effect.succeed([]) : WaitReport.read(store.ledgers),
            (waits): Stats => ({ ...stats, waits })
          )
    ),
    pausedLanes: store.pausedLanes,
    retry: (filter, options) =>
      atCurrentTime((now) =>
        store.retry(filter, {
          now,
          expiresAt: now + expiryMs,
          scheduled: options?.scheduled ?? filter.ids !== undefined
        })
      ).pipe(Stream.tap((entry) => Effect.sync(() => retried(entry)))),
    cancel: (filter) =>
      atCurrentTime((now) => store.cancel(filter, now)).pipe(
        Stream.tap((entry) => Effect.sync(() => emit("Cancelled", entry)))
      ),
    purge: store.purge,
    occupancy: store.occupancy,
    vacuum: store.vacuum,
    pause: (lane) => Effect.flatMap(Clock.currentTimeMillis, (now) => store.pause(lane, now)),
    resume: (lane) => Effect.map(store.resume(lane), () => addDue(lane, 0, 0))
  }
}

const details = Effect.fnUntraced(function* (
  store: OutboxStore,
  codec: Dependencies["codec"],
  id: string
): Effect.fn.Return<Details | undefined, OutboxError> {
  const entry = yield* store.get(id)
  if (entry === undefined) return undefined
  const attempts = yield* store.attempts(id)
  const payload = yield* store.payload(id)
  // An unreadable body must not hide the message's state: this is where its owner finds out.
  const mail = payload && (yield* Effect.catchDefect(codec.filled(payload), () => Effect.succeed(undefined)))
  return { entry, attempts, mail }
})

const atCurrentTime = <A, E>(entries: (now: number) => Stream.Stream<A, E>): Stream.Stream<A, E> =>
  Stream.unwrap(Effect.map(Clock.currentTimeMillis, entries))
