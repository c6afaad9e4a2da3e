/**
 * A step of opening a session: a span, and its time in the metrics of the relay.
 */
import * as SendMetrics from "mailrace/SendMetrics"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** The steps, as spans and metrics name them. */
export type Step = "dns" | "tcp" | "tls" | "greeting" | "ehlo" | "auth"

/** Runs a step. One that fails counts with its time too, one that is interrupted does not. */
export const step =
  (relay: string, name: Step, attributes?: Record<string, unknown>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.contextWith((context: Context.Context<never>) => {
      const spanned = Effect.withSpan(effect, name, { attributes })
      if (!SendMetrics.recorderOf(context).isRecording) return spanned
      const begunAt = performance.now()
      return Effect.onExit(spanned, (exit) =>
        Effect.sync(() => {
          if (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) return
          duration(relay, name).updateUnsafe((performance.now() - begunAt) / 1000, context)
        })
      )
    })

const duration = (relay: string, phase: Step) =>
  Metric.histogram("mailrace.connect.phase.duration", {
    description: "Time of each step of opening a session, in seconds",
    boundaries: SendMetrics.boundaries,
    attributes: { relay, phase, unit: "s" }
  })
