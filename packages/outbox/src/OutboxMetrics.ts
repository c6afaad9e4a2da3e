/**
 * Shows an outbox in Effect's metrics: how many messages are in each state, and for how long the longest due one has waited.
 * `mailrace/SendMetrics` lists the metrics.
 *
 * @example
 * ```ts
 * import * as Outbox from "@mailrace/outbox/Outbox"
 * import * as OutboxMetrics from "@mailrace/outbox/OutboxMetrics"
 * import * as Layer from "effect/Layer"
 *
 * export const outbox = OutboxMetrics.layer().pipe(Layer.provideMerge(Outbox.layerSqlite("outbox.db")))
 * ```
 *
 * @since 0.2.0
 */

import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { Outbox } from "./Outbox.ts"
import type { Stats } from "./OutboxEntry.ts"

/**
 * How often the outbox is asked.
 *
 * @since 0.2.0
 */
export interface Options {
  /** The time between two queries, which grows to 50 times what a query takes. Defaults to 15 seconds. */
  readonly interval?: Duration.Input | undefined
}

/**
 * Asks the outbox now and then, until the layer's scope closes. While the outbox cannot be read, the last counts stay.
 *
 * @since 0.2.0
 */
export const layer = ({ interval = "15 seconds" }: Options = {}): Layer.Layer<never, never, Outbox> =>
  Layer.effectDiscard(
    Effect.flatMap(Outbox, (outbox) => {
      const round = Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        yield* Effect.ignore(Effect.flatMap(outbox.stats, update))
        const took = (yield* Clock.currentTimeMillis) - before
        yield* Effect.sleep(Math.max(Duration.toMillis(Duration.fromInputUnsafe(interval)), took * 50))
      })
      return Effect.forkScoped(Effect.forever(round))
    })
  )

/**
 * Takes counts over that were read elsewhere.
 *
 * @since 0.2.0
 */
export const update = ({ dispatchers, lanes, oldestDueAt, pendingBytes, states }: Stats): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const overdueMs = oldestDueAt === undefined ? 0 : Math.max(0, now - oldestDueAt.getTime())
    return Effect.all(
      [
        ...Object.entries(states).map(([state, count]) => Metric.update(messages(state), count)),
        Metric.update(pendingSize, pendingBytes),
        Metric.update(overdue, overdueMs / 1000),
        Metric.update(pausedLanes, lanes.filter(({ paused }) => paused).length),
        Metric.update(dispatcherCount, dispatchers.length)
      ],
      { discard: true }
    )
  })

const messages = (state: string) =>
  Metric.gauge("mailrace.outbox.messages", {
    description: "Messages of the outbox in each state",
    attributes: { state }
  })

const pendingSize = Metric.gauge("mailrace.outbox.pending_size", {
  description: "Content that waits in the outbox, in bytes"
})

const overdue = Metric.gauge("mailrace.outbox.overdue", {
  description: "For how long the longest due message has waited, in seconds"
})

const pausedLanes = Metric.gauge("mailrace.outbox.paused_lanes", { description: "Lanes that were paused" })

const dispatcherCount = Metric.gauge("mailrace.outbox.dispatchers", {
  description: "Processes that send from the outbox"
})
