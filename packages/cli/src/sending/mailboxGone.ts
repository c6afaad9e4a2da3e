/**
 * Decides whether a refusal means that an address will never accept mail, so that later runs should not try it.
 *
 * Relays answer 550 to a wrong address, client, sender and content alike, so only the enhanced status (RFC 3463) counts:
 *
 * | status | means |
 * |---|---|
 * | 5.1.1 | there is no such mailbox |
 * | 5.1.10 | the domain says by a null MX that it takes no mail (RFC 7505) |
 * | 5.1.2 | there is no such domain |
 * | 5.1.3 | the address is malformed; counts for ASCII addresses only, because a relay may not know others |
 * | 5.1.6 | the mailbox has moved without a new address |
 * | 5.2.1 | the mailbox is disabled |
 *
 * All other statuses are left alone, among them 5.2.2 (full) and 5.7.x (policy). So are replies whose words name another
 * cause: some relays answer 5.1.1 to a HELO name or a network that they reject, and Gmail answers 5.2.1 to a mailbox that
 * receives too much at once.
 */
import type * as MailError from "mailrace/MailError"

/** The recipients of an attempt that will never accept mail; `addresses` are all recipients of the attempt. */
export const goneOf = (
  recipients: ReadonlyArray<MailError.RecipientOutcome>,
  error: MailError.MailError | undefined,
  addresses: ReadonlyArray<string>
): ReadonlyArray<string> => {
  if (recipients.length > 0)
    return recipients
      .filter((one) => one.outcome === "rejected" && isGone(one.address, one.reply))
      .map((one) => one.address)
  // A reply to the content concerns a recipient only if there is just one.
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

/** Words that blame the client, the sender, the network or the content. */
const otherCause =
  /\b(?:helo|ehlo|rbl|dnsbl|black-?\s?list(?:ed)?|block-?\s?list(?:ed)?|spamhaus|barracuda|reputation|spam|virus|policy|spf|dkim|dmarc|ptr|rdns|reverse dns|client host|your (?:ip|host|server|network))\b|relay(?:ing)?\s+(?:access\s+)?(?:is\s+)?(?:denied|prohibited|not\s+\w+)|(?:unable|not (?:permitted|allowed)) to relay|sender (?:address )?(?:rejected|denied|blocked|unknown|verify)/i

/** Words that distinguish a mailbox with too much mail from a disabled one. */
const forNow = /\brate\b|too (?:many|much|fast|quickly)|limit|temporar|later|quota|full/i
