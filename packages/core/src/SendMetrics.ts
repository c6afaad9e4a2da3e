/**
 * The metrics of sending, as Effect's `Metric`, so that any exporter of an app's metrics has them: `Telemetry.layer` and
 * `Telemetry.layerPrometheus` of `@mailrace/telemetry`, or one of your own.
 *
 * | metric                            | kind      | attributes         | recorded by        | what it measures                                                   |
 * |-----------------------------------|-----------|--------------------|--------------------|--------------------------------------------------------------------|
 * | `mailrace.send.duration`          | histogram | `outcome`          | `Mailer`           | a mail from its arrival to its outcome, with retries               |
 * | `mailrace.send.errors`            | counter   | `reason`           | `Mailer`           | mails that were not accepted, by `MailError`'s reason              |
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
import * as Metric from "effect/Metric"

/**
 * Whether what is sent is recorded in metrics, at about a microsecond a message. A transport reads it when it is made.
 * Defaults to true.
 *
 * @since 0.2.0
 */
export const Recording = Context.Reference<boolean>("mailrace/SendMetrics/Recording", { defaultValue: () => true })

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
