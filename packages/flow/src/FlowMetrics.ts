/**
 * Shows flow control in Effect's metrics: how far the gates of a relay are open. `mailrace/SendMetrics` lists the metrics.
 *
 * @since 0.2.0
 */

import type * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as SendMetrics from "mailrace/SendMetrics"
import type { Gates } from "./FlowControl.ts"

/**
 * Shows the gates of a relay, while metrics are recorded, until the scope closes. They are read when the metrics are, so that they
 * cost a message nothing. `concurrency` is the most messages on their way where nothing limits them further.
 *
 * @since 0.2.0
 */
export const show = (
  relay: string,
  concurrency: number,
  gates: () => Pick<Gates, "circuit" | "inFlight" | "phase" | "window">
): Effect.Effect<void, never, Scope.Scope> =>
  SendMetrics.showWhileRecording((context) => {
    const gauge = (name: string, description: string, value: () => number) =>
      SendMetrics.observeUnsafe(
        Metric.gauge(`mailrace.flow.${name}`, { description, attributes: { relay } }),
        context,
        value
      )
    return [
      gauge("window", "The most messages that may be on their way at once", () =>
        Math.min(gates().window, concurrency)
      ),
      gauge("in_flight", "Messages that were let through and have not ended", () => gates().inFlight),
      gauge("circuit_open", "1 while the relay rests because it failed, else 0", () =>
        gates().circuit === "closed" ? 0 : 1
      ),
      gauge("slowed", "1 while the relay's complaints set the pace, else 0", () => (gates().phase === "open" ? 0 : 1))
    ]
  })
