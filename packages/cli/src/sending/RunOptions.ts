/**
 * The options that a run has wherever its messages come from: an input, or an outbox.
 */
import type * as Conclusion from "../output/Conclusion.ts"
import type * as Configuration from "./Configuration.ts"
import type * as FlowFlags from "./FlowFlags.ts"
import type * as Relays from "./Relays.ts"
import type * as RunMetrics from "./RunMetrics.ts"
import type * as Signing from "./Signing.ts"
import type * as Traces from "./Traces.ts"

/** How messages are sent, and how the run is shown. */
export interface RunOptions
  extends
    Relays.Options,
    Configuration.Options,
    FlowFlags.Options,
    Signing.Options,
    Traces.Options,
    RunMetrics.Options,
    Conclusion.Options {
  readonly concurrency?: number | undefined
  /** The number of retries for a message that failed for now; with an outbox, those within one claim. */
  readonly retries: number
  /** A suppression list that takes the addresses which were refused for good. */
  readonly suppressAdd?: string | undefined
}
