/**
 * Takes messages into the store.
 *
 * A message that is enqueued alone shares a commit with others that arrive at the same time (`GroupCommit`). A message that
 * is enqueued inside the caller's transaction becomes part of that transaction instead, and is announced once it commits.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as LogEvent from "mailrace/LogEvent"
import type { Sendable } from "mailrace/Mailer"
import type { EnqueueOptions } from "../../EnqueueOptions.ts"
import * as GroupCommit from "../../GroupCommit.ts"
import * as OutboxError from "../../OutboxError.ts"
import type { Accepted, JoinedTransaction, NewRow, OutboxStore } from "../../OutboxStore.ts"
import type { PayloadCodec } from "../../Payload.ts"
import * as AttemptTrace from "../dispatch/attemptTrace.ts"
import type { DispatchSignal } from "../dispatch/dispatchSignal.ts"
import type { EventHub } from "../dispatch/eventHub.ts"
import * as newRow from "./newRow.ts"
import type { EnqueueAllOptions, Receipt, Refusal } from "./receipt.ts"

/** The collaborators and settings of the intake. */
export interface Dependencies {
  readonly store: OutboxStore
  readonly codec: PayloadCodec
  readonly hub: EventHub
  readonly signal: DispatchSignal
  readonly defaults: newRow.Defaults
  /** The largest number of messages in one commit. */
  readonly mailsPerCommit: number | undefined
  /** The longest time that the end of the scope waits for messages that are being stored. */
  readonly closeTimeout: Duration.Duration
}

/** The part of the outbox that enqueues. */
export interface Intake {
  readonly enqueue: (mail: Sendable, options?: EnqueueOptions) => Effect.Effect<Receipt, OutboxError.OutboxError>
  readonly enqueueAll: <E, R>(
    mails: Stream.Stream<Sendable, E, R>,
    options?: EnqueueAllOptions
  ) => Stream.Stream<Receipt | Refusal, E | OutboxError.OutboxError, R>
}

/** Opens the intake of a store. When the scope closes, the rows that wait are written first, within `closeTimeout`. */
export const make = (dependencies: Dependencies): Effect.Effect<Intake, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { closeTimeout, codec, defaults, mailsPerCommit, store } = dependencies
    const group = yield* GroupCommit.make<NewRow, Accepted, OutboxError.OutboxError>({
      write: store.accept,
      maxRows: mailsPerCommit,
      parallel: store.parallelAccepts,
      closing: {
        timeout: closeTimeout,
        abandoned: (isBegun) => abandoned(store.name, closeTimeout, isBegun),
        onAbandoned: (begun, waiting) =>
          LogEvent.warning(
            "outbox.abandoned",
            `${store.name} was silent while the outbox closed; of the messages on their way, ${begun} may be stored, and ${waiting} are not`,
            { unknown: begun, unstored: waiting }
          )
      }
    })
    const makeRow = newRow.make(codec, defaults)
    const announce = (row: NewRow): void => announceRow(dependencies, row)

    const commit = (row: NewRow): Effect.Effect<Receipt, OutboxError.OutboxError> =>
      Effect.flatMap(group.submit(row), (accepted) => {
        if (accepted._tag === "Stored") announce(row)
        return receipt(row, accepted)
      })
    const join = (joined: JoinedTransaction, row: NewRow): Effect.Effect<Receipt, OutboxError.OutboxError> =>
      Effect.flatMap(joined.accept([row]), ([accepted]) =>
        accepted!._tag === "Stored"
          ? Effect.andThen(joined.afterCommit(Effect.sync(() => announce(row))), receipt(row, accepted!))
          : receipt(row, accepted!)
      )
    const enqueue: Intake["enqueue"] = (mail, options) =>
      AttemptTrace.enqueueing(
        Effect.flatMap(makeRow(mail, options), (row) =>
          Effect.flatMap(store.joined, (joined) => (joined === undefined ? commit(row) : join(joined, row)))
        )
      )
    return {
      enqueue,
      enqueueAll: (mails, options) =>
        Stream.mapEffect(
          Stream.zipWithIndex(mails),
          ([mail, index]) =>
            receiptOrRefusal(enqueue(mail, typeof options === "function" ? options(mail, index) : options), index),
          { concurrency: enqueuedAtOnce }
        )
    }
  })

/** The error of a message that a closed outbox has given up. */
const abandoned = (store: string, waited: Duration.Duration, isBegun: boolean): OutboxError.OutboxError =>
  OutboxError.make(
    isBegun
      ? new OutboxError.OutcomeUnknown({ store, waitedMs: Duration.toMillis(waited) })
      : new OutboxError.Unavailable({
          store,
          problem: "it was closed before the message was stored",
          isRetryable: true,
          hint: "open the outbox again when the store answers, and enqueue the message again"
        })
  )

/** Tells the dispatcher in this process and the listeners that a row is committed. */
const announceRow = ({ hub, signal }: Dependencies, row: NewRow): void => {
  signal.addDue(row, row.dueAt, row.createdAt)
  if (!hub.isHeard) return
  hub.emit({
    _tag: "Enqueued",
    id: row.id,
    messageId: row.messageId,
    tenant: row.tenant || undefined,
    lane: row.lane,
    attempts: 0,
    at: new Date(row.createdAt),
    dueAt: new Date(row.dueAt)
  })
}

const receipt = (row: NewRow, accepted: Accepted): Effect.Effect<Receipt, OutboxError.OutboxError> => {
  switch (accepted._tag) {
    case "Stored":
      return Effect.succeed({ _tag: "Receipt", id: row.id, messageId: row.messageId, duplicate: false })
    case "Duplicate":
      return Effect.succeed({ _tag: "Receipt", id: accepted.id, messageId: accepted.messageId, duplicate: true })
    case "Refused":
      return Effect.fail(accepted.error)
  }
}

/** One message of a stream: it waits while the store is full or locked, and is refused if it could never be sent. */
const receiptOrRefusal = (
  enqueued: Effect.Effect<Receipt, OutboxError.OutboxError>,
  index: number
): Effect.Effect<Receipt | Refusal, OutboxError.OutboxError> =>
  Effect.matchEffect(Effect.retry(enqueued, whileFullOrLocked), {
    onSuccess: (receipt) => Effect.succeed<Receipt | Refusal>(receipt),
    onFailure: (error) =>
      error.reason._tag === "InvalidMail"
        ? Effect.succeed<Receipt | Refusal>({ _tag: "Refusal", index, error })
        : Effect.fail(error)
  })

/**
 * Messages of a stream on their way into the store at once: slightly more than one batch. With two batches, the next one
 * is always full when one completes, and sending in the same process was seen to fall to a tenth.
 */
const enqueuedAtOnce = 256

/** The time for which a stream waits while the database is locked, in milliseconds. */
const longestLock = 300_000

/** A stream waits for room without limit, and for another process's long transaction up to `longestLock`. */
const whileFullOrLocked = {
  schedule: Schedule.spaced("250 millis").pipe(
    Schedule.setInputType<OutboxError.OutboxError>(),
    Schedule.while(({ elapsed, input }) => input.reason._tag === "Busy" || elapsed < longestLock)
  ),
  while: ({ reason }: OutboxError.OutboxError) => reason._tag === "Busy" || reason._tag === "Locked"
}
