/**
 * The reasons of a `MailError`: what can go wrong, what is known about it, whether to try again, and what to do.
 *
 * A `message` says in one sentence what happened; a `remedy` is an imperative without a full stop that somebody can
 * follow who sees only this error. Where the place that found the problem knows better what to do, it gives a `hint`.
 */
import * as Schema from "effect/Schema"
import * as Reply from "../../Reply.ts"

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

const quoting = (problem: string, reply: Reply.Reply | undefined): string =>
  reply === undefined ? problem : `${problem}: ${quote(reply)}`

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
    return this.isRetryable
      ? "send again later; if it repeats, use a sender that this relay accepts for your account"
      : "use a sender that this relay accepts for your account (verify the domain with the provider)"
  }
}

/** The message was refused, before or after its content was sent. Retryable when the reply was 4yz. */
export class MessageRejected extends Schema.TaggedError<MessageRejected>("mailrace/MailError/MessageRejected")(
  "MessageRejected",
  {
    reply: Reply.Reply,
    /** What was refused: the command DATA, before any content was sent, or the content; where that is known. */
    at: Schema.optional(Schema.Literals(["data", "content"]))
  }
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
    return "send more slowly (--rate, --connections; in a program concurrency and maxConnections), or let retries wait longer"
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
      ? quoting(`the message of ${this.size} bytes is too large for the relay`, this.reply)
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
  /** What to try, when more is known than the problem says. */
  hint: Schema.optional(Schema.String),
  /** The mechanism of the login (RFC 4954), as `PLAIN`; absent when none was begun. */
  mechanism: Schema.optional(Schema.String),
  reply: Schema.optional(Reply.Reply)
}) {
  get isRetryable(): boolean {
    return this.reply !== undefined && Reply.isTransient(this.reply)
  }
  override get message() {
    return quoting(this.problem, this.reply)
  }
  get remedy() {
    if (this.hint !== undefined) return this.hint
    return this.isRetryable
      ? "send again later; if it repeats, ask the relay's operator"
      : "check the user name and the password or token (MAILRACE_PASSWORD), and which login the provider wants"
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
    /** No such name, nobody listens, no way there, or a relay that does not want this client. */
    kind: Schema.Literals(["dns", "refused", "unreachable", "greeting"]),
    host: Schema.String,
    port: Schema.Int,
    problem: Schema.String,
    /** What to try, when more is known than the problem says. */
    hint: Schema.optional(Schema.String),
    reply: Schema.optional(Reply.Reply)
  }
) {
  get isRetryable(): boolean {
    return this.kind !== "dns" && (this.reply === undefined || !Reply.isPermanent(this.reply))
  }
  override get message() {
    return quoting(this.problem, this.reply)
  }
  get remedy() {
    if (this.hint !== undefined) return this.hint
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
  /** What was awaited. */
  phase: Phase,
  /** The limit that passed, in milliseconds. */
  limitMs: Schema.Finite
}) {
  readonly isRetryable = true
  override get message() {
    return `the relay was silent for ${this.limitMs} ms in phase ${this.phase}`
  }
  get remedy() {
    switch (this.phase) {
      case "dns":
        return `check this machine's name servers, or raise the timeout of phase ${this.phase}`
      case "connect":
        return "check the host, the port and the firewall; many networks block port 25, try 587 or 465"
      case "greeting":
        return "use smtps:// if the port wants TLS from the first byte (465 does), or raise the timeout of phase greeting"
      default:
        return `look at the relay's load and the network; if it is slow by nature, raise the timeout of phase ${this.phase}`
    }
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
  {
    problem: Schema.String,
    /** The limit that passed, in milliseconds, when it was the relay's silence that ended it. */
    limitMs: Schema.optional(Schema.Finite)
  }
) {
  readonly isRetryable = false
  override get message() {
    return `the final reply never came: ${this.problem}`
  }
  get remedy() {
    return 'look for the Message-ID in the relay\'s log before sending again (or send with onUnknown: "resend" if twice does no harm)'
  }
}

/** The relay broke the protocol (RFC 5321 §4.2), so the connection was given up. Retryable on another one. */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>("mailrace/MailError/ProtocolViolation")(
  "ProtocolViolation",
  { problem: Schema.String, reply: Schema.optional(Reply.Reply) }
) {
  readonly isRetryable = true
  override get message() {
    return quoting(this.problem, this.reply)
  }
  get remedy() {
    return "check that the port speaks SMTP; if it does, try --pipelining off and report the relay"
  }
}

/** The message needs an extension that the relay does not offer. Never retryable here; another relay may have it. */
export class CapabilityMissing extends Schema.TaggedError<CapabilityMissing>("mailrace/MailError/CapabilityMissing")(
  "CapabilityMissing",
  {
    /** The extension's keyword in the reply to EHLO, as `SMTPUTF8`. */
    capability: Schema.String,
    problem: Schema.String
  }
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
  /** The relay as `host:port`. */
  relay: Schema.String,
  /** When the next attempt is let through, in milliseconds from now. */
  retryAfter: Schema.Finite
}) {
  readonly isRetryable = true
  override get message() {
    return `the relay ${this.relay} failed too often and is left alone for ${this.retryAfter} ms`
  }
  get remedy() {
    return "wait until it is tried again, and look at the relay's earlier errors for the cause"
  }
}

/** A quota of this account or tenant is used up. Retryable: it fills again. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>("mailrace/MailError/QuotaExceeded")(
  "QuotaExceeded",
  {
    /** The quota's name. */
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
