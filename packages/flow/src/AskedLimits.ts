/**
 * The limits that a relay's reply asks for, as the rule that knows the reply says (`ProviderRules`).
 *
 * The rule is found where the reply arrives, and the limits hold where messages are let through: in `FlowControl`, which may
 * stand in front of several relays. The error of the attempt takes them from there to here.
 *
 * @since 0.2.0
 */

import type * as MailError from "mailrace/MailError"
import type * as Limit from "./Limit.ts"

/**
 * Limits that hold for a time from a reply on.
 *
 * @since 0.2.0
 */
export interface AskedLimits {
  /** What is limited: the relay that replied, or the messages to the recipient's domain. */
  readonly about: "relay" | "lane"
  /** True if they hold at the relay that replied alone, as all about a relay do. */
  readonly isOfRelay: boolean
  /** The rate. Defaults to none. */
  readonly slowTo?: Limit.Limit | undefined
  /** The most connections to a relay, or messages to a domain at once, from 1. Defaults to no limit. */
  readonly connections?: number | undefined
  /** The most messages on a connection to the relay, from 1. Defaults to no limit. */
  readonly messagesPerConnection?: number | undefined
  /** How long they hold, in milliseconds. */
  readonly forMs: number
}

const limitsOfErrors = new WeakMap<MailError.MailError, AskedLimits>()

/**
 * The limits that the reply of an error asks for; `undefined` if it asks for none.
 *
 * @since 0.2.0
 */
export const of = (error: MailError.MailError): AskedLimits | undefined => limitsOfErrors.get(error)

/**
 * Says that the reply of an error asks for limits. Returns the error.
 *
 * @since 0.2.0
 */
export const ask = (error: MailError.MailError, limits: AskedLimits): MailError.MailError => {
  limitsOfErrors.set(error, limits)
  return error
}
