/**
 * Flags that say how a run is told: meanwhile, at its end, message by message, and to a collector of traces.
 */
import * as Flag from "effect/cli/Flag"
import { optional, path } from "./flags.ts"

/** How a run is told. */
export const outcomeFlags = {
  report: optional(
    path("report").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write this run's figures as JSON, when it ends")
    )
  ),
  deliveries: optional(
    path("deliveries").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Write how each message ended, and who was left out, one JSON line a message. An outbox that goes on adds to what its earlier runs have written; else the file begins anew"
      )
    )
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the report as JSON on standard output in place of the summary"),
    Flag.withDefault(false)
  ),
  progress: Flag.Literals("progress", ["auto", "plain", "none"]).pipe(
    Flag.withDescription("What is shown on standard error meanwhile. Default: auto, drawn on a terminal, else plain"),
    Flag.withDefault("auto" as const)
  ),
  otlp: optional(
    Flag.String("otlp").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription("Send traces to this OpenTelemetry collector, as http://localhost:4318")
    )
  ),
  traceSample: optional(
    Flag.Finite("trace-sample").pipe(
      Flag.withMetavar("SHARE"),
      Flag.filter(
        (share) => share >= 0 && share <= 1,
        () => "a share from 0 to 1"
      ),
      Flag.withDescription("The share of messages that is traced, from 0 to 1. Default: 1")
    )
  )
}
