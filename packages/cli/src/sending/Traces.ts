/**
 * Traces of a run, for a collector.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CommandError } from "../CommandError.ts"

/** The destination of traces. */
export interface Options {
  /** The collector's URL. */
  readonly otlp?: string | undefined
  /** The share of messages that is traced, from 0 to 1. */
  readonly traceSample?: number | undefined
  /** Recipient domains that traces name. */
  readonly traceDomains?: ReadonlyArray<string> | undefined
}

/** Loads the collector's client, which is large, only if there is a collector. */
export const layer = Effect.fnUntraced(function* ({ otlp, traceDomains, traceSample }: Options) {
  if (otlp === undefined) {
    return traceSample === undefined
      ? Layer.empty
      : yield* new CommandError({
          problem: "--trace-sample needs a collector to send traces to",
          remedy: "name the collector with --otlp, such as http://localhost:4318, or leave out --trace-sample"
        })
  }
  const Telemetry = yield* Effect.promise(() => import("@mailrace/telemetry/Telemetry"))
  return Layer.catch(
    Telemetry.layer({ url: otlp, sampleRatio: traceSample, recipientDomains: traceDomains }),
    (error) => Layer.effectDiscard(Effect.fail(new CommandError({ problem: `--otlp: ${error.problem}` })))
  )
})
