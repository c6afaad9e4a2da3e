/**
 * Counts spans in and out, and warns once if some are lost.
 *
 * The SDK hides such failures or throws them at the end of the program. A program that sends mail needs neither: it should
 * learn that traces are missing, and go on.
 */
import * as LogEvent from "mailrace/LogEvent"
import type { SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Watches one exporter. */
export interface DeliveryWatch {
  /** Counts the spans to export. */
  readonly processor: SpanProcessor
  /** Counts the exported spans. It logs a failure and then reports it as done. */
  readonly exporter: (exporter: SpanExporter) => SpanExporter
}

/** Opens before the tracer provider and so closes after it, when every span is delivered or lost. */
export const makeDeliveryWatch = (url: URL): Effect.Effect<DeliveryWatch, never, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context()
    let ended = 0
    let delivered = 0
    let reported = false
    const report = (why: string) => {
      reported = true
      return LogEvent.warning(
        "traces.undelivered",
        `traces do not reach the collector at ${url.protocol}//${url.host}: ${why}`,
        { collector: `${url.protocol}//${url.host}` }
      )
    }
    yield* Effect.addFinalizer(() =>
      reported || ended === delivered
        ? Effect.void
        : report(`${ended - delivered} of ${ended} spans were not taken in time`)
    )
    return {
      processor: {
        onStart() {},
        onEnd() {
          ended++
        },
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve()
      },
      exporter: (exporter) => ({
        export: (spans, done) =>
          exporter.export(spans, (result) => {
            if (isDelivered(result)) delivered += spans.length
            else if (!reported) Effect.runForkWith(context)(report(describeFailure(result.error)))
            done({ code: success })
          }),
        forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
        shutdown: () => exporter.shutdown()
      })
    }
  })

/** `ExportResultCode.SUCCESS`, from a package that is not a dependency. */
const success = 0

/** True if the collector took an export. */
export const isDelivered = ({ code }: { readonly code: number }): boolean => code === success

/** The code alone, because a collector's answer may repeat the request. */
export const describeFailure = (error: (Error & { readonly code?: string | number }) | undefined): string =>
  typeof error?.code === "number" ? `it answers ${error.code}` : (error?.code ?? error?.message ?? "it failed")
