/**
 * Judges a failed attempt: what it says about its relay, and whether the message may go to another one at once.
 *
 * Another relay is safe where this one has nothing of the message and said nothing about it. A message that a relay refused
 * stays refused, for good or for now; one whose outcome is unknown may have arrived.
 */
import * as MailError from "mailrace/MailError"
import type { AttemptEnd } from "./relayHealth.ts"

/** The meaning of an attempt's error. */
export interface Verdict {
  readonly end: AttemptEnd
  readonly mayGoElsewhere: boolean
  /** How long the relay is to be left alone, in milliseconds. */
  readonly askedMs: number
}

/** A login, a certificate or a name is wrong until somebody corrects it, and repeated logins lock accounts. */
const permanentRestMs = 60_000

export const ofError = (error: MailError.MailError): Verdict => {
  const verdict = (end: AttemptEnd, mayGoElsewhere: boolean): Verdict => ({
    end,
    mayGoElsewhere,
    askedMs: end === "failed" && !error.isRetryable ? permanentRestMs : (error.retryAfter ?? 0)
  })
  const { reason } = error
  switch (reason._tag) {
    case "ConnectFailed":
      // A relay that is well may refuse this client for some recipients, as those that it does not relay to.
      return verdict(reason.kind === "client" ? "answered" : "failed", true)
    case "TlsFailed":
    case "AuthenticationFailed":
    case "TransportUnavailable":
    case "Timeout":
    case "ConnectionLost":
      return verdict(MailError.isAboutRelay(error) ? "failed" : "disturbed", true)
    case "CircuitOpen":
      return verdict("held", true)
    case "ProtocolViolation":
      return verdict("disturbed", true)
    case "Throttled":
      // 421 ends the session (RFC 5321 §3.8); other replies put off the message.
      return reason.reply.code === 421 ? verdict("disturbed", true) : verdict("answered", false)
    case "QuotaExceeded":
    case "CapabilityMissing":
      return verdict("unknown", true)
    case "SizeExceeded":
      // Without a reply it is the limit of RFC 1870 that kept the message from this relay.
      return reason.reply === undefined ? verdict("unknown", true) : verdict("answered", false)
    case "OutcomeUnknown":
      return verdict("disturbed", false)
    case "InvalidMessage":
    case "Withdrawn":
      return verdict("unknown", false)
    case "RecipientsRejected":
    case "SenderRejected":
    case "MessageRejected":
    case "MailboxUnavailable":
      return verdict("answered", false)
  }
}
