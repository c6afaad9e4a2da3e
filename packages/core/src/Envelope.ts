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

/** What is wrong with a field of something that no compiler has looked at. */
export interface Fault {
  /** The field within it, as in `notify`; empty for the whole. */
  readonly field: string
  readonly problem: string
}

/**
 * What is wrong with a request for notifications that no compiler has looked at; `undefined` when it can be written down.
 * A keyword that is none must never be left out: without its keywords NOTIFY means `never`, which turns bounces off.
 */
export const dsnFault = (dsn: unknown): Fault | undefined => {
  if (typeof dsn !== "object" || dsn === null || Array.isArray(dsn))
    return { field: "", problem: "it must be an object" }
  const { envelopeId, notify, return: back, ...others } = dsn as { readonly [name: string]: unknown }
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    return { field: unknown, problem: "it is not known; known are return, envelopeId and notify" }
  if (back !== undefined && back !== "full" && back !== "headers")
    return { field: "return", problem: 'it must be "full" or "headers"' }
  if (envelopeId !== undefined && typeof envelopeId !== "string")
    return { field: "envelopeId", problem: "it must be a string" }
  const isList = Array.isArray(notify) && notify.length > 0 && notify.every((one) => notifyKeywords.includes(one))
  return notify === undefined || notify === "never" || isList
    ? undefined
    : { field: "notify", problem: 'it must be "never", or a list of one or more of "success", "failure" and "delay"' }
}

const notifyKeywords: ReadonlyArray<unknown> = ["success", "failure", "delay"]

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
