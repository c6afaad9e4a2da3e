/**
 * The metrics of sending, as Effect's `Metric`, so that any exporter of an app's metrics has them.
 *
 * They are recorded while something exports them: `Telemetry.layer` with `metrics: true`, `Telemetry.layerMetrics` or
 * `Telemetry.layerPrometheus` of `@mailrace/telemetry`. With an exporter of your own, such as Effect's, provide `layer`.
 *
 * @example
 * ```ts
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Layer from "effect/Layer"
 * import * as OtlpMetrics from "effect/observability/OtlpMetrics"
 * import * as SendMetrics from "mailrace/SendMetrics"
 *
 * export const services = SmtpTransport.layerUrl("smtp://127.0.0.1:2525").pipe(
 *   Layer.merge(SendMetrics.layer),
 *   Layer.provideMerge(OtlpMetrics.layer({ url: "http://localhost:4318/v1/metrics" }))
 * )
 * ```
 *
 * | metric                            | kind      | attributes         | recorded by        | what it measures                                                   |
 * |-----------------------------------|-----------|--------------------|--------------------|--------------------------------------------------------------------|
 * | `mailrace.send.duration`          | histogram | `outcome`          | `Mailer`           | a message from its arrival to its outcome, with retries            |
 * | `mailrace.send.errors`            | counter   | `reason`           | `Mailer`           | messages that were not accepted, by `MailError`'s reason           |
 * | `mailrace.send.phase.duration`    | histogram | `relay`, `phase`   | `@mailrace/smtp`   | a phase of one attempt at a message                                |
 * | `mailrace.connect.duration`       | histogram | `relay`, `outcome` | `@mailrace/smtp`   | opening a session, from DNS to the login                           |
 * | `mailrace.connect.phase.duration` | histogram | `relay`, `phase`   | `@mailrace/smtp`   | each step of that: `dns`, `tcp`, `tls`, `greeting`, `ehlo`, `auth` |
 * | `mailrace.pool.sessions`          | gauge     | `relay`, `state`   | `@mailrace/smtp`   | open sessions, `busy` or `idle`                                    |
 * | `mailrace.pool.waiting`           | gauge     | `relay`            | `@mailrace/smtp`   | messages that wait for a session                                   |
 * | `mailrace.pool.stepped_down`      | gauge     | `relay`            | `@mailrace/smtp`   | 1 if pipelining went wrong at the relay, else 0                    |
 * | `mailrace.flow.window`            | gauge     | `relay`            | `@mailrace/flow`   | the most messages that may be on their way at once                 |
 * | `mailrace.flow.in_flight`         | gauge     | `relay`            | `@mailrace/flow`   | messages that were let through and have not ended                  |
 * | `mailrace.flow.circuit_open`      | gauge     | `relay`            | `@mailrace/flow`   | 1 while the relay rests because it failed, else 0                  |
 * | `mailrace.flow.slowed`            | gauge     | `relay`            | `@mailrace/flow`   | 1 while the relay's complaints set the pace, else 0                |
 * | `mailrace.outbox.messages`        | gauge     | `outbox`, `state`  | `@mailrace/outbox` | messages of an outbox in each state                                |
 * | `mailrace.outbox.pending_size`    | gauge     | `outbox`           | `@mailrace/outbox` | content that waits in it, in bytes                                 |
 * | `mailrace.outbox.overdue`         | gauge     | `outbox`           | `@mailrace/outbox` | for how long the longest due message has waited                    |
 * | `mailrace.outbox.paused_lanes`    | gauge     | `outbox`           | `@mailrace/outbox` | lanes that were paused                                             |
 * | `mailrace.outbox.dispatchers`     | gauge     | `outbox`           | `@mailrace/outbox` | processes that send from it                                        |
 * | `mailrace.outbox.unrecorded`      | gauge     | `outbox`           | `@mailrace/outbox` | accepted messages that the outbox could not record                 |
 *
 * Times are in seconds. The phases of an attempt are `wait` (for a session and for the turn on it), `envelope` (from MAIL to the
 * relay's go-ahead), `content`, and `reply` (the relay's time to answer the content). An attempt that fails counts for the phases that
 * it reached. Where the content goes together with the envelope, `content` is 0. The outbox's counts come with
 * `OutboxMetrics.layer`, because they cost its database a query. No attribute holds an address.
 *
 * @since 0.2.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Recorders from "./internal/sending/recorder.ts"

/**
 * Whether sending is recorded in metrics, at about a microsecond a message: true or false decides it, whatever exports them. A
 * transport reads it when it is made. Defaults to `undefined`: they are recorded while something exports them.
 *
 * @since 0.2.0
 */
export const Recording = Context.Reference<boolean | undefined>("mailrace/SendMetrics/Recording", {
  defaultValue: () => undefined
})

/**
 * Whether metrics are recorded now.
 *
 * @since 0.2.0
 */
export type Recorder = Recorders.Recorder

/**
 * Tells whether metrics are recorded, by the `Recording` and the registry of a context.
 *
 * @since 0.2.0
 */
export const recorderOf = (context: Context.Context<never>): Recorder => {
  const recording = Context.get(context, Recording)
  if (recording === undefined) return Recorders.ExportedRecorder.of(Context.get(context, Metric.MetricRegistry))
  return recording ? Recorders.always : Recorders.never
}

/**
 * Has metrics recorded until the scope closes, for an exporter that begins with it.
 *
 * @since 0.2.0
 */
export const record: Effect.Effect<void, never, Scope.Scope> = Effect.contextWith((context: Context.Context<never>) => {
  const recorder = Recorders.ExportedRecorder.of(Context.get(context, Metric.MetricRegistry))
  return Effect.acquireRelease(
    Effect.sync(() => recorder.open()),
    () => Effect.sync(() => recorder.close())
  )
})

/**
 * Has metrics recorded while the layer is open, for an exporter other than `@mailrace/telemetry`'s. It may stand beside the transport,
 * above it or beneath it.
 *
 * @since 0.2.0
 */
export const layer: Layer.Layer<never> = Layer.effectDiscard(record)

/**
 * The bounds of the histograms' buckets, in seconds: from a millisecond on a local network to the ten minutes that RFC 5321 §4.5.3.2.6
 * gives a relay for its final reply.
 *
 * @since 0.2.0
 */
export const boundaries: ReadonlyArray<number> = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600
]

/**
 * Shows a gauge whose value is read whenever the metrics are, until the registration is removed.
 *
 * @since 0.2.0
 */
export const observeUnsafe = (
  gauge: Metric.Gauge<number>,
  context: Context.Context<never>,
  value: () => number
): Metric.Registration =>
  Metric.registerUnsafe(gauge, context, { get: () => ({ value: value() }), update: () => {}, modify: () => {} })

/**
 * Shows gauges while metrics are recorded, until the scope closes. `show` registers them.
 *
 * @since 0.2.0
 */
export const showWhileRecording = (
  show: (context: Context.Context<never>) => ReadonlyArray<Metric.Registration>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() =>
          recorderOf(context).whileRecording(() => {
            const shown = show(context)
            return () => shown.forEach((one) => one.remove())
          })
        ),
        (end) => Effect.sync(end)
      )
    )
  )
