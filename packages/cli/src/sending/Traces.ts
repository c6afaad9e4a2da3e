/**
 * Traces of a run, for a collector.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CommandError } from "../CommandError.ts"

/** Where traces go. */
export interface Options {
  /** The collector's URL. */
  readonly otlp?: string | undefined
  /** The share of messages that is traced, from 0 to 1. */
  readonly traceSample?: number | undefined
}

/** The collector's client is large, so it is only loaded when traces are wanted. */
export const layer = Effect.fnUntraced(function* ({ otlp, traceSample }: Options) {
  if (otlp === undefined) {
    return traceSample === undefined
      ? Layer.empty
      : yield* new CommandError({
          problem: "--trace-sample says how many traces are sent, and nothing says where to",
          remedy: "name the collector with --otlp, as http://localhost:4318, or leave it out"
        })
  }
  const Telemetry = yield* Effect.promise(() => import("@mailrace/telemetry/Telemetry"))
  return Layer.catch(Telemetry.layer({ url: otlp, sampleRatio: traceSample }), (error) =>
    Layer.effectDiscard(Effect.fail(new CommandError({ problem: `--otlp: ${error.problem}` })))
  )
})
