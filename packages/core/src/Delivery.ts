/**
 * The outcome of a message. Each message that enters `Mailer.sendAll` leaves it as exactly one `Delivery`.
 *
 * @since 0.1.0
 */

import type * as MailError from "./MailError.ts"
import type * as Reply from "./Reply.ts"

/**
 * The facts that every outcome has.
 *
 * @since 0.1.0
 */
export interface Info {
  /** The message's own `id`, or its index as a string. */
  readonly id: string
  /** The message's index in the source stream, from 0. */
  readonly index: number
  /** The Message-ID with angle brackets; absent if composing failed. */
  readonly messageId: string | undefined
  /** The relay's answer for each recipient; empty if it refused the message as a whole or was never asked. */
  readonly recipients: ReadonlyArray<MailError.RecipientOutcome>
  /** The relay that accepted the message, as `host:port`; absent if none did. */
  readonly relay: string | undefined
  /** The number of attempts; 0 if composing failed. */
  readonly attempts: number
  /** Bytes of the content; 0 if composing failed. */
  readonly size: number
  /** The time from the message's arrival to its outcome, in milliseconds, with waits and retries. */
  readonly durationMs: number
  /** The id of the message's trace, 32 hexadecimal digits; absent if it has none. */
  readonly traceId?: string | undefined
}

/**
 * The relay took responsibility for at least one recipient (2yz to the content).
 *
 * @since 0.1.0
 */
export interface Accepted extends Info {
  readonly _tag: "Accepted"
  /** The Message-ID with angle brackets, by which the relay's log names the message. */
  readonly messageId: string
  /** The relay that accepted the message, as `host:port`. */
  readonly relay: string
  /** The relay's 2yz reply to the content; of several attempts that of the first that was accepted. */
  readonly reply: Reply.Reply
}

/**
 * Refused permanently; it is useless to send the same message again.
 *
 * @since 0.1.0
 */
export interface Rejected extends Info {
  readonly _tag: "Rejected"
  /** The reason; its `isRetryable` is false. */
  readonly error: MailError.MailError
}

/**
 * Failed for now, with all retries used up; a later attempt may succeed.
 *
 * @since 0.1.0
 */
export interface Deferred extends Info {
  readonly _tag: "Deferred"
  /** The last attempt's reason; its `isRetryable` is true. */
  readonly error: MailError.MailError
}

/**
 * The connection was lost between the content and the final reply, so the relay may have the message.
 *
 * @since 0.1.0
 */
export interface Unknown extends Info {
  readonly _tag: "Unknown"
  /** `OutcomeUnknown`, from the first attempt that ended so. */
  readonly error: MailError.MailError
}

/**
 * The outcome of a message.
 *
 * @since 0.1.0
 */
export type Delivery = Accepted | Rejected | Deferred | Unknown

/**
 * True if a relay accepted the message.
 *
 * @since 0.1.0
 */
export const isAccepted = (delivery: Delivery): delivery is Accepted => delivery._tag === "Accepted"

/**
 * The outcome for an error: `Unknown` for a lost final reply, `Deferred` if retryable, else `Rejected`.
 *
 * @since 0.1.0
 */
export const fromError = (error: MailError.MailError, info: Info): Rejected | Deferred | Unknown => {
  if (error.reason._tag === "OutcomeUnknown") return { ...info, _tag: "Unknown", error }
  return error.isRetryable ? { ...info, _tag: "Deferred", error } : { ...info, _tag: "Rejected", error }
}
