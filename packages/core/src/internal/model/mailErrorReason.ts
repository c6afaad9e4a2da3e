/**
 * The reasons of a `MailError`. Each one holds the facts and knows whether to try again and what to do.
 *
 * A `message` says in one sentence what happened. A `remedy` is an imperative without a full stop that makes sense to a
 * reader who sees only this error. It names options by their names in the library, as `maxConnections`. Code that
 * finds a problem and knows a better remedy passes it as the `hint`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Reply from "../../Reply.ts"
import * as ReplyMeaning from "../../ReplyMeaning.ts"

const openingPhases = ["dns", "connect", "tls", "greeting", "ehlo", "starttls", "auth"] as const

/**
 * The step of a session in which something took too long or broke off.
 *
 * @since 0.1.0
 */
export const Phase = Schema.Literals([...openingPhases, "envelope", "content", "finalReply", "session", "idle", "quit"])

/**
 * The step of a session in which something took too long or broke off.
 *
 * @since 0.1.0
 */
export type Phase = typeof Phase.Type

/**
 * True if the step is one of those by which a session is opened, from the name's lookup to the login: before it ends, nothing is
 * said of any message.
 *
 * @since 0.2.0
 */
export const isOpening = (phase: Phase): boolean => opening.has(phase)

const opening: ReadonlySet<Phase> = new Set(openingPhases)

/**
 * The relay's answer for one recipient.
 *
 * @since 0.1.0
 */
export const RecipientOutcome = Schema.Struct({
  address: Schema.String,
  outcome: Schema.Literals(["accepted", "rejected", "deferred", "unknown"]),
  reply: Schema.optional(Reply.Reply),
  /** How long to wait before this recipient is asked again, in milliseconds, where the relay or a rule says so. */
  retryAfter: Schema.optional(Schema.Finite)
})

/**
 * The relay's answer for one recipient.
 *
 * @since 0.1.0
 */
export type RecipientOutcome = typeof RecipientOutcome.Type

/**
 * How long to wait before another attempt, in milliseconds, where the relay, a limit or the outbox says so. Every reason
 * that can be retryable has this field.
 */
const retryAfter = Schema.optional(Schema.Finite)

/** The command that the reply answered, where it is known; `content` is the end of the content. */
const at = Schema.optional(Schema.Literals(["mail", "rcpt", "data", "content"]))

/** A better remedy than the reason's own, from the code that found the problem. */
const hint = Schema.optional(Schema.String)

/** The table's remedy for a reply. */
const remedyOf = (reply: Reply.Reply | undefined, place: ReplyMeaning.Place): string | undefined =>
  reply === undefined ? undefined : ReplyMeaning.of(reply, place).remedy

const quote = (reply: Reply.Reply): string => `"${Reply.format(reply)}"`

const quoting = (problem: string, reply: Reply.Reply | undefined): string =>
  reply === undefined ? problem : `${problem}: ${quote(reply)}`

/**
 * The message is not valid, so nothing of it was sent. Never retryable.
 *
 * @since 0.1.0
 */
export class InvalidMessage extends Schema.TaggedError<InvalidMessage>("mailrace/MailError/InvalidMessage")(
  "InvalidMessage",
  {
    /** The field at fault, as in `to[1]`, `headers.X-Campaign` or `attachments[0].path`. */
    field: Schema.String,
    /** The fault, in words. */
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

/**
 * The relay refused every recipient. Retryable if at least one refusal was transient.
 *
 * @since 0.1.0
 */
export class RecipientsRejected extends Schema.TaggedError<RecipientsRejected>("mailrace/MailError/RecipientsRejected")(
  "RecipientsRejected",
  { recipients: Schema.Array(RecipientOutcome), reply: Reply.Reply, retryAfter }
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
    const replies = this.recipients.flatMap(({ reply }) => reply ?? [])
    // Refusals that are not about the address come first: an address taken off a list by mistake does not come back.
    const other = replies.find((reply) => {
      const { about } = ReplyMeaning.of(reply, "rcpt")
      return about !== "recipient" && about !== "message"
    })
    if (this.isRetryable) return remedyOf(other, "rcpt") ?? "send again later"
    return remedyOf(other ?? this.reply, "rcpt") ?? "take the address off the list, or correct it"
  }
}

/**
 * The relay refused the envelope's sender. Retryable if the reply was 4yz.
 *
 * @since 0.1.0
 */
export class SenderRejected extends Schema.TaggedError<SenderRejected>("mailrace/MailError/SenderRejected")(
  "SenderRejected",
  { reply: Reply.Reply, at, retryAfter }
) {
  get isRetryable(): boolean {
    return Reply.isTransient(this.reply)
  }
  override get message() {
    return `the sender was refused: ${quote(this.reply)}`
  }
  get remedy() {
    return (
      remedyOf(this.reply, "mail") ??
      (this.isRetryable
        ? "send again later; if it repeats, use a sender that this relay accepts for your account"
        : "use a sender that this relay accepts for your account (verify the domain with the provider)")
    )
  }
}

/**
 * The relay refused the message, before or after its content was sent. Retryable if the reply was 4yz.
 *
 * @since 0.1.0
 */
export class MessageRejected extends Schema.TaggedError<MessageRejected>("mailrace/MailError/MessageRejected")(
  "MessageRejected",
  {
    reply: Reply.Reply,
    /** The refused part, where it is known: `data` is the command, before any content was sent. */
    at: Schema.optional(Schema.Literals(["data", "content"])),
    retryAfter
  }
) {
  get isRetryable(): boolean {
    return Reply.isTransient(this.reply)
  }
  override get message() {
    return `the message was refused: ${quote(this.reply)}`
  }
  get remedy() {
    return (
      remedyOf(this.reply, this.at === "data" ? "data" : "final") ??
      (this.isRetryable
        ? "send again later"
        : "read the relay's reason: it names a policy, a filter or a format that the content violates")
    )
  }
}

/**
 * The relay asks to slow down or to come back later (421, 4.7.x, greylisting, too many connections). Retryable.
 *
 * @since 0.1.0
 */
export class Throttled extends Schema.TaggedError<Throttled>("mailrace/MailError/Throttled")("Throttled", {
  reply: Reply.Reply,
  at,
  retryAfter
}) {
  readonly isRetryable = true
  override get message() {
    return `the relay asks to wait: ${quote(this.reply)}`
  }
  get remedy() {
    const remedy = remedyOf(this.reply, "rcpt")
    return remedy ?? "send more slowly (lower `rate`, `concurrency` or `maxConnections`), or let retries wait longer"
  }
}

/**
 * The mailbox is full, disabled or unknown. Retryable if the reply was 4yz.
 *
 * @since 0.1.0
 */
export class MailboxUnavailable extends Schema.TaggedError<MailboxUnavailable>("mailrace/MailError/MailboxUnavailable")(
  "MailboxUnavailable",
  { reply: Reply.Reply, at, retryAfter }
) {
  get isRetryable(): boolean {
    return Reply.isTransient(this.reply)
  }
  override get message() {
    return `the mailbox is not available: ${quote(this.reply)}`
  }
  get remedy() {
    return (
      remedyOf(this.reply, this.at === "data" ? "data" : "final") ??
      (this.isRetryable ? "send again later" : "take the address off the list")
    )
  }
}

/**
 * The message exceeds the relay's size limit (SIZE, RFC 1870). Never retryable.
 *
 * @since 0.1.0
 */
export class SizeExceeded extends Schema.TaggedError<SizeExceeded>("mailrace/MailError/SizeExceeded")("SizeExceeded", {
  /** The message's size in bytes. */
  size: Schema.Finite,
  /** The relay's limit in bytes, where it announced one. */
  limit: Schema.optional(Schema.Finite),
  reply: Schema.optional(Reply.Reply),
  at
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

/**
 * The relay refused the login, or offers no usable mechanism. Retryable if the reply was 4yz.
 *
 * @since 0.1.0
 */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>(
  "mailrace/MailError/AuthenticationFailed"
)("AuthenticationFailed", {
  problem: Schema.String,
  hint,
  /** The mechanism of the login (RFC 4954), as `PLAIN`; absent if no login was begun. */
  mechanism: Schema.optional(Schema.String),
  reply: Schema.optional(Reply.Reply),
  retryAfter
}) {
  get isRetryable(): boolean {
    return this.reply !== undefined && ReplyMeaning.of(this.reply, "auth").isTransient
  }
  override get message() {
    return quoting(this.problem, this.reply)
  }
  get remedy() {
    return (
      this.hint ??
      remedyOf(this.reply, "auth") ??
      (this.isRetryable
        ? "send again later; if it repeats, ask the relay's operator"
        : "check the user name and the password or token, and which login the provider wants")
    )
  }
}

/**
 * TLS could not be set up as the policy demands. Never retryable.
 *
 * @since 0.1.0
 */
export class TlsFailed extends Schema.TaggedError<TlsFailed>("mailrace/MailError/TlsFailed")("TlsFailed", {
  problem: Schema.String,
  hint
}) {
  readonly isRetryable = false
  override get message() {
    return this.problem
  }
  get remedy() {
    return this.hint ?? "check the host name, the port (465 implicit, 587 STARTTLS) and the relay's certificate"
  }
}

/**
 * No session could be opened, or the relay refuses this client whatever it sends: its name, its address, or that it relays.
 * Retryable unless the relay refused permanently (5yz, but for a limit) or the name does not exist.
 *
 * @since 0.1.0
 */
export class ConnectFailed extends Schema.TaggedError<ConnectFailed>("mailrace/MailError/ConnectFailed")(
  "ConnectFailed",
  {
    /**
     * The name does not exist, no server listens, no route leads there, the local address does not fit, or the relay turned
     * this client away: at the start of the session (`greeting`), because it cannot do TLS now (`starttls`), or in answer to an
     * envelope (`client`).
     */
    kind: Schema.Literals(["dns", "refused", "unreachable", "greeting", "starttls", "client", "localAddress"]),
    host: Schema.String,
    port: Schema.Int,
    problem: Schema.String,
    hint,
    reply: Schema.optional(Reply.Reply),
    at,
    retryAfter
  }
) {
  get isRetryable(): boolean {
    if (this.kind === "dns" || this.reply === undefined) return this.kind !== "dns"
    return !Reply.isPermanent(this.reply) || ReplyMeaning.of(this.reply, placeOf(this.kind)).isTransient
  }
  override get message() {
    return quoting(this.problem, this.reply)
  }
  get remedy() {
    const remedy = this.hint ?? remedyOf(this.reply, placeOf(this.kind))
    if (remedy !== undefined) return remedy
    switch (this.kind) {
      case "dns":
        return `check the spelling of "${this.host}" and that this machine can resolve names`
      case "refused":
        return `check that a relay listens on port ${this.port} (25, 465, 587 and 2525 are usual)`
      case "unreachable":
        return "check the network and the firewall; many networks block port 25, try 587 or 465"
      case "greeting":
        return "read the relay's reply for why it turned this client away; lower `maxConnections`, or try later"
      case "starttls":
        return "send again later; if it repeats, have the relay's operator look at its TLS"
      case "localAddress":
        return "set `localAddress` to an address of this machine and of the relay's family, or leave it out"
      case "client":
        return "read the relay's reply for what it has against this client: its name, its address, or that it has not logged in"
    }
  }
}

/** The place of the reply of a failed connection. */
const placeOf = (kind: ConnectFailed["kind"]): ReplyMeaning.Place =>
  kind === "client" ? "rcpt" : kind === "starttls" ? "starttls" : "greeting"

/**
 * The relay was silent for longer than the phase allows. Retryable, because the relay has nothing of the message.
 *
 * @since 0.1.0
 */
export class Timeout extends Schema.TaggedError<Timeout>("mailrace/MailError/Timeout")("Timeout", {
  /** The step that the client waited for. */
  phase: Phase,
  /** The limit that passed, in milliseconds. */
  limitMs: Schema.Finite,
  /** What took too long, where more is known than the phase. */
  problem: Schema.optional(Schema.String),
  retryAfter
}) {
  readonly isRetryable = true
  override get message() {
    return this.problem ?? `the relay was silent for ${this.limitMs} ms in phase ${this.phase}`
  }
  get remedy() {
    switch (this.phase) {
      case "dns":
        return "check this machine's name servers, or raise `timeouts.dns`"
      case "connect":
        return "check the host, the port and the firewall; many networks block port 25, try 587 or 465"
      case "greeting":
        return "use smtps:// if the port wants TLS from the first byte (465 does), or raise `timeouts.greeting`"
      case "session":
        return "raise `maxConnections` if the relay allows more connections, or `timeouts.session` if it is slow by nature"
      default:
        return `look at the relay's load and the network; if it is slow by nature, raise \`timeouts.${timeoutOf[this.phase]}\` (phase ${this.phase})`
    }
  }
}

/** The option that bounds each phase. */
const timeoutOf: Readonly<Record<Phase, string>> = {
  dns: "dns",
  connect: "connect",
  tls: "tls",
  greeting: "greeting",
  ehlo: "command",
  starttls: "command",
  auth: "command",
  envelope: "command",
  content: "content",
  finalReply: "finalReply",
  session: "session",
  idle: "command",
  quit: "quit"
}

/**
 * The connection broke before the relay had the whole content, so it is safe to send again. Retryable.
 *
 * @since 0.1.0
 */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>("mailrace/MailError/ConnectionLost")(
  "ConnectionLost",
  { phase: Phase, problem: Schema.String, retryAfter }
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
 * The connection broke between the content and the final reply, so the relay may have the message. Retried only if the
 * caller asks for it, because the recipient could get the message twice.
 *
 * @since 0.1.0
 */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>("mailrace/MailError/OutcomeUnknown")(
  "OutcomeUnknown",
  {
    problem: Schema.String,
    /** The limit that passed, in milliseconds, if the relay was silent for too long. */
    limitMs: Schema.optional(Schema.Finite)
  }
) {
  readonly isRetryable = false
  override get message() {
    return `the final reply did not arrive: ${this.problem}`
  }
  get remedy() {
    return 'look for the Message-ID in the relay\'s log before sending again (or send with `onUnknown: "resend"` if a second copy does no harm)'
  }
}

/**
 * The relay broke the protocol (RFC 5321 §4.2), so the connection was closed. Retryable on another connection.
 *
 * @since 0.1.0
 */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>("mailrace/MailError/ProtocolViolation")(
  "ProtocolViolation",
  { problem: Schema.String, reply: Schema.optional(Reply.Reply), at, retryAfter }
) {
  readonly isRetryable = true
  override get message() {
    return quoting(this.problem, this.reply)
  }
  get remedy() {
    return 'check that the port speaks SMTP; if it does, set `pipelining` to "off" and report the relay'
  }
}

/**
 * The message needs an extension that the relay does not offer. Never retryable; another relay may offer it.
 *
 * @since 0.1.0
 */
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
    return `send through a relay with ${this.capability}, or change the message so that it does not need it`
  }
}

/**
 * The transport, or the store or program behind it, cannot take messages now. Other than `ConnectFailed` this reason
 * fits transports without a relay: the outbox, sendmail, a provider's API. It is not about the message.
 *
 * @since 0.1.0
 */
export class TransportUnavailable extends Schema.TaggedError<TransportUnavailable>(
  "mailrace/MailError/TransportUnavailable"
)("TransportUnavailable", {
  /** The name of the transport, as `outbox` or `Sendmail`. */
  transport: Schema.String,
  /** The fault, in the transport's own words. */
  problem: Schema.String,
  /** What to try, as an imperative without a full stop. */
  hint: Schema.String,
  /** True if the transport may recover without help. */
  isRetryable: Schema.Boolean,
  /** The relay's reply, where the problem quotes one. */
  reply: Schema.optional(Reply.Reply),
  retryAfter
}) {
  override get message() {
    return `${this.transport}: ${this.problem}`
  }
  get remedy() {
    return this.hint
  }
}

/**
 * The message was taken out of the outbox before a relay accepted it: cancelled or purged on request, or expired. It has
 * no fault of its own. Never retryable.
 *
 * @since 0.1.0
 */
export class Withdrawn extends Schema.TaggedError<Withdrawn>("mailrace/MailError/Withdrawn")("Withdrawn", {
  state: Schema.Literals(["cancelled", "expired", "purged"]),
  /** The relay's last refusal before that, where there was one. */
  reply: Schema.optional(Reply.Reply),
  /** The last attempt's error, where the relay gave no reply. */
  problem: Schema.optional(Schema.String)
}) {
  readonly isRetryable = false
  override get message() {
    const what = withdrawal[this.state].message
    const last = this.reply === undefined ? this.problem : quote(this.reply)
    return last === undefined ? what : `${what}; the last attempt ended with ${last}`
  }
  get remedy() {
    return withdrawal[this.state].remedy
  }
}

const withdrawal = {
  cancelled: {
    message: "the message was cancelled before a relay accepted it",
    remedy: "retry it in the outbox (`Outbox.retry`) if it is to be sent after all"
  },
  expired: {
    message: "the message expired before a relay accepted it",
    remedy:
      "look at the refusals before it expired; give such messages a later `expiresAt`, or the outbox a longer `expiry`"
  },
  purged: {
    message: "the message was purged from the outbox before a relay accepted it",
    remedy: "send it again if it is still wanted"
  }
}

/**
 * The relay failed too often and is left alone for a while (the circuit breaker of `@mailrace/flow`). Retryable.
 *
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("mailrace/MailError/CircuitOpen")("CircuitOpen", {
  /** The relay as `host:port`. */
  relay: Schema.String,
  /** How long until the next attempt is let through, in milliseconds. */
  retryAfter: Schema.Finite
}) {
  readonly isRetryable = true
  override get message() {
    return `the relay ${this.relay} failed too often and is left alone for ${this.retryAfter} ms`
  }
  get remedy() {
    return "wait for the next attempt, and look for the cause in the relay's earlier errors"
  }
}

/**
 * A quota of this account or tenant is used up. Retryable, because the quota fills again.
 *
 * @since 0.1.0
 */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>("mailrace/MailError/QuotaExceeded")(
  "QuotaExceeded",
  {
    /** The quota's name. */
    quota: Schema.String,
    retryAfter
  }
) {
  readonly isRetryable = true
  override get message() {
    return `the quota "${this.quota}" is used up`
  }
  get remedy() {
    return "wait until the quota fills again, or raise it"
  }
}

/**
 * Every reason for which a message can fail.
 *
 * @since 0.1.0
 */
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
  TransportUnavailable,
  Withdrawn,
  CircuitOpen,
  QuotaExceeded
])

/**
 * Every reason for which a message can fail.
 *
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The same reason with a time to retry; a reason that is never retryable has no such field and stays as it is.
 *
 * @since 0.1.0
 */
export const withRetryAfter = (reason: Reason, milliseconds: number): Reason => {
  const { fields } = reason.constructor as typeof Throttled
  if (!("retryAfter" in fields)) return reason
  const facts = Object.fromEntries(Object.keys(fields).map((name) => [name, reason[name as keyof Reason]]))
  return new (reason.constructor as new (facts: object) => Reason)({ ...facts, retryAfter: milliseconds })
}
