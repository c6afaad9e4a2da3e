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
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { Outbox } from "./Outbox.ts"
import { type Stats, states } from "./OutboxEntry.ts"

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
    Effect.gen(function* () {
      const outbox = yield* Outbox
      const round = Effect.gen(function* () {
        const before = yield* Clock.currentTimeMillis
        yield* Effect.ignore(Effect.flatMap(outbox.stats, (stats) => update(outbox.name, stats)))
        const took = (yield* Clock.currentTimeMillis) - before
        yield* Effect.sleep(Math.max(Duration.toMillis(Duration.fromInputUnsafe(interval)), took * 50))
      })
      yield* Effect.addFinalizer(() => remove(outbox.name))
      yield* Effect.forkScoped(Effect.forever(round))
    })
  )

/**
 * Takes over counts of the outbox of this name that were read elsewhere.
 *
 * @since 0.2.0
 */
export const update = (
  outbox: string,
  { dispatchers, lanes, oldestDueAt, pendingBytes, states }: Stats
): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() => {
      const now = Context.get(context, Clock.Clock).currentTimeMillisUnsafe()
      const overdueMs = oldestDueAt === undefined ? 0 : Math.max(0, now - oldestDueAt.getTime())
      const gauges = gaugesOf(outbox)
      // In one turn, so that nobody reads half of the counts.
      for (const [state, gauge] of gauges.messages) gauge.updateUnsafe(states[state], context)
      gauges.pendingSize.updateUnsafe(pendingBytes, context)
      gauges.overdue.updateUnsafe(overdueMs / 1000, context)
      gauges.pausedLanes.updateUnsafe(lanes.filter(({ paused }) => paused).length, context)
      gauges.dispatchers.updateUnsafe(dispatchers.length, context)
    })
  )

const remove = (outbox: string): Effect.Effect<void> => {
  const { messages, ...others } = gaugesOf(outbox)
  return Effect.forEach([...messages.map(([, gauge]) => gauge), ...Object.values(others)], Metric.remove, {
    discard: true
  })
}

const gaugesOf = (outbox: string) => {
  const gauge = (name: string, description: string, attributes?: { readonly state: string }) =>
    Metric.gauge(`mailrace.outbox.${name}`, { description, attributes: { outbox, ...attributes } })
  return {
    messages: states.map(
      (state) => [state, gauge("messages", "Messages of the outbox in each state", { state })] as const
    ),
    pendingSize: gauge("pending_size", "Content that waits in the outbox, in bytes"),
    overdue: gauge("overdue", "For how long the longest due message has waited, in seconds"),
    pausedLanes: gauge("paused_lanes", "Lanes that were paused"),
    dispatchers: gauge("dispatchers", "Processes that send from the outbox")
  }
}
