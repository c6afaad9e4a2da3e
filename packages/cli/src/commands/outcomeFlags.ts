/**
 * Flags for the output of a run: progress, the report, the delivery log, traces and metrics.
 */
import * as Flag from "effect/cli/Flag"
import { optional, path } from "./flags.ts"

/** The output of a run. */
export const outcomeFlags = {
  report: optional(
    path("report").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write this run's figures to a file as JSON when it ends")
    )
  ),
  reportHtml: optional(
    path("report-html").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Write this run as a page to a file when it ends: rates and latencies over time, errors with what to do, resources. The page loads nothing from the network"
      )
    )
  ),
  deliveries: optional(
    path("deliveries").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Write the outcome of each message and the recipients that were dropped, one JSON line a message. A run with an outbox adds to the lines of its earlier runs; other runs replace the file"
      )
    )
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the report as JSON on standard output instead of the summary"),
    Flag.withDefault(false)
  ),
  progress: Flag.Literals("progress", ["auto", "plain", "none"]).pipe(
    Flag.withDescription(
      "The progress display on standard error. Default: auto, which draws on a terminal and is plain elsewhere"
    ),
    Flag.withDefault("auto" as const)
  ),
  otlp: optional(
    Flag.String("otlp").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription("Send traces to this OpenTelemetry collector, such as http://localhost:4318")
    )
  ),
  traceSample: optional(
    Flag.Finite("trace-sample").pipe(
      Flag.withMetavar("SHARE"),
      Flag.filter(
        (share) => share >= 0 && share <= 1,
        () => "a share from 0 to 1"
      ),
      Flag.withDescription("The share of messages to trace, from 0 to 1. Default: 1")
    )
  ),
  otlpMetrics: optional(
    Flag.String("otlp-metrics").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "Send metrics to this OpenTelemetry collector every minute and at the end, such as http://localhost:4318"
      )
    )
  ),
  metrics: optional(
    Flag.String("metrics").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "Serve metrics for Prometheus at http://ADDRESS/metrics while the run lasts, with /health and /ready, such as 127.0.0.1:9464"
      )
    )
  ),
  metricsPublic: Flag.Boolean("metrics-public").pipe(
    Flag.withDescription("Let --metrics listen on an address that other machines reach; nobody has to log in there"),
    Flag.withDefault(false)
  )
}
