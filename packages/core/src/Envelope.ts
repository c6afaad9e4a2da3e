/**
 * Who a message goes to and who hears about it when it cannot: the envelope of RFC 5321 §2.3.1, apart from the
 * header fields that a reader sees.
 */
import type * as Address from "./Address.ts"

/** When the sender wants a delivery status notification about a recipient (RFC 3461 §4.1). */
export type Notify = "never" | ReadonlyArray<"success" | "failure" | "delay">

/** What is asked of relays that offer DSN (RFC 3461). Without it nothing is asked, and relays report failures. */
export interface Dsn {
  /** Whether a notification returns the whole message or its headers (RFC 3461 §4.3). */
  readonly return?: "full" | "headers" | undefined
  /** The sender's identifier for the envelope, at most 100 characters (RFC 3461 §4.4). */
  readonly envelopeId?: string | undefined
  /** When to notify (RFC 3461 §4.1). */
  readonly notify?: Notify | undefined
}

/** Who a message comes from and where it goes. */
export interface Envelope {
  /** The reverse path; `undefined` is the null sender `<>` of notifications (RFC 5321 §4.5.5). */
  readonly from: Address.Address | undefined
  /** The recipients, at least one. */
  readonly to: ReadonlyArray<Address.Address>
  /** What is asked of relays that offer delivery status notifications (RFC 3461). Defaults to nothing. */
  readonly dsn?: Dsn | undefined
  /** Refuse to hand the message on without verified TLS (REQUIRETLS, RFC 8689). Defaults to false. */
  readonly requireTls?: boolean | undefined
}
