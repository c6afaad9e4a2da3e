/**
 * Converts Mailrace's errors into nodemailer's form for code that reads `code`, `command`, `response`, `responseCode`,
 * `permanent`, `rejected` and `rejectedErrors`. The `MailError` itself is the `cause`.
 */
import type * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import type { NodemailerError } from "./peer.ts"

/** Makes an error in nodemailer's form. */
export const make = (
  code: string,
  message: string,
  fields: Partial<NodemailerError> & { readonly reply?: Reply.Reply | undefined } = {}
): NodemailerError => {
  const { reply, ...others } = fields
  const response = reply === undefined ? undefined : responseOf(reply)
  const error: NodemailerError = new Error(response === undefined ? message : `${message}: ${response}`)
  return Object.assign(
    error,
    { code },
    others,
    reply === undefined
      ? {}
      : // A sequence error is the session's fault and not the message's, as nodemailer has it.
        { response, responseCode: reply.code, permanent: Reply.isPermanent(reply) && reply.code !== 503 }
  )
}

/** A reply as the relay wrote it: each line with the code, and a hyphen before all but the last (RFC 5321 §4.2.1). */
export const responseOf = ({ code, enhanced, text }: Reply.Reply): string => {
  const lines = (enhanced === undefined ? text : `${enhanced} ${text}`).split("\n")
  return lines.map((line, index) => `${code}${index < lines.length - 1 ? "-" : " "}${line}`.trimEnd()).join("\n")
}

/** One error for each refused recipient. */
export const ofRecipients = (recipients: ReadonlyArray<MailError.RecipientOutcome>): Array<NodemailerError> =>
  recipients.flatMap(({ address, outcome, reply }) =>
    outcome === "rejected" || outcome === "deferred"
      ? [make("EENVELOPE", "Recipient command failed", { command: "RCPT TO", recipient: address, reply })]
      : []
  )

/** Converts a `MailError` of a message to these recipients. */
export const fromMailError = (error: MailError.MailError, to: ReadonlyArray<string> = []): NodemailerError => {
  const { reason } = error
  const made = ((): NodemailerError => {
    switch (reason._tag) {
      case "InvalidMessage":
        return ofInvalid(reason)
      case "RecipientsRejected":
        return ofRejected(
          reason.recipients,
          // A temporary refusal stands for all, so that the app does not give up on the message.
          reason.recipients.find(({ outcome }) => outcome === "deferred")?.reply ?? reason.reply
        )
      case "SenderRejected":
        return ofRefusal(reason.at ?? "mail", reason.reply, to)
      case "MessageRejected":
      case "MailboxUnavailable":
        return ofRefusal(reason.at ?? "content", reason.reply, to)
      case "Throttled":
        return reason.at === undefined && reason.reply.code === 421
          ? make("ECONNECTION", "Server closed the connection", { command: "CONN", reply: reason.reply })
          : ofRefusal(reason.at ?? "mail", reason.reply, to)
      case "SizeExceeded":
        return reason.reply === undefined
          ? make("EMESSAGE", `Message size larger than allowed ${reason.limit ?? ""}`.trimEnd(), {
              command: "MAIL FROM"
            })
          : ofRefusal(reason.at ?? "content", reason.reply, to)
      case "AuthenticationFailed":
        return make("EAUTH", reason.reply === undefined ? reason.problem : "Invalid login", {
          command: reason.mechanism === undefined ? "API" : `AUTH ${reason.mechanism}`,
          reply: reason.reply
        })
      case "TlsFailed":
        return make("ETLS", reason.problem, { command: "CONN" })
      case "ConnectFailed":
        return ofConnect(reason, to)
      case "Timeout":
        return make("ETIMEDOUT", reason.message, { command: "CONN", timeoutType: timeoutType(reason.phase) })
      case "OutcomeUnknown":
        if (reason.limitMs !== undefined)
          return make("ETIMEDOUT", "Timeout", { command: "CONN", timeoutType: "SOCKET_TIMEOUT" })
        return make("ECONNECTION", "Connection closed unexpectedly", { command: "CONN" })
      case "ConnectionLost":
        return make("ECONNECTION", "Connection closed unexpectedly", { command: "CONN" })
      case "ProtocolViolation":
        return reason.at !== undefined && reason.reply !== undefined && !Reply.isPositive(reason.reply)
          ? ofRefusal(reason.at, reason.reply, to)
          : make("EPROTOCOL", reason.problem, { command: "CONN", reply: reason.reply })
      case "CapabilityMissing":
        return make(reason.capability === "REQUIRETLS" ? "EREQUIRETLS" : "EENVELOPE", reason.message, {
          command: "MAIL FROM"
        })
      case "TransportUnavailable":
        return make("ECONNECTION", reason.message, { command: "CONN" })
      case "Withdrawn":
        return make("EMESSAGE", reason.message, { command: "API", reply: reason.reply })
      case "CircuitOpen":
      case "QuotaExceeded":
        return make("EMAXLIMIT", reason.message)
    }
  })()
  made.cause = error
  return made
}

/** A message that was refused before it was sent; its content could not be read, or it is wrong. */
const ofInvalid = ({ field, message, problem }: MailError.InvalidMessage): NodemailerError => {
  if (/^(?:from|to|cc|bcc|dsn|envelope)\b/.test(field)) return make("EENVELOPE", message, { command: "API" })
  return field === "content"
    ? make("ESTREAM", problem, { command: "API" })
    : make("EMESSAGE", message, { command: "API" })
}

/** A reply that refused the message, at the command that it answered. */
const ofRefusal = (
  at: NonNullable<MailError.Throttled["at"]>,
  reply: Reply.Reply,
  to: ReadonlyArray<string>
): NodemailerError => {
  switch (at) {
    case "mail":
      return make("EENVELOPE", "Mail command failed", { command: "MAIL FROM", reply })
    case "rcpt":
      return ofRejected(
        to.map((address) => ({ address, outcome: Reply.isTransient(reply) ? "deferred" : "rejected", reply })),
        reply
      )
    case "data":
      return make("EENVELOPE", "Data command failed", { command: "DATA", reply })
    case "content":
      return make("EMESSAGE", "Message failed", { command: "DATA", reply })
  }
}

const ofRejected = (
  recipients: ReadonlyArray<MailError.RecipientOutcome>,
  reply: Reply.Reply | undefined
): NodemailerError =>
  make("EENVELOPE", "Can't send mail - all recipients were rejected", {
    command: "RCPT TO",
    reply,
    rejected: recipients.map(({ address }) => address),
    rejectedErrors: ofRecipients(recipients)
  })

const ofConnect = (reason: MailError.ConnectFailed, to: ReadonlyArray<string>): NodemailerError => {
  const { host, kind, port, problem, reply } = reason
  if (kind === "greeting")
    return make(reply === undefined ? "ECONNECTION" : "EPROTOCOL", problem, { command: "CONN", reply })
  if (kind === "starttls") return make("ETLS", problem, { command: "STARTTLS", reply })
  if (kind === "client" && reply !== undefined) return ofRefusal(reason.at ?? "mail", reply, to)
  if (kind === "dns") return make("EDNS", problem, { command: "CONN", originalCode: "ENOTFOUND" })
  const originalCode = kind === "refused" ? "ECONNREFUSED" : "EHOSTUNREACH"
  const where = { address: host, port, syscall: "connect" }
  return Object.assign(make("ESOCKET", problem, { command: "CONN", originalCode }), where)
}

const timeoutType = (phase: MailError.Phase): NonNullable<NodemailerError["timeoutType"]> => {
  switch (phase) {
    case "dns":
    case "connect":
      return "CONNECT_TIMEOUT"
    case "greeting":
      return "GREETING_TIMEOUT"
    case "tls":
    case "starttls":
      return "UPGRADE_TIMEOUT"
    default:
      return "SOCKET_TIMEOUT"
  }
}
