/**
 * Sends Effect's metrics to a collector at intervals, and once more at the end.
 *
 * A collector that does not take them costs one warning, and sending goes on.
 */
import * as OtelMetrics from "@effect/opentelemetry/OtelMetrics"
import * as Resource from "@effect/opentelemetry/Resource"
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http"
import { PeriodicExportingMetricReader, type PushMetricExporter } from "@opentelemetry/sdk-metrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as LogEvent from "mailrace/LogEvent"
import * as SendMetrics from "mailrace/SendMetrics"
import { describeFailure, isDelivered } from "./deliveryWatch.ts"
import { showProcessMetrics } from "./processMetrics.ts"

/** Where metrics go, and when. */
export interface Settings {
  readonly url: URL
  /** Gives the header fields of each export. */
  readonly headers: () => Promise<Record<string, string>>
  readonly attributes: { readonly [name: string]: string | number | boolean }
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** Exports until the layer's scope closes. */
export const layer = (settings: Settings): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.gen(function* () {
      // Before the reader, so that its last export has them.
      yield* SendMetrics.record
      yield* showProcessMetrics
      const { attributes, headers, intervalMs, timeoutMs, url } = settings
      const exporter = yield* watched(url, new OTLPMetricExporter({ url: url.href, headers, timeoutMillis: timeoutMs }))
      const reader = () =>
        new PeriodicExportingMetricReader({
          exporter,
          exportIntervalMillis: intervalMs,
          // The exporter keeps its own time limit; this one only guards against a bug in it, and may not exceed the interval.
          exportTimeoutMillis: Math.min(intervalMs, timeoutMs * 2)
        })
      return OtelMetrics.layer(reader, { shutdownTimeout: timeoutMs }).pipe(
        Layer.provide(Resource.layerFromEnv(attributes))
      )
    })
  )

/**
 * Warns of the first export that fails, and reports each as done, because the SDK would throw at the program's end. It is made
 * before the reader and so closes after it, when the last export is delivered or lost.
 */
const watched = (url: URL, exporter: PushMetricExporter): Effect.Effect<PushMetricExporter, never, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context()
    const collector = `${url.protocol}//${url.host}`
    let begun = 0
    let ended = 0
    let reported = false
    const report = (why: string) => {
      reported = true
      const problem = `metrics do not reach the collector at ${collector}: ${why}`
      return LogEvent.warning("metrics.undelivered", problem, { collector })
    }
    yield* Effect.addFinalizer(() =>
      reported || begun === ended ? Effect.void : report("the last ones were not taken in time")
    )
    return {
      export: (metrics, done) => {
        begun++
        exporter.export(metrics, (result) => {
          ended++
          if (!isDelivered(result) && !reported) {
            Effect.runForkWith(context)(report(describeFailure(result.error)))
          }
          done({ code: 0 })
        })
      },
      forceFlush: () => exporter.forceFlush(),
      shutdown: () => exporter.shutdown(),
      selectAggregationTemporality: (instrument) => exporter.selectAggregationTemporality!(instrument)
    }
  })
