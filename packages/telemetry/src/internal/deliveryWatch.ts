/**
 * Counts spans in and out, and tells once when some are lost.
 *
 * The SDK keeps such failures to itself, or throws them at the end of the program. A sender of mail wants neither: it
 * wants to know that there are no traces, and to go on.
 */
import type { SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Watches one way out. */
export interface DeliveryWatch {
  /** Counts what should be exported. */
  readonly processor: SpanProcessor
  /** Counts what was exported, and reports a failure as done, after telling of it. */
  readonly exporter: (exporter: SpanExporter) => SpanExporter
}

/** Opens before the tracer provider and so closes after it: then every span has been delivered or lost. */
export const makeDeliveryWatch = (url: URL): Effect.Effect<DeliveryWatch, never, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context()
    let ended = 0
    let delivered = 0
    let told = false
    const tell = (why: string) => {
      told = true
      return Effect.logWarning(`traces do not reach the collector at ${url.protocol}//${url.host}: ${why}`)
    }
    yield* Effect.addFinalizer(() =>
      told || ended === delivered ? Effect.void : tell(`${ended - delivered} of ${ended} spans were not taken in time`)
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
            if (result.code === success) delivered += spans.length
            else if (!told) Effect.runForkWith(context)(tell(describe(result.error)))
            done({ code: success })
          }),
        forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
        shutdown: () => exporter.shutdown()
      })
    }
  })

/** `ExportResultCode.SUCCESS`, of a package that is not ours to import. */
const success = 0

/** The code alone: a collector's answer may repeat what it was sent. */
const describe = (error: (Error & { readonly code?: string | number }) | undefined): string =>
  typeof error?.code === "number" ? `it answers ${error.code}` : (error?.code ?? error?.message ?? "it failed")
