/**
 * The limits that a relay's replies ask for, as the rules that know the replies say (`ProviderRules`).
 *
 * The rule is found where the reply arrives, and the limits hold where messages are let through: in `FlowControl`, which may
 * stand in front of several relays. The error of the attempt takes them from there to here, or the outcome of a recipient,
 * where the relay took the message for others.
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
  /** The object of the limit: the relay that replied, or the messages to the recipient's domain. */
  readonly about: "relay" | "lane"
  /** True if they hold at the relay that replied alone, as all about a relay do. */
  readonly isOfRelay: boolean
  /** The domain, where it is another one than that of the message's first recipient. */
  readonly lane?: string | undefined
  /** The rate. Defaults to none. */
  readonly slowTo?: Limit.Limit | undefined
  /** The most connections to a relay, or messages to a domain at once, from 1. Defaults to no limit. */
  readonly connections?: number | undefined
  /** The most messages on a connection to the relay, from 1. Defaults to no limit. */
  readonly messagesPerConnection?: number | undefined
  /** How long they hold, in milliseconds. */
  readonly forMs: number
}

/**
 * The source of a reply: the error of a message, or the outcome of one recipient.
 *
 * @since 0.2.0
 */
export type Replied = MailError.MailError | MailError.RecipientOutcome

const asked = new WeakMap<Replied, ReadonlyArray<AskedLimits>>()

const nothing: ReadonlyArray<AskedLimits> = []

/**
 * The limits that a reply asks for, or those to the recipients of an error; empty if they ask for none.
 *
 * @since 0.2.0
 */
export const of = (replied: Replied): ReadonlyArray<AskedLimits> => asked.get(replied) ?? nothing

/**
 * Marks a reply as asking for limits. Returns the source of the reply.
 *
 * @since 0.2.0
 */
export const ask = <A extends Replied>(replied: A, limits: ReadonlyArray<AskedLimits>): A => {
  if (limits.length > 0) asked.set(replied, limits)
  return replied
}
