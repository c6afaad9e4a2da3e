/**
 * Why a mail could not be sent.
 *
 * There is one error, `MailError`, whose `reason` says what went wrong. Every reason knows whether another attempt may
 * succeed (`isRetryable`), says in one sentence what happened (`message`) and what to try (`remedy`), and carries the
 * relay's reply where there was one. Match it with `Effect.catchReason("MailError", "Throttled", …)`.
 *
 * The reasons are written down in `internal/model/mailErrorReason`, one class each, and are all found here by their names.
 *
 * The reply's code outranks everything else: 4yz is transient, 5yz permanent (RFC 5321 §4.2.1), and the enhanced
 * status refines it (RFC 3463). What concerns the connection (a refused login, a lost link) is kept apart from what
 * concerns the message, so that a bad recipient never looks like a bad relay.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { InvalidMessage, Reason } from "./internal/model/mailErrorReason.ts"
import type * as Reply from "./Reply.ts"

export * from "./internal/model/mailErrorReason.ts"

const TypeId = "~mailrace/MailError"

/** The one error of Mailrace; `reason` says what happened. */
export class MailError extends Schema.TaggedError<MailError>("mailrace/MailError")("MailError", { reason: Reason }) {
  readonly [TypeId] = TypeId

  /** Whether another attempt at the same mail may succeed. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }

  /** What happened, in one sentence without personal data beyond what the relay itself said. */
  override get message(): string {
    return `${this.reason._tag}: ${this.reason.message}`
  }

  /** What to try, as an imperative without a full stop. */
  get remedy(): string {
    return this.reason.remedy
  }

  /** The relay's reply that led to this, where there was one. */
  get reply(): Reply.Reply | undefined {
    return "reply" in this.reason ? this.reason.reply : undefined
  }

  /** How long to wait before another attempt in milliseconds, where the relay or a limit says so. */
  get retryAfter(): number | undefined {
    return "retryAfter" in this.reason ? this.reason.retryAfter : undefined
  }
}

/** Whether a value is a `MailError`. */
export const isMailError = (u: unknown): u is MailError => Predicate.hasProperty(u, TypeId)

/** Wraps a reason. */
export const make = (reason: Reason): MailError => new MailError({ reason })

/** A mail that cannot be sent as it is: `field` names the place, `problem` what is wrong with it. */
export const invalid = (field: string, problem: string): MailError => make(new InvalidMessage({ field, problem }))

/** Whatever was thrown, in one line of words for the problem of an error. */
export const describeThrown = (thrown: unknown): string => {
  try {
    const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    return text.replace(/\s+/g, " ").trim().slice(0, 500)
  } catch {
    return typeof thrown
  }
}
