/**
 * Finds the recipients that will never accept mail, so that later runs should not try them.
 *
 * Which refusals say so is in the table of replies: the enhanced statuses 5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10 and 5.2.1, unless
 * the words name another cause. 5.1.3 counts for ASCII addresses only, because a relay may not know others.
 */
import type * as MailError from "mailrace/MailError"
import * as ReplyMeaning from "mailrace/ReplyMeaning"

/** The recipients of an attempt that will never accept mail; `addresses` are all recipients of the attempt. */
export const goneOf = (
  recipients: ReadonlyArray<MailError.RecipientOutcome>,
  error: MailError.MailError | undefined,
  addresses: ReadonlyArray<string>
): ReadonlyArray<string> => {
  if (recipients.length > 0)
    return recipients
      .filter((one) => one.outcome === "rejected" && isGone(one.address, one.reply, "rcpt"))
      .map((one) => one.address)
  // A reply to the content concerns a recipient only if there is just one.
  const [only, ...others] = addresses
  const isAboutContent = error?.reason._tag === "MailboxUnavailable"
  const isAboutMailbox = isAboutContent || error?.reason._tag === "RecipientsRejected"
  return only !== undefined &&
    others.length === 0 &&
    isAboutMailbox &&
    isGone(only, error.reply, isAboutContent ? "final" : "rcpt")
    ? [only]
    : []
}

const isGone = (address: string, reply: MailError.RecipientOutcome["reply"], place: ReplyMeaning.Place): boolean => {
  if (reply === undefined || reply.code < 500 || !ReplyMeaning.of(reply, place).isGone) return false
  return reply.enhanced !== "5.1.3" || !/[^\u0000-\u007F]/.test(address)
}
