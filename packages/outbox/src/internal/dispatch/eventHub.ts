/**
 * Hands events to listeners. Without listeners it costs one comparison.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Change, OutboxEvent } from "../../OutboxEvent.ts"
import type { ExpiredRow, Settlement } from "../../OutboxStore.ts"

/** The number of events by which a slow listener may fall behind before it loses the oldest. */
const backlog = 16_384

/** Emits events to listeners. */
export class EventHub {
  private readonly listeners = new Set<Queue.Queue<OutboxEvent>>()

  /** Each run of the stream receives the events from then on. */
  readonly events: Stream.Stream<OutboxEvent> = Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.tap(Queue.sliding<OutboxEvent>(backlog), (queue) => Effect.sync(() => this.listeners.add(queue))),
        (queue) => Effect.sync(() => this.listeners.delete(queue))
      ),
      Stream.fromQueue
    )
  )

  get isHeard(): boolean {
    return this.listeners.size > 0
  }

  emit(event: OutboxEvent): void {
    for (const queue of this.listeners) Queue.offerUnsafe(queue, event)
  }

  /** Emits a change of a message at `now`, with the outcome of its attempt if one ended. */
  emitChange(change: Change, row: ExpiredRow, now: number, end?: Settlement): void {
    if (!this.isHeard) return
    this.emit({
      _tag: change,
      id: row.id,
      messageId: row.messageId,
      tenant: row.tenant || undefined,
      lane: row.lane,
      attempts: row.attempts,
      at: new Date(now),
      dueAt: end?.dueAt === undefined ? undefined : new Date(end.dueAt),
      reason: end === undefined || end.outcome === "accepted" ? undefined : end.outcome,
      reply: end?.reply
    })
  }
}
