/**
 * Noteworthy events in the log: one line each, with a name that programs can look for, and facts as annotations.
 *
 * A line is logged when something changes for all messages (a relay is down, an outbox cannot be written), never for each
 * message. Loggers that write JSON (`Logger.consoleJson`, the command's `--log-format json`) have the name in `event` and the facts
 * beside it.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as LogEvent from "mailrace/LogEvent"
 *
 * // {"level":"WARN","message":"mail.example.org:25 is down: …","annotations":{"event":"relay.down","relay":"mail.example.org:25"}}
 * export const log = LogEvent.warning("relay.down", "mail.example.org:25 is down: …", { relay: "mail.example.org:25" })
 * ```
 *
 * @since 0.2.0
 */

import * as Effect from "effect/Effect"

/**
 * The events.
 *
 * - `relay.down`, `relay.back`: no session with the relay can be opened, after some could; and again one can
 * - `relay.resting`: a router leaves the relay alone for a while
 * - `relay.circuit_open`, `relay.circuit_closed`: flow control leaves a relay alone that failed too often; and goes on
 * - `flow.slowed_down`, `flow.rate_found`, `flow.stopped`: a relay or lane asks to slow down; the rate that it takes is found;
 *   it takes nothing
 * - `flow.held_back`, `flow.let_go`: a limit is used up for more than a minute, and messages wait; and one goes again
 * - `flow.left_alone`, `flow.takes_again`: an outbox leaves a lane or the relay alone because of a reply; and it takes messages again
 * - `flow.limits_asked`: a rule for a reply of the relay limits what the relay or a lane gets
 * - `relay.connections_held`: a limit on new connections to the relay is used up, and messages wait for it
 * - `relay.throttled`: the relay allows no more connections, or no more messages on one
 * - `relay.stepped_down`: pipelining fell back to `envelope`
 * - `relay.in_clear`: mail goes in clear because TLS failed
 * - `transcript.ended`: the sink of a transcript failed
 * - `outbox.unavailable`, `outbox.back`: the outbox cannot be written or claimed from; and again it can
 * - `outbox.unrecorded`: messages were accepted, and that is not recorded
 * - `outbox.abandoned`: the outbox closed while its store was silent, and it is not known which messages are stored
 * - `lane.paused`, `lane.resumed`: a dispatcher sends nothing more from a lane of its outbox; and again does
 * - `outbox.reclaimed`: messages of a claim that was lost were put back
 * - `outbox.migrating`: a large file is brought to a newer schema
 * - `ownership.lost`: another dispatcher has, or may have, this one's share
 * - `traces.undelivered`: the collector does not take the spans
 * - `metrics.undelivered`: the collector does not take the metrics
 *
 * @since 0.2.0
 */
export type Name =
  | "relay.down"
  | "relay.back"
  | "relay.resting"
  | "relay.circuit_open"
  | "relay.circuit_closed"
  | "flow.slowed_down"
  | "flow.rate_found"
  | "flow.stopped"
  | "flow.held_back"
  | "flow.let_go"
  | "flow.left_alone"
  | "flow.takes_again"
  | "flow.limits_asked"
  | "relay.connections_held"
  | "relay.throttled"
  | "relay.stepped_down"
  | "relay.in_clear"
  | "transcript.ended"
  | "outbox.unavailable"
  | "outbox.back"
  | "outbox.unrecorded"
  | "outbox.abandoned"
  | "lane.paused"
  | "lane.resumed"
  | "outbox.reclaimed"
  | "outbox.migrating"
  | "ownership.lost"
  | "traces.undelivered"
  | "metrics.undelivered"

/**
 * The facts of an event. They hold no address, no password and no part of a message but what a relay's reply holds.
 *
 * @since 0.2.0
 */
export type Facts = Readonly<Record<string, string | number>>

/**
 * Logs a warning: something is not as it should be.
 *
 * @since 0.2.0
 */
export const warning = (name: Name, message: string, facts: Facts = {}): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWarning(message), { event: name, ...facts })

/**
 * Logs that something is in order again, or what is done about it.
 *
 * @since 0.2.0
 */
export const info = (name: Name, message: string, facts: Facts = {}): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logInfo(message), { event: name, ...facts })
