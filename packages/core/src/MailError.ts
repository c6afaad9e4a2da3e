/**
 * The error of a message that could not be sent.
 *
 * There is one error, `MailError`; its `reason` says what went wrong. Every reason knows whether another attempt may
 * succeed (`isRetryable`), says in one sentence what happened (`message`) and what to try (`remedy`), and carries the
 * relay's reply where there was one. Match it with `Effect.catchReason("MailError", "Throttled", …)`.
 *
 * A reply's code outranks everything else: 4yz is transient, 5yz permanent (RFC 5321 §4.2.1), and the enhanced status
 * refines it (RFC 3463). Errors of the connection (a refused login, a lost link) have reasons of their own, so a bad
 * recipient never looks like a bad relay.
 *
 * @example
 * ```ts
 * import * as Console from "effect/Console"
 * import * as Effect from "effect/Effect"
 * import * as MailError from "mailrace/MailError"
 *
 * const reply = { code: 451, enhanced: "4.7.1", text: "too many messages" }
 * const throttled = Effect.fail(MailError.make(new MailError.Throttled({ reply, retryAfter: 60_000 })))
 *
 * // "wait 60000 ms", and what to try for every other reason.
 * await throttled.pipe(
 *   Effect.catchReason("MailError", "Throttled", ({ retryAfter }) => Console.log(`wait ${retryAfter} ms`)),
 *   Effect.catch((error) => Console.log(error.remedy)),
 *   Effect.runPromise
 * )
 * ```
 *
 * @since 0.1.0
 */

import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { InvalidMessage, isOpening, Reason, withRetryAfter } from "./internal/model/mailErrorReason.ts"
import type * as Reply from "./Reply.ts"

export {
  AuthenticationFailed,
  CapabilityMissing,
  CircuitOpen,
  ConnectFailed,
  ConnectionLost,
  InvalidMessage,
  isOpening,
  MailboxUnavailable,
  MessageRejected,
  OutcomeUnknown,
  Phase,
  ProtocolViolation,
  QuotaExceeded,
  Reason,
  RecipientOutcome,
  RecipientsRejected,
  SenderRejected,
  SizeExceeded,
  Throttled,
  Timeout,
  TlsFailed,
  TransportUnavailable,
  Withdrawn
} from "./internal/model/mailErrorReason.ts"

const TypeId = "~mailrace/MailError"

/**
 * The one error of Mailrace; `reason` says what happened.
 *
 * @since 0.1.0
 */
export class MailError extends Schema.TaggedError<MailError>("mailrace/MailError")("MailError", { reason: Reason }) {
  readonly [TypeId] = TypeId

  /** True if another attempt at the same message may succeed. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }

  /** What happened, in one sentence. It holds no personal data but what the relay's reply holds. */
  override get message(): string {
    return `${this.reason._tag}: ${this.reason.message}`
  }

  /** What to try, as an imperative without a full stop. */
  get remedy(): string {
    return this.reason.remedy
  }

  /** The relay's reply that led to this error, where there was one. */
  get reply(): Reply.Reply | undefined {
    return "reply" in this.reason ? this.reason.reply : undefined
  }

  /** How long to wait before another attempt, in milliseconds, where the relay, a limit or the outbox says so. */
  get retryAfter(): number | undefined {
    return "retryAfter" in this.reason ? this.reason.retryAfter : undefined
  }
}

/**
 * True for a `MailError`, also one that was made by another copy of this module.
 *
 * @since 0.1.0
 */
export const isMailError = (u: unknown): u is MailError => Predicate.hasProperty(u, TypeId)

/**
 * Makes an error from its reason.
 *
 * @since 0.1.0
 */
export const make = (reason: Reason): MailError => new MailError({ reason })

/**
 * Makes the error of a message that is not valid: `field` is the place of the fault, `problem` the fault in words.
 *
 * @since 0.1.0
 */
export const invalid = (field: string, problem: string): MailError => make(new InvalidMessage({ field, problem }))

/**
 * True if the relay or the transport could not be used: there was no connection, no TLS, no session or no login, and so nothing
 * was said about the message. False for a timeout or a lost connection after the login, and for the wait for a free session.
 *
 * @since 0.1.0
 */
export const isAboutRelay = ({ reason }: MailError): boolean => {
  switch (reason._tag) {
    case "ConnectFailed":
    case "TlsFailed":
    case "AuthenticationFailed":
    case "TransportUnavailable":
    case "CircuitOpen":
      return true
    case "Timeout":
    case "ConnectionLost":
      return isOpening(reason.phase)
    default:
      return false
  }
}

/**
 * The same error with a time to retry in milliseconds. A reason that is never retryable stays as it is.
 *
 * @since 0.1.0
 */
export const retryIn = (error: MailError, milliseconds: number): MailError =>
  make(withRetryAfter(error.reason, milliseconds))

/**
 * Describes any thrown value in one line of at most 500 characters, for the problem of an error.
 *
 * @since 0.1.0
 */
export const describeThrown = (thrown: unknown): string => {
  try {
    const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    return text.replace(/\s+/g, " ").trim().slice(0, 500)
  } catch {
    return typeof thrown
  }
}
