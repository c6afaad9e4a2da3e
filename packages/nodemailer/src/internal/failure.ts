/**
 * Maps nodemailer's errors to reasons of a `MailError`.
 *
 * A reply of the server outranks everything else, then a code that leaves no doubt. Any other error, such as a broken link
 * or a plain "failed", is judged by how much of the content had been handed over. After its end the server may have the
 * message, so the reason is `OutcomeUnknown`.
 */
import * as ReplyClassification from "@mailrace/smtp/ReplyClassification"
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import type * as Reply from "mailrace/Reply"
import type { NodemailerError } from "nodemailer"
import type * as Handover from "./handover.ts"
import * as Recipients from "./recipients.ts"
import * as ServerReply from "./serverReply.ts"

/** The state of a send when its transport failed. */
export interface Situation {
  readonly message: Composed.Composed
  readonly stage: Handover.Stage
  /** The relay's host, or the transport's name if it does not speak SMTP. */
  readonly host: string
  /** The relay's port; 0 if the transport does not speak SMTP. */
  readonly port: number
  /** The transport's limits in milliseconds. */
  readonly limits: { readonly connect: number; readonly greeting: number; readonly silence: number }
}

/** An error of nodemailer or of an SDK that it wraps. */
type Failure = NodemailerError & { readonly $metadata?: { readonly httpStatusCode?: number | undefined } | undefined }

/** Maps whatever a transport threw. */
export const toMailError = (thrown: unknown, situation: Situation): MailError.MailError => {
  const error: Failure = thrown instanceof Error ? thrown : new Error(String(thrown))
  const { message } = situation
  const reply = ServerReply.parse(error.response)
  switch (error.code) {
    case "EAUTH":
    case "ENOAUTH":
    case "EOAUTH2": {
      const mechanism = /^AUTH (.+)/.exec(error.command ?? "")?.[1]
      const problem = reply === undefined ? words(error) : "the relay refused the login"
      return MailError.make(new MailError.AuthenticationFailed({ problem, mechanism, reply }))
    }
    case "EENVELOPE":
      return ofEnvelope(error, reply, situation)
    case "EMESSAGE": {
      const limit = /larger than allowed (\d+)/.exec(error.message)?.[1]
      if (limit !== undefined && reply === undefined)
        return MailError.make(new MailError.SizeExceeded({ size: message.size, limit: Number(limit) }))
      return isRefusal(reply)
        ? ReplyClassification.fromRefusal("content", reply, message.size)
        : ofNoReply("content", error, situation)
    }
    case "EREQUIRETLS":
      return MailError.make(new MailError.CapabilityMissing({ capability: "REQUIRETLS", problem: words(error) }))
    case "ETLS":
      return MailError.make(new MailError.TlsFailed({ problem: words(error) }))
    case "EPROXY":
      return connectFailed(situation, "unreachable", words(error))
    case "EMAXRECIPIENTS":
      return MailError.invalid("to", words(error))
    case "ESTREAM":
    case "EFILEACCESS":
    case "EURLACCESS":
    case "EFETCH":
    case "EOTP":
      return MailError.invalid("content", words(error))
    case "ESENDMAIL":
      return ofSendmail(error, situation)
    default:
      return error.$metadata?.httpStatusCode === undefined
        ? ofLink(error, reply, situation)
        : ofHttp(error, error.$metadata.httpStatusCode)
  }
}

const ofEnvelope = (error: Failure, reply: Reply.Reply | undefined, situation: Situation): MailError.MailError => {
  const { envelope, size } = situation.message
  if (Array.isArray(error.rejectedErrors)) {
    const recipients = Recipients.outcomes(envelope.to, error, "rejected")
    if (recipients.some((recipient) => recipient.reply !== undefined))
      return ReplyClassification.fromRecipients(recipients)
  }
  return isRefusal(reply)
    ? ReplyClassification.fromRefusal(error.command === "MAIL FROM" ? "mail" : "data", reply, size)
    : ofNoReply("envelope", error, situation)
}

/** nodemailer itself refused (`API`), or the server's words are not a refusal. */
const ofNoReply = (field: string, error: Failure, situation: Situation): MailError.MailError =>
  error.command === "API" || (error.response === undefined && situation.stage !== "handedOver")
    ? MailError.invalid(field, words(error))
    : ofLink({ ...error, name: error.name, message: error.message, code: "EPROTOCOL" }, undefined, situation)

const isRefusal = (reply: Reply.Reply | undefined): reply is Reply.Reply => reply !== undefined && reply.code >= 400

/** A broken link, or an error without details. */
const ofLink = (error: Failure, reply: Reply.Reply | undefined, situation: Situation): MailError.MailError => {
  const { stage } = situation
  if (isRefusal(reply)) {
    if (reply.code === 421) return ReplyClassification.fromClosing(reply)
    return stage === "connect"
      ? connectFailed(situation, "greeting", "the relay does not want this client", reply)
      : ReplyClassification.fromRefusal(stage === "handedOver" ? "content" : "data", reply, situation.message.size)
  }
  if (stage === "handedOver") return MailError.make(new MailError.OutcomeUnknown({ problem: words(error) }))
  const code = error.originalCode ?? error.code ?? ""
  const isConnecting = error.syscall === "connect" || error.syscall === "getaddrinfo"
  if (code === "ENOTFOUND")
    return connectFailed(
      situation,
      "dns",
      situation.port === 0 ? words(error) : `the name ${situation.host} does not exist`
    )
  if (error.code === "EDNS" || code === "EAI_AGAIN") return connectFailed(situation, "unreachable", words(error))
  if (code === "ECONNREFUSED" && isConnecting) return connectFailed(situation, "refused", words(error))
  if (error.syscall?.startsWith("spawn")) return ofProgram(code, error, situation)
  if (certificateCodes.test(code)) return MailError.make(new MailError.TlsFailed({ problem: words(error) }))
  if (error.code === "ETIMEDOUT" && !isConnecting) return ofSilence(error, situation)
  if (isConnecting) return connectFailed(situation, "unreachable", words(error))
  return error.code === "EPROTOCOL"
    ? MailError.make(new MailError.ProtocolViolation({ problem: words(error), reply }))
    : MailError.make(new MailError.ConnectionLost({ phase: stage, problem: words(error) }))
}

const ofSilence = (error: Failure, { limits, stage }: Situation): MailError.MailError => {
  switch (error.timeoutType) {
    case "CONNECT_TIMEOUT":
      return MailError.make(new MailError.Timeout({ phase: "connect", limitMs: limits.connect }))
    case "GREETING_TIMEOUT":
      return MailError.make(new MailError.Timeout({ phase: "greeting", limitMs: limits.greeting }))
    case "UPGRADE_TIMEOUT":
      return MailError.make(new MailError.Timeout({ phase: "starttls", limitMs: limits.greeting }))
    default:
      return MailError.make(
        new MailError.Timeout({ phase: stage === "handedOver" ? "finalReply" : stage, limitMs: limits.silence })
      )
  }
}

/** The program could not be run. Another attempt meets the same fault unless this machine ran out of something. */
const ofProgram = (code: string, error: Failure, { host }: Situation): MailError.MailError => {
  const program = error.path ?? "the program"
  const hint =
    code === "ENOENT"
      ? `install ${program}, or correct the transport's \`path\``
      : code === "EACCES" || code === "EPERM"
        ? `let this user execute ${program}`
        : `check that this machine can run ${program}`
  const isRetryable = code === "EAGAIN" || code === "ENOMEM" || code === "EMFILE" || code === "ENFILE"
  return unavailable(host, words(error), hint, isRetryable)
}

const unavailable = (transport: string, problem: string, hint: string, isRetryable: boolean): MailError.MailError =>
  MailError.make(new MailError.TransportUnavailable({ transport, problem, hint, isRetryable }))

/** Exit codes of sendmail (sysexits.h) that a later attempt may not meet again. */
const temporaryExits = new Set([69, 70, 71, 73, 74, 75])

const ofSendmail = (error: Failure, situation: Situation): MailError.MailError => {
  const exit = /exited with code (\d+)/.exec(error.message)?.[1]
  if (exit === "127") return ofProgram("ENOENT", error, situation)
  if (exit !== undefined) return ofProvider(words(error), temporaryExits.has(Number(exit)))
  return /Invalid envelope/.test(error.message)
    ? MailError.invalid("envelope", words(error))
    : ofLink(error, undefined, situation)
}

/** A provider's answer over HTTP, as Amazon SES gives it. */
const ofHttp = (error: Failure, status: number): MailError.MailError => {
  const text = `${error.name}: ${words(error)}`
  if (status === 401 || status === 403 || /Credential|Signature|Token|AccessDenied/.test(error.name))
    return MailError.make(new MailError.AuthenticationFailed({ problem: text }))
  if (status === 429 || /Throttl|TooMany|LimitExceeded|Rate/.test(error.name))
    return MailError.make(new MailError.Throttled({ reply: { code: 451, text } }))
  return ofProvider(text, status >= 500)
}

/** Puts a provider's answer into the form of an SMTP reply. */
const ofProvider = (text: string, isTransient: boolean): MailError.MailError =>
  MailError.make(new MailError.MessageRejected({ reply: { code: isTransient ? 451 : 554, text } }))

const connectFailed = (
  { host, port }: Situation,
  kind: MailError.ConnectFailed["kind"],
  problem: string,
  reply?: Reply.Reply
): MailError.MailError =>
  port === 0 && reply === undefined
    ? unavailable(host, problem, "check this machine's network and the transport's settings", kind !== "dns")
    : MailError.make(new MailError.ConnectFailed({ kind, host, port, problem, reply }))

/** Node's and OpenSSL's codes for a bad certificate or a failed handshake. */
const certificateCodes = /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|ERR_TLS_|ERR_SSL_|EPROTO$)/

const words = (error: Error): string =>
  error.message
    .replace(/[\x00-\x1f\x7f]+/g, " ")
    .trim()
    .slice(0, 500) || error.name
