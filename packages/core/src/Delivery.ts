/**
 * How a mail ended. Each mail that enters `Mailer.sendAll` leaves it as exactly one `Delivery`.
 */

import type * as MailError from "./MailError.ts"
import type * as Reply from "./Reply.ts"

/** What every end tells. */
export interface Info {
  /** The mail's own `id`, or its index as a string. */
  readonly id: string
  /** The mail's place in the source stream, from 0. */
  readonly index: number
  /** The Message-ID with angle brackets; absent when composing failed. */
  readonly messageId: string | undefined
  /** What the relay said about each recipient; empty when it refused the mail as a whole, or was never asked. */
  readonly recipients: ReadonlyArray<MailError.RecipientOutcome>
  /** The relay that took it, as `host:port`; absent when none did. */
  readonly relay: string | undefined
  /** How often the relay was asked; 0 when composing failed. */
  readonly attempts: number
  /** Bytes of the content; 0 when composing failed. */
  readonly size: number
  /** From the mail's arrival to its end, in milliseconds, with waits and retries. */
  readonly durationMs: number
}

/** The relay took responsibility for at least one recipient (2yz to the content). */
export interface Accepted extends Info {
  readonly _tag: "Accepted"
  /** The Message-ID with angle brackets, to find the mail by in the relay's log. */
  readonly messageId: string
  /** The relay that took it, as `host:port`. */
  readonly relay: string
  /** The relay's reply to the content, a 2yz; of several attempts that of the first that was taken. */
  readonly reply: Reply.Reply
}

/** Refused for good; sending it again as it is is useless. */
export interface Rejected extends Info {
  readonly _tag: "Rejected"
  /** Why; its `isRetryable` is false. */
  readonly error: MailError.MailError
}

/** Failed for now, and the retries are used up; sending it again later may succeed. */
export interface Deferred extends Info {
  readonly _tag: "Deferred"
  /** The last attempt's reason; its `isRetryable` is true. */
  readonly error: MailError.MailError
}

/** The connection was lost between the content and the final reply: the relay may have it or not. */
export interface Unknown extends Info {
  readonly _tag: "Unknown"
  /** `OutcomeUnknown`, of the first attempt that ended so. */
  readonly error: MailError.MailError
}

/** How a mail ended. */
export type Delivery = Accepted | Rejected | Deferred | Unknown

/** Whether the relay took it. */
export const isAccepted = (delivery: Delivery): delivery is Accepted => delivery._tag === "Accepted"

/** The end that an error amounts to: `Unknown` for a lost final reply, `Deferred` if retryable, else `Rejected`. */
export const fromError = (error: MailError.MailError, info: Info): Rejected | Deferred | Unknown => {
  if (error.reason._tag === "OutcomeUnknown") return { ...info, _tag: "Unknown", error }
  return error.isRetryable ? { ...info, _tag: "Deferred", error } : { ...info, _tag: "Rejected", error }
}
