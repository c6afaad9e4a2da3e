/**
 * The options of a router: its relays, and the routes that lead to them.
 *
 * @since 0.1.0
 */

import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import type * as Composed from "mailrace/Composed"
import type { MailTransport } from "mailrace/MailTransport"

/**
 * One value or several, of which one must match.
 *
 * @since 0.1.0
 */
export type OneOf = string | ReadonlyArray<string>

/**
 * The extensions of a relay, where they are known. An absent one is assumed to be offered.
 *
 * @since 0.1.0
 */
export interface Capabilities {
  /** The largest message in bytes (SIZE, RFC 1870). */
  readonly size?: number | undefined
  /** Addresses and headers in UTF-8 (SMTPUTF8, RFC 6531). */
  readonly smtpUtf8?: boolean | undefined
  /** Passing messages on with verified TLS only (REQUIRETLS, RFC 8689). */
  readonly requireTls?: boolean | undefined
  /** Delivery status notifications on request (DSN, RFC 3461). */
  readonly dsn?: boolean | undefined
}

/**
 * One of the relays.
 *
 * @since 0.1.0
 */
export interface Relay<E = never, R = never> {
  /** The name by which routes, logs and errors call the relay; any text. */
  readonly name: string
  /** The way to the relay: a transport, or a layer of one, which lives as long as the router. */
  readonly transport: MailTransport["Service"] | Layer.Layer<MailTransport, E, R>
  /** The share of the messages beside the relays of the same class, from 0 (gets none). Defaults to 1. */
  readonly weight?: number | undefined
  /** `backup` relays get messages only while no primary one is usable. Defaults to `primary`. */
  readonly class?: "primary" | "backup" | undefined
  /** What the relay offers. Defaults to everything; what it lacks is then found out by trying. */
  readonly capabilities?: Capabilities | undefined
  /** The most messages on their way by the relay at once, from 1. Defaults to its transport's `concurrency`, or to 10. */
  readonly concurrency?: number | undefined
}

/**
 * Sends the messages that it matches by some of the relays. All conditions that are given must hold; of several values one.
 *
 * @since 0.1.0
 */
export interface Route {
  /** The message's tenant. */
  readonly tenant?: OneOf | undefined
  /** The domain of the envelope's sender; `*.example.org` stands for all domains below. */
  readonly senderDomain?: OneOf | undefined
  /** The domain of the recipients, of all if there are several; `*.example.org` stands for all domains below. */
  readonly recipientDomain?: OneOf | undefined
  /** Any other condition. */
  readonly when?: ((message: Composed.Composed) => boolean) | undefined
  /** The names of the relays, at least one. */
  readonly relays: ReadonlyArray<string>
}

/**
 * The options of a router.
 *
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** The relays, at least one. */
  readonly relays: ReadonlyArray<Relay<E, R>>
  /** The rules, of which the first that matches counts. Defaults to none: each message may go by every relay. */
  readonly routes?: ReadonlyArray<Route> | undefined
  /**
   * True if the messages to one recipient domain go by one relay for as long as that is usable. Shares then follow the
   * weights only roughly (±30 % over many domains). Defaults to false.
   */
  readonly stickyLanes?: boolean | undefined
  /** How long messages wait while no relay is usable. Defaults to 10 seconds. */
  readonly waitLimit?: Duration.Input | undefined
}
