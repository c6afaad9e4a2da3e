/**
 * Whether a refusal says that an address will never take mail, so that no later run should try it.
 *
 * Only the enhanced status (RFC 3463) tells that from a refusal of the client, the sender or the content: 550 alone is
 * given for each of them. Taken are
 *
 * | status | means |
 * |---|---|
 * | 5.1.1 | there is no such mailbox |
 * | 5.1.10 | the domain says by a null MX that it takes no mail (RFC 7505) |
 * | 5.1.2 | there is no such domain |
 * | 5.1.3 | the address is malformed; of one in ASCII alone, as others may be beyond this relay |
 * | 5.1.6 | the mailbox has moved without a new address |
 * | 5.2.1 | the mailbox is disabled |
 *
 * Not taken are 5.2.2 (full), 5.7.x (policy) and all others, and what names a cause beside the address in its words: relays
 * also answer 5.1.1 to a HELO or a network that they do not like, and 5.2.1 to too much mail at once.
 */
import type * as MailError from "mailrace/MailError"

/** The recipients of an attempt that will never take mail. `addresses` are those that it was for. */
export const goneOf = (
  recipients: ReadonlyArray<MailError.RecipientOutcome>,
  error: MailError.MailError | undefined,
  addresses: ReadonlyArray<string>
): ReadonlyArray<string> => {
  if (recipients.length > 0)
    return recipients
      .filter((one) => one.outcome === "rejected" && isGone(one.address, one.reply))
      .map((one) => one.address)
  // A reply to the content is about one recipient only where there is no other.
  const [only, ...others] = addresses
  const isAboutMailbox = error?.reason._tag === "MailboxUnavailable" || error?.reason._tag === "RecipientsRejected"
  return only !== undefined && others.length === 0 && isAboutMailbox && isGone(only, error.reply) ? [only] : []
}

const isGone = (address: string, reply: MailError.RecipientOutcome["reply"]): boolean => {
  if (reply === undefined || reply.code < 500 || otherCause.test(reply.text)) return false
  switch (reply.enhanced) {
    case "5.1.1":
    case "5.1.2":
    case "5.1.6":
    case "5.1.10":
      return true
    case "5.1.3":
      return !/[^\u0000-\u007F]/.test(address)
    case "5.2.1":
      return !forNow.test(reply.text)
    default:
      return false
  }
}

/** Words of refusals that are about the client, the sender, the network or the content. */
const otherCause =
  /\b(?:helo|ehlo|rbl|dnsbl|black-?\s?list(?:ed)?|block-?\s?list(?:ed)?|spamhaus|barracuda|reputation|spam|virus|policy|spf|dkim|dmarc|ptr|rdns|reverse dns|client host|your (?:ip|host|server|network))\b|relay(?:ing)?\s+(?:access\s+)?(?:is\s+)?(?:denied|prohibited|not\s+\w+)|(?:unable|not (?:permitted|allowed)) to relay|sender (?:address )?(?:rejected|denied|blocked|unknown|verify)/i

/** Words that tell a mailbox that gets too much at once from one that is disabled. */
const forNow = /\brate\b|too (?:many|much|fast|quickly)|limit|temporar|later|quota|full/i
