/**
 * The envelope of a message (RFC 5321 §2.3.1): its sender, its recipients, and the requested notifications. It is separate
 * from the header fields that a reader sees.
 *
 * @since 0.1.0
 */

import type * as Address from "./Address.ts"

/**
 * The events of which the sender wants a delivery status notification (RFC 3461 §4.1).
 *
 * @since 0.1.0
 */
export type Notify = "never" | ReadonlyArray<"success" | "failure" | "delay">

/**
 * A request to relays that offer DSN (RFC 3461). Without one, relays report failures.
 *
 * @since 0.1.0
 */
export interface Dsn {
  /** The part of the message that a notification returns: all of it or its headers (RFC 3461 §4.3). */
  readonly return?: "full" | "headers" | undefined
  /** The sender's identifier for the envelope, at most 100 characters (RFC 3461 §4.4). */
  readonly envelopeId?: string | undefined
  /** The events to notify of (RFC 3461 §4.1). */
  readonly notify?: Notify | undefined
  /**
   * The address that the message was first sent to, which notifications about each recipient of the envelope then name
   * (ORCPT, RFC 3461 §4.2): an e-mail address, or an address of another type as in `x400;…`. At most 500 characters.
   */
  readonly originalRecipient?: string | undefined
}

/**
 * The fault of a field in a value from untyped code.
 *
 * @since 0.1.0
 */
export interface Fault {
  /** The field within it, as in `notify`; empty for the whole. */
  readonly field: string
  readonly problem: string
}

/**
 * Finds the fault of a request for notifications from untyped code; `undefined` if the request is valid. An unknown keyword
 * must never be dropped: NOTIFY without keywords means `never`, which turns bounces off.
 *
 * @since 0.1.0
 */
export const dsnFault = (dsn: unknown): Fault | undefined => {
  if (typeof dsn !== "object" || dsn === null || Array.isArray(dsn))
    return { field: "", problem: "it must be an object" }
  const { envelopeId, notify, originalRecipient, return: back, ...others } = dsn as { readonly [name: string]: unknown }
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    return { field: unknown, problem: "it is not known; known are return, envelopeId, notify and originalRecipient" }
  if (back !== undefined && back !== "full" && back !== "headers")
    return { field: "return", problem: 'it must be "full" or "headers"' }
  if (envelopeId !== undefined && typeof envelopeId !== "string")
    return { field: "envelopeId", problem: "it must be a string" }
  if (originalRecipient !== undefined && !isOriginalRecipient(originalRecipient))
    return { field: "originalRecipient", problem: "it must be an address of 1 to 500 characters" }
  const isList = Array.isArray(notify) && notify.length > 0 && notify.every((one) => notifyKeywords.includes(one))
  return notify === undefined || notify === "never" || isList
    ? undefined
    : { field: "notify", problem: 'it must be "never", or a list of one or more of "success", "failure" and "delay"' }
}

const isOriginalRecipient = (value: unknown): boolean =>
  typeof value === "string" && value.length <= 500 && /^(?:[A-Za-z0-9-]+;.+|[^;]+)$/s.test(value)

const notifyKeywords: ReadonlyArray<unknown> = ["success", "failure", "delay"]

/**
 * The sender and the recipients of a message.
 *
 * @since 0.1.0
 */
export interface Envelope {
  /** The reverse path; `undefined` is the null sender `<>` of notifications (RFC 5321 §4.5.5). */
  readonly from: Address.Address | undefined
  /** The recipients, at least one. */
  readonly to: ReadonlyArray<Address.Address>
  /** The request to relays that offer delivery status notifications (RFC 3461). Defaults to none. */
  readonly dsn?: Dsn | undefined
  /** True if no relay may pass the message on without verified TLS (REQUIRETLS, RFC 8689). Defaults to false. */
  readonly requireTls?: boolean | undefined
}
