/**
 * Replies that cannot be the answer to what was asked.
 *
 * Replies are matched by count alone, so these are the signs that the count is wrong, or that the peer has another
 * transaction open than we believe. Whatever such a reply says, it is not about this message: the connection fails.
 *
 * A command that came before the replies to what is ahead of it may be refused for that alone: as out of sequence, as not
 * recognised because a part of it was lost, or in words (Postfix's "SMTP protocol synchronization", Sendmail's "improper
 * command pipelining").
 *
 * A relay that demands a login may say so by 502 or 503, and a policy may refuse by them (5.7.x); both are in step.
 */
import type * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import type { Transaction } from "./transaction.ts"

/** Describes how a reply shows desynchronisation; `undefined` if it may be the answer. */
export const replyDesync = (transaction: Transaction, reply: Reply.Reply): string | undefined => {
  const { code } = reply
  if ((code === 502 || code === 503) && isDemand(transaction, reply)) return undefined
  if (transaction.isEarly && isTooEarly(reply)) {
    const place = { mail: "at MAIL", rcpt: "at RCPT", data: "at DATA" }[transaction.stage as string]
    if (place !== undefined) return place
  }
  const isIntermediate = code >= 300 && code < 400
  switch (transaction.stage) {
    case "mail":
      // Only an open earlier transaction can put this out of sequence.
      return isIntermediate || code === 503 ? "at MAIL" : undefined
    case "rcpt": {
      // After an accepted MAIL, RCPT cannot be out of sequence.
      const isWrong = transaction.mailReply!.code >= 400 ? code < 300 : code === 503
      return isIntermediate || isWrong ? "at RCPT" : undefined
    }
    case "data":
      return (code < 400 && code !== 354) || (code === 503 && transaction.hasRecipients) ? "at DATA" : undefined
    case "final": {
      const canBeTaken = transaction.hasRecipients && transaction.isHandedOver
      const isWrong = code < 300 ? !canBeTaken : code === 503 && transaction.hasRecipients
      return isIntermediate || isWrong ? "after the content" : undefined
    }
    default:
      return undefined
  }
}

/** True if the relay demands a login or TLS before it takes an envelope, or refuses it by a policy. */
const isDemand = ({ stage }: Transaction, reply: Reply.Reply): boolean => {
  if (stage !== "mail" && stage !== "rcpt") return false
  if (reply.enhanced?.startsWith("5.7.") === true) return true
  const { about } = ReplyMeaning.of(reply, stage)
  return about === "login" || about === "tls"
}

/** True if an envelope was refused for coming early, by its code or in words. */
const isTooEarly = ({ code, text }: Reply.Reply): boolean =>
  code === 500 || code === 502 || (code >= 500 && /pipelin|synchroni[sz]/i.test(text.slice(0, 80)))
