/**
 * Maps the reply that refused a transaction to the `MailError` on which `Mailer` decides.
 *
 * The reply's code outranks all else: 4yz may succeed later, 5yz will not (RFC 5321 §4.2.1). The enhanced status
 * (RFC 3463) refines it, and so does the command that was refused. A refusal of the login or of the connection has
 * reasons of its own, so that a problem of the relay never marks a mail as undeliverable.
 *
 * @since 0.1.0
 */

import * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"

/**
 * The command that a reply refused.
 *
 * @since 0.1.0
 */
export type Refused = "mail" | "data" | "content"

/**
 * The error for a message that was refused at MAIL, at DATA, or after its content; `size` is the message's.
 *
 * @since 0.1.0
 */
export const fromRefusal = (refused: Refused, reply: Reply.Reply, size: number): MailError.MailError => {
  if (isThrottling(reply)) return throttled(reply, refused)
  if (reply.code === 530) return sessionLacks(reply)
  if (isTooLarge(reply)) return MailError.make(new MailError.SizeExceeded({ size, reply, at: refused }))
  if (refused === "mail") return MailError.make(new MailError.SenderRejected({ reply }))
  return isAboutMailbox(reply)
    ? MailError.make(new MailError.MailboxUnavailable({ reply, at: refused }))
    : MailError.make(new MailError.MessageRejected({ reply, at: refused }))
}

/**
 * The error for a message of which the relay refused every recipient.
 *
 * @since 0.1.0
 */
export const fromRecipients = (recipients: ReadonlyArray<MailError.RecipientOutcome>): MailError.MailError => {
  const replies = recipients.flatMap((recipient) => recipient.reply ?? [])
  const [first] = replies
  if (first?.code === 530) return sessionLacks(first)
  const throttling = replies.every(isTransient) ? replies.find(isThrottling) : undefined
  return throttling !== undefined
    ? throttled(throttling, "rcpt")
    : MailError.make(new MailError.RecipientsRejected({ recipients, reply: replies[0]! }))
}

/**
 * The recipient's outcome from the reply to its RCPT.
 *
 * @since 0.1.0
 */
export const recipientOutcome = (address: string, reply: Reply.Reply): MailError.RecipientOutcome => ({
  address,
  outcome: Reply.isPositive(reply) ? "accepted" : isTransient(reply) ? "deferred" : "rejected",
  reply
})

/**
 * The error if the relay ends the connection with 421, in place of the reply to `at`, or turns it away at the greeting.
 *
 * @since 0.1.0
 */
export const fromClosing = (reply: Reply.Reply, at?: MailError.Throttled["at"]): MailError.MailError =>
  throttled(reply, at)

/**
 * True if the relay asks the client to slow down or to come back: it closes (421), lacks resources (x.3.2, x.4.5, x.5.3 with
 * 4yz), or puts a policy or rate before it (4.7.x; 450 4.2.1 is a mailbox that gets too much).
 *
 * @since 0.1.0
 */
export const isThrottling = (reply: Reply.Reply): boolean => {
  if (reply.code === 421) return true
  if (!Reply.isTransient(reply)) return isTransient(reply)
  const status = reply.enhanced
  if (status === undefined) return reply.code === 451 && /gr[ae]y-?list|try again later|rate/i.test(reply.text)
  return (
    status.startsWith("4.7.") ||
    status === "4.3.2" ||
    status === "4.4.5" ||
    status === "4.5.3" ||
    (reply.code === 450 && status === "4.2.1")
  )
}

/** 4yz, and 552 with a status of class 4: the mailbox is full for now, though the code means permanently too large. */
const isTransient = (reply: Reply.Reply): boolean =>
  Reply.isTransient(reply) || (reply.code === 552 && /^4\.\d/.test(reply.text))

/** 552 without a status is SIZE's code (RFC 1870 §6); x.3.4 and x.2.3 mean too large a message (RFC 3463). */
const isTooLarge = (reply: Reply.Reply): boolean =>
  Reply.isPermanent(reply) &&
  (reply.enhanced === undefined ? reply.code === 552 : reply.enhanced === "5.3.4" || reply.enhanced === "5.2.3")

/** 530 is about the session: the relay wants TLS first (RFC 3207 §4), or a login (RFC 4954 §6). */
const sessionLacks = (reply: Reply.Reply): MailError.MailError =>
  /tls/i.test(reply.text)
    ? MailError.make(
        new MailError.TlsFailed({
          problem: `the relay demands TLS: "${Reply.format(reply)}"`,
          hint: "use tls=required (STARTTLS) or smtps:// (implicit TLS)"
        })
      )
    : MailError.make(
        new MailError.AuthenticationFailed({
          problem: "the relay demands a login",
          hint: "give a user and a password (smtp://user:password@host, or `auth`)",
          reply
        })
      )

const isAboutMailbox = (reply: Reply.Reply): boolean =>
  reply.enhanced !== undefined && /^[45]\.[12]\./.test(reply.enhanced)

const throttled = (reply: Reply.Reply, at: MailError.Throttled["at"]): MailError.MailError => {
  const retryAfter = retryAfterOf(reply)
  return MailError.make(
    new MailError.Throttled({
      reply,
      ...(at === undefined ? {} : { at }),
      ...(retryAfter === undefined ? {} : { retryAfter })
    })
  )
}

const unitMillis: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

/** The wait that a reply's words ask for, as in "try again in 300 seconds" or "retry in 5 minutes", at most a day. */
const retryAfterOf = (reply: Reply.Reply): number | undefined => {
  const match = /\b(?:in|after|for) (\d{1,6}) ?(s|m|h)(?:ecs?|econds?|ins?|inutes?|ours?|rs?)?\b/i.exec(reply.text)
  const [, amount, unit] = match ?? []
  if (amount === undefined || unit === undefined) return undefined
  const millis = Number(amount) * unitMillis[unit.toLowerCase()]!
  return millis > 0 && millis <= 86_400_000 ? millis : undefined
}
