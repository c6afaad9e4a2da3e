/**
 * Maps the reply that refused a transaction to the `MailError` on which `Mailer` decides.
 *
 * `ReplyMeaning`'s table says what a reply is about; here each subject gets its reason. A refusal of the login, of this client or
 * of the connection has reasons of its own, so that a problem of the relay never marks a message as undeliverable.
 *
 * @since 0.1.0
 */

import * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"

/**
 * The command that a reply refused.
 *
 * @since 0.1.0
 */
export type Refused = "mail" | "data" | "content"

/**
 * A relay, for errors that name it.
 *
 * @since 0.1.0
 */
export interface Relay {
  readonly host: string
  readonly port: number
}

/**
 * The error for a message that was refused at MAIL, at DATA, or after its content; `size` is the message's.
 *
 * @since 0.1.0
 */
export const fromRefusal = (refused: Refused, reply: Reply.Reply, size: number, relay?: Relay): MailError.MailError => {
  const meaning = ReplyMeaning.of(reply, refused === "content" ? "final" : refused)
  const error = ofSession(reply, meaning, refused, relay)
  if (error !== undefined) return error
  switch (meaning.about) {
    case "size":
      return MailError.make(new MailError.SizeExceeded({ size, reply, at: refused }))
    case "sender":
      return MailError.make(new MailError.SenderRejected({ reply, at: refused }))
    case "recipient":
      return MailError.make(new MailError.MailboxUnavailable({ reply, at: refused }))
    default:
      return refused === "mail"
        ? MailError.make(new MailError.SenderRejected({ reply, at: refused }))
        : MailError.make(new MailError.MessageRejected({ reply, at: refused }))
  }
}

/**
 * The error for a message of which the relay refused every recipient.
 *
 * @since 0.1.0
 */
export const fromRecipients = (
  recipients: ReadonlyArray<MailError.RecipientOutcome>,
  relay?: Relay
): MailError.MailError => {
  const replies = recipients.flatMap((recipient) => recipient.reply ?? [])
  const [first] = replies
  const meanings = replies.map((reply) => ReplyMeaning.of(reply, "rcpt"))
  const [meaning] = meanings
  if (first !== undefined && meaning !== undefined) {
    // A relay that wants a login or TLS wants it of every recipient, and says so to the first.
    if (meaning.about === "login" || meaning.about === "tls") return ofSession(first, meaning, "rcpt", relay)!
    if (meanings.every(({ about }) => about === "client")) return ofSession(first, meaning, "rcpt", relay)!
    if (meanings.every(({ about }) => about === "sender"))
      return MailError.make(new MailError.SenderRejected({ reply: first, at: "rcpt" }))
    if (meanings.every(({ isTransient }) => isTransient)) {
      const throttling = meanings.findIndex(isThrottlingMeaning)
      if (throttling !== -1) return throttled(replies[throttling]!, meanings[throttling]!, "rcpt")
    }
  }
  return MailError.make(new MailError.RecipientsRejected({ recipients, reply: first! }))
}

/**
 * The recipient's outcome from the reply to its RCPT; `hasAccepted` tells whether the relay had accepted one before it.
 *
 * @since 0.1.0
 */
export const recipientOutcome = (
  address: string,
  reply: Reply.Reply,
  hasAccepted = false
): MailError.RecipientOutcome => {
  if (Reply.isPositive(reply)) return { address, outcome: "accepted", reply }
  const { isTransient } = ReplyMeaning.of(reply, "rcpt", { hasAccepted })
  return { address, outcome: isTransient ? "deferred" : "rejected", reply }
}

/**
 * The error if the relay ends the connection with 421, in place of the reply to `at`, or turns it away at the greeting.
 *
 * @since 0.1.0
 */
export const fromClosing = (reply: Reply.Reply, at?: MailError.Throttled["at"]): MailError.MailError =>
  throttled(reply, ReplyMeaning.of(reply, "mail"), at)

/**
 * True if the relay asks the client to slow down or to come back: it closes (421), lacks resources (x.3.2, x.4.5, x.5.3 with
 * 4yz), or puts a policy or rate before it (4.7.x; 450 4.2.1 is a mailbox that gets too much).
 *
 * @since 0.1.0
 */
export const isThrottling = (reply: Reply.Reply): boolean =>
  reply.code === 421 || (reply.code >= 400 && isThrottlingMeaning(ReplyMeaning.of(reply, "mail")))

const isThrottlingMeaning = ({ about, isTransient }: ReplyMeaning.Meaning): boolean =>
  isTransient && throttling.has(about)

const throttling: ReadonlySet<ReplyMeaning.About> = new Set<ReplyMeaning.About>([
  "greylisted",
  "rate",
  "quota",
  "recipients",
  "connections",
  "messagesPerSession"
])

/** The error for what is not about the message: the relay asks to wait, wants a login or TLS, or refuses this client. */
const ofSession = (
  reply: Reply.Reply,
  meaning: ReplyMeaning.Meaning,
  at: MailError.Throttled["at"],
  relay: Relay | undefined
): MailError.MailError | undefined => {
  if (reply.code === 421 || isThrottlingMeaning(meaning)) return throttled(reply, meaning, at)
  const hint = meaning.remedy
  switch (meaning.about) {
    case "login":
      return MailError.make(new MailError.AuthenticationFailed({ problem: "the relay demands a login", hint, reply }))
    case "tls":
      return MailError.make(
        new MailError.TlsFailed({ problem: `the relay demands TLS: "${Reply.format(reply)}"`, hint })
      )
    case "client":
      return MailError.make(
        new MailError.ConnectFailed({
          kind: "client",
          host: relay?.host ?? "",
          port: relay?.port ?? 0,
          problem: `${relay === undefined ? "the relay" : `${relay.host}:${relay.port}`} refuses this client`,
          hint,
          reply,
          ...(at === undefined ? {} : { at })
        })
      )
    default:
      return undefined
  }
}

const throttled = (
  reply: Reply.Reply,
  { retryAfter }: ReplyMeaning.Meaning,
  at: MailError.Throttled["at"]
): MailError.MailError =>
  MailError.make(
    new MailError.Throttled({
      reply,
      ...(at === undefined ? {} : { at }),
      ...(retryAfter === undefined ? {} : { retryAfter })
    })
  )
