/**
 * Why a mail could not be sent.
 *
 * There is one error, `MailError`, whose `reason` says what went wrong. Every reason knows whether another attempt may
 * succeed (`isRetryable`), says in one sentence what happened (`message`) and what to try (`remedy`), and carries the
 * relay's reply where there was one. Match it with `Effect.catchReason("MailError", "Throttled", …)`.
 *
 * The reply's code outranks everything else: 4yz is transient, 5yz permanent (RFC 5321 §4.2.1), and the enhanced
 * status refines it (RFC 3463). What concerns the connection (a refused login, a lost link) is kept apart from what
 * concerns the message, so that a bad recipient never looks like a bad relay.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Reply from "./Reply.ts"

const TypeId = "~mailrace/MailError"

/** The step of a session in which something took too long or broke off. */
export const Phase = Schema.Literals([
  "dns",
  "connect",
  "tls",
  "greeting",
  "ehlo",
  "starttls",
  "auth",
  "envelope",
  "content",
  "finalReply",
  "idle",
  "quit"
])

/** The step of a session in which something took too long or broke off. */
export type Phase = typeof Phase.Type

/** What the relay said about one recipient. */
export const RecipientOutcome = Schema.Struct({
  address: Schema.String,
  outcome: Schema.Literals(["accepted", "rejected", "deferred", "unknown"]),
  reply: Schema.optional(Reply.Reply)
})

/** What the relay said about one recipient. */
export type RecipientOutcome = typeof RecipientOutcome.Type

const quote = (reply: Reply.Reply): string => `"${Reply.format(reply)}"`

/** A mail that cannot be put on the wire as it is; nothing of it was sent. Never retryable. */
export class InvalidMessage extends Schema.TaggedError<InvalidMessage>("mailrace/MailError/InvalidMessage")(
  "InvalidMessage",
  {
    /** The field at fault, as in `to[1]`, `headers.X-Campaign` or `attachments[0].path`. */
    field: Schema.String,
    /** What is wrong with it, in words. */
    problem: Schema.String
  }
) {
  readonly isRetryable = false
  override get message() {
    return `${this.field}: ${this.problem}`
  }
  get remedy() {
    return `correct the field "${this.field}" and send the mail again`
  }
}

/** Every recipient was refused. Retryable when at least one refusal was transient. */
export class RecipientsRejected extends Schema.TaggedError<RecipientsRejected>("mailrace/MailError/RecipientsRejected")(
  "RecipientsRejected",
  { recipients: Schema.Array(RecipientOutcome), reply: Reply.Reply }
) {
  get isRetryable(): boolean {
    return this.recipients.some((recipient) => recipient.outcome === "deferred")
  }
  override get message() {
    return this.recipients.length === 1
      ? `the recipient was refused: ${quote(this.reply)}`
      : `all ${this.recipients.length} recipients were refused, the first with ${quote(this.reply)}`
  }
  get remedy() {
    return this.isRetryable ? "send again later" : "take the address off the list, or correct it"
  }
}

/** The envelope's sender was refused. Retryable when the reply was 4yz. */
export class SenderRejected extends Schema.TaggedError<SenderRejected>("mailrace/MailError/SenderRejected")(
  "SenderRejected",
  { reply: Reply.Reply }
) {
  get isRetryable(): boolean {
    return Reply.isTransient(this.reply)
  }
  override get message() {
    return `the sender was refused: ${quote(this.reply)}`
  }
  get remedy() {
    return "use a sender that this relay accepts for your account (verify the domain with the provider)"
  }
}

/** The content was refused. Retryable when the reply was 4yz. */
export class MessageRejected extends Schema.TaggedError<MessageRejected>("mailrace/MailError/MessageRejected")(
  "MessageRejected",
  { reply: Reply.Reply }
) {
  get isRetryable(): boolean {
    return Reply.isTransient(this.reply)
  }
  override get message() {
    return `the message was refused: ${quote(this.reply)}`
  }
  get remedy() {
    return this.isRetryable
      ? "send again later"
      : "read the relay's reason: it names a policy, a filter or a format that the content violates"
  }
}

/** The relay asks to slow down or to come back later (421, 4.7.x, greylisting, too many connections). Retryable. */
export class Throttled extends Schema.TaggedError<Throttled>("mailrace/MailError/Throttled")("Throttled", {
  reply: Reply.Reply,
  /** How long the relay asks to wait, in milliseconds, where it says so. */
  retryAfter: Schema.optional(Schema.Finite)
}) {
  readonly isRetryable = true
  override get message() {
    return `the relay asks to wait: ${quote(this.reply)}`
  }
  get remedy() {
    return "lower --rate or --connections, or let the retries wait longer"
  }
}

/** The mailbox cannot take the message: full, disabled or unknown. Retryable when the reply was 4yz. */
export class MailboxUnavailable extends Schema.TaggedError<MailboxUnavailable>("mailrace/MailError/MailboxUnavailable")(
  "MailboxUnavailable",
  { reply: Reply.Reply }
) {
  get isRetryable(): boolean {
    return Reply.isTransient(this.reply)
  }
  override get message() {
    return `the mailbox is not available: ${quote(this.reply)}`
  }
  get remedy() {
    return this.isRetryable ? "send again later" : "take the address off the list"
  }
}

/** The message is larger than the relay takes (SIZE, RFC 1870). Never retryable. */
export class SizeExceeded extends Schema.TaggedError<SizeExceeded>("mailrace/MailError/SizeExceeded")("SizeExceeded", {
  /** The message's size in bytes. */
  size: Schema.Finite,
  /** The relay's limit in bytes, where it announced one. */
  limit: Schema.optional(Schema.Finite),
  reply: Schema.optional(Reply.Reply)
}) {
  readonly isRetryable = false
  override get message() {
    return this.limit === undefined
      ? `the message of ${this.size} bytes is too large for the relay${this.reply ? `: ${quote(this.reply)}` : ""}`
      : `the message has ${this.size} bytes, the relay takes ${this.limit}`
  }
  get remedy() {
    return "make the attachments smaller, or link to them"
  }
}

/** The relay refused the credentials, or none of its mechanisms can be used. Retryable when the reply was 4yz. */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>(
  "mailrace/MailError/AuthenticationFailed"
)("AuthenticationFailed", {
  problem: Schema.String,
  mechanism: Schema.optional(Schema.String),
  reply: Schema.optional(Reply.Reply)
}) {
  get isRetryable(): boolean {
    return this.reply !== undefined && Reply.isTransient(this.reply)
  }
  override get message() {
    return `${this.problem}${this.reply ? `: ${quote(this.reply)}` : ""}`
  }
  get remedy() {
    return "check the user name and the password or token (MAILRACE_PASSWORD), and which login the provider wants"
  }
}

/** The encrypted channel could not be set up as the policy demands. Never retryable. */
export class TlsFailed extends Schema.TaggedError<TlsFailed>("mailrace/MailError/TlsFailed")("TlsFailed", {
  problem: Schema.String,
  /** What to try, when more is known than the problem says. */
  hint: Schema.optional(Schema.String)
}) {
  readonly isRetryable = false
  override get message() {
    return this.problem
  }
  get remedy() {
    return this.hint ?? "check the host name, the port (465 implicit, 587 STARTTLS) and the relay's certificate"
  }
}

/** No session could be opened. Retryable unless the relay refused for good (554) or the name does not exist. */
export class ConnectFailed extends Schema.TaggedError<ConnectFailed>("mailrace/MailError/ConnectFailed")(
  "ConnectFailed",
  {
    kind: Schema.Literals(["dns", "refused", "unreachable", "greeting"]),
    host: Schema.String,
    port: Schema.Int,
    problem: Schema.String,
    reply: Schema.optional(Reply.Reply)
  }
) {
  get isRetryable(): boolean {
    return this.kind !== "dns" && (this.reply === undefined || !Reply.isPermanent(this.reply))
  }
  override get message() {
    return `${this.problem}${this.reply ? `: ${quote(this.reply)}` : ""}`
  }
  get remedy() {
    switch (this.kind) {
      case "dns":
        return `check the spelling of "${this.host}" and that this machine can resolve names`
      case "refused":
        return `check that a relay listens on port ${this.port} (25, 465, 587 and 2525 are usual)`
      case "unreachable":
        return "check the network and the firewall; many networks block port 25, try 587 or 465"
      case "greeting":
        return "the relay does not want this client now: read its reply, lower --connections, or try later"
    }
  }
}

/** The relay was silent longer than the phase allows. Retryable: nothing had been handed over yet. */
export class Timeout extends Schema.TaggedError<Timeout>("mailrace/MailError/Timeout")("Timeout", {
  phase: Phase,
  /** The limit that passed, in milliseconds. */
  limitMs: Schema.Finite
}) {
  readonly isRetryable = true
  override get message() {
    return `the relay was silent for ${this.limitMs} ms in phase ${this.phase}`
  }
  get remedy() {
    return `if the relay is slow by nature, raise the timeout of phase ${this.phase}`
  }
}

/** The connection broke before the content was handed over; sending again is safe. Retryable. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>("mailrace/MailError/ConnectionLost")(
  "ConnectionLost",
  { phase: Phase, problem: Schema.String }
) {
  readonly isRetryable = true
  override get message() {
    return `the connection was lost in phase ${this.phase}: ${this.problem}`
  }
  get remedy() {
    return "send again; if it repeats, look at the relay's log for this client"
  }
}

/**
 * The connection broke after the content was handed over and before the final reply: the relay may have the message
 * or not. Not retried unless the caller asks, because the recipient could get it twice.
 */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>("mailrace/MailError/OutcomeUnknown")(
  "OutcomeUnknown",
  { problem: Schema.String }
) {
  readonly isRetryable = false
  override get message() {
    return `the final reply never came: ${this.problem}`
  }
  get remedy() {
    return "look for the Message-ID in the relay's log before sending again"
  }
}

/** The relay broke the protocol (RFC 5321 §4.2), so the connection was given up. Retryable on another one. */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>("mailrace/MailError/ProtocolViolation")(
  "ProtocolViolation",
  { problem: Schema.String, reply: Schema.optional(Reply.Reply) }
) {
  readonly isRetryable = true
  override get message() {
    return `${this.problem}${this.reply ? `: ${quote(this.reply)}` : ""}`
  }
  get remedy() {
    return "check that the port speaks SMTP; if it does, try --pipelining off and report the relay"
  }
}

/** The message needs an extension that the relay does not offer. Never retryable here; another relay may have it. */
export class CapabilityMissing extends Schema.TaggedError<CapabilityMissing>("mailrace/MailError/CapabilityMissing")(
  "CapabilityMissing",
  { capability: Schema.String, problem: Schema.String }
) {
  readonly isRetryable = false
  override get message() {
    return `${this.problem} (needs ${this.capability}, which the relay does not offer)`
  }
  get remedy() {
    return `send through a relay with ${this.capability}, or change the message so that it is not needed`
  }
}

/** The relay's circuit breaker is open: it failed too often lately and is left alone for a while. Retryable. */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("mailrace/MailError/CircuitOpen")("CircuitOpen", {
  relay: Schema.String,
  /** When the next attempt is let through, in milliseconds from now. */
  retryAfter: Schema.Finite
}) {
  readonly isRetryable = true
  override get message() {
    return `the relay ${this.relay} failed too often and is left alone for ${this.retryAfter} ms`
  }
  get remedy() {
    return "look at the relay's earlier errors"
  }
}

/** A quota of this account or tenant is used up. Retryable: it fills again. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>("mailrace/MailError/QuotaExceeded")(
  "QuotaExceeded",
  {
    quota: Schema.String,
    /** When it is worth trying again, in milliseconds from now, where known. */
    retryAfter: Schema.optional(Schema.Finite)
  }
) {
  readonly isRetryable = true
  override get message() {
    return `the quota "${this.quota}" is used up`
  }
  get remedy() {
    return "wait until it fills again, or raise it"
  }
}

/** Everything that can go wrong with a mail. */
export const Reason = Schema.Union([
  InvalidMessage,
  RecipientsRejected,
  SenderRejected,
  MessageRejected,
  Throttled,
  MailboxUnavailable,
  SizeExceeded,
  AuthenticationFailed,
  TlsFailed,
  ConnectFailed,
  Timeout,
  ConnectionLost,
  OutcomeUnknown,
  ProtocolViolation,
  CapabilityMissing,
  CircuitOpen,
  QuotaExceeded
])

/** Everything that can go wrong with a mail. */
export type Reason = typeof Reason.Type

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
