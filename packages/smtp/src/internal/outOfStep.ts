/**
 * Replies that cannot be the answer to what was asked.
 *
 * Replies are matched by count alone, so these are the signs that the count is wrong, or that the peer has another
 * transaction open than we believe. Whatever such a reply says, it is not about this message: the connection fails.
 */
import type * as Reply from "mailrace/Reply"
import type { Transaction } from "../Transaction.ts"

/** Where a reply shows that both sides are out of step, in words; nothing when it may be the answer. */
export const outOfStep = (transaction: Transaction, { code }: Reply.Reply): string | undefined => {
  const isIntermediate = code >= 300 && code < 400
  switch (transaction.stage) {
    case "mail":
      // Nothing can be out of sequence here, unless an earlier transaction is still open.
      return isIntermediate || code === 503 ? "at MAIL" : undefined
    case "rcpt": {
      // Without a sender there is nobody to send to; with one, there is nothing out of sequence.
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
