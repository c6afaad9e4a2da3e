/**
 * Shows in Effect's metrics how many messages a dispatcher could not record.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as SendMetrics from "mailrace/SendMetrics"

/** Shows the number until the scope closes. */
export const show = (outbox: string, count: () => number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Context.get(context, SendMetrics.Recording)
      ? Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => SendMetrics.observeUnsafe(unrecorded(outbox), context, count)),
            (shown) => Effect.sync(() => shown.remove())
          )
        )
      : Effect.void
  )

const unrecorded = (outbox: string) =>
  Metric.gauge("mailrace.outbox.unrecorded", {
    description: "Messages that a relay has accepted and the outbox has not recorded",
    attributes: { outbox }
  })
