/**
 * Shows in Effect's metrics how many messages a dispatcher could not record.
 */
import type * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as SendMetrics from "mailrace/SendMetrics"

/** Shows the number, while metrics are recorded, until the scope closes. */
export const show = (outbox: string, count: () => number): Effect.Effect<void, never, Scope.Scope> =>
  SendMetrics.showWhileRecording((context) => [SendMetrics.observeUnsafe(unrecorded(outbox), context, count)])

const unrecorded = (outbox: string) =>
  Metric.gauge("mailrace.outbox.unrecorded", {
    description: "Messages that a relay has accepted and the outbox has not recorded",
    attributes: { outbox }
  })
