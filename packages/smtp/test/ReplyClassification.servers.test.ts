/**
 * Replies as servers and providers document or print them, beyond those that reports quoted: what each is about, the error that
 * it becomes, and that no mail is given up for a limit, nor an address for what is wrong with this client.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import * as ReplyClassification from "../src/ReplyClassification.ts"

type Row = readonly [place: ReplyMeaning.Place, line: string, about: ReplyMeaning.About, isRetried: boolean]

const servers: Readonly<Record<string, ReadonlyArray<Row>>> = {
  "Postfix, postscreen": [
    ["greeting", "421 4.3.2 All server ports are busy", "connections", true],
    ["rcpt", "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.example", "client", false],
    ["rcpt", "450 4.3.2 Service currently unavailable", "rate", true],
    ["mail", "421 4.7.0 mx.example Error: too many errors", "rate", true],
    ["rcpt", "450 4.1.7 <a@b.example>: Sender address rejected: unverified address: Host not found", "sender", true],
    ["rcpt", "450 4.1.1 <a@b.example>: Recipient address rejected: unverified address: timed out", "recipient", true],
    ["rcpt", "554 5.7.1 Service unavailable; Sender address [a@b.example] blocked using dbl.example", "sender", false],
    ["rcpt", "554 5.7.1 Service unavailable; Helo command [x] blocked using dbl.example", "client", false],
    ["rcpt", "450 4.7.1 Session encryption is required", "tls", false],
    ["rcpt", "451 4.3.5 Server configuration error", "relay", true],
    ["rcpt", "450 4.2.0 <a@b.example>: Recipient address rejected: Greylisted for 300 seconds", "greylisted", true]
  ],
  Exim: [
    ["greeting", "421 mx.example: Too much load; please try again later.", "relay", true],
    ["greeting", "554 SMTP synchronization error", "relay", false],
    ["rcpt", "550 Rejected because 192.0.2.1 is in a black list at zen.example", "client", false],
    ["mail", "554 Too many nonmail commands", "messagesPerSession", true],
    ["mail", "451 Temporary local problem - please try later", "relay", true],
    ["final", "552 Message size exceeds maximum permitted", "size", false],
    ["final", "550 Message headers fail syntax check", "message", false],
    ["rcpt", "451 could not complete sender verify callout", "sender", true]
  ],
  "Exim with cPanel": [
    ["rcpt", "550 Domain shop.example has exceeded the max emails per hour (100/100 (100%)) allowed.", "rate", true],
    [
      "rcpt",
      "550 Domain shop.example has exceeded the max defers and failures per hour (5/5 (100%)) allowed. Message discarded.",
      "rate",
      true
    ]
  ],
  Sendmail: [
    ["greeting", "421 4.3.2 Connection rate limit exceeded.", "rate", true],
    ["greeting", "554 mx.example ESMTP not accepting messages", "relay", false],
    ["mail", "553 5.1.8 a@b.example... Domain of sender address a@b.example does not exist", "sender", false],
    ["mail", "451 4.1.8 Domain of sender address a@b.example does not resolve", "sender", true],
    ["rcpt", "550 5.7.1 Fix reverse DNS for 192.0.2.1", "client", false],
    ["rcpt", "571 Delivery not authorized, message refused", "message", false]
  ],
  "Exchange, Microsoft 365": [
    ["rcpt", "550 5.4.1 Recipient address rejected: Access denied. [AM6.example]", "recipient", false],
    ["final", "550 5.7.509 Access denied, sending domain b.example does not pass DMARC verification", "message", false],
    ["mail", "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)", "rate", true],
    ["mail", "451 4.7.550 Access denied, please try again later", "rate", true],
    ["rcpt", "550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this list", "client", false],
    ["final", "550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients", "recipients", false],
    ["final", "550 5.7.233 Your tenant has exceeded its daily limit for sending to external recipients", "quota", true],
    ["mail", "421 4.3.2 Service not available, closing transmission channel", "rate", true],
    ["mail", "452 4.3.1 Insufficient system resources (UsedDiskSpace[C:])", "relay", true],
    ["final", "554 5.6.0 Corrupt message content", "message", false],
    ["mail", "451 4.7.0 Temporary server error. Please try again later. PRX2", "rate", true],
    ["rcpt", "550 5.7.1 Client was not authenticated", "login", false]
  ],
  Gmail: [
    [
      "final",
      "550 5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited",
      "message",
      false
    ],
    ["final", "421 4.7.0 [192.0.2.1 15] Our system has detected an unusual rate of unsolicited mail", "rate", true],
    ["final", "450 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your", "rate", true],
    ["final", "550 5.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your", "rate", true],
    ["final", "552 5.2.3 Your message exceeded Google's message size limits.", "size", false],
    ["rcpt", "552 5.2.2 The recipient's inbox is out of storage space and inactive.", "recipient", false],
    ["mail", "530 5.5.1 Authentication Required. Learn more at", "login", false]
  ],
  "SES, SendGrid, Mailgun, SparkPost, Brevo": [
    [
      "final",
      "554 Message rejected: Sending paused for this account. For more information, please check",
      "sender",
      false
    ],
    ["final", "554 Transaction failed: Recipient count exceeds 50.", "recipients", false],
    ["auth", "535 Authentication Credentials Invalid", "credentials", false],
    ["mail", "421 Too many concurrent SMTP connections", "connections", true],
    ["final", "451 You've exceeded your messaging limits", "quota", true],
    ["final", "550 Domain mg.example is not allowed to send: The domain is unverified", "sender", false],
    ["rcpt", "550 Domain mg.example is not allowed to send: The domain is unverified", "sender", false],
    ["final", "550 5.7.1 Unconfigured Sending Domain <b.example>", "sender", false],
    ["mail", "502 5.7.0 Your SMTP account is not yet activated. Please contact us", "sender", false]
  ],
  qmail: [
    ["rcpt", "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)", "sender", false],
    ["rcpt", "553 http://www.spamhaus.org/query/bl?ip=192.0.2.1", "client", false],
    ["final", "552 sorry, that message size exceeds my databytes limit (#5.3.4)", "size", false],
    ["final", "451 qq temporary problem (#4.3.0)", "relay", true],
    ["final", "554 too many hops, this message is looping (#5.4.6)", "message", false]
  ],
  OpenSMTPD: [
    ["mail", "530 5.7.0 Must issue an AUTH command first", "login", false],
    ["mail", "452 4.5.3 Too many messages sent", "messagesPerSession", true],
    ["rcpt", "452 4.5.3 Too many recipients", "recipients", true],
    ["rcpt", "550 Invalid recipient: <a@b.example>", "recipient", false]
  ],
  hMailServer: [
    ["rcpt", "550 Delivery is not allowed to this address.", "client", false],
    ["rcpt", "530 SMTP authentication is required.", "login", false],
    ["rcpt", "550 The host name specified in HELO does not match IP address.", "client", false],
    ["rcpt", "550 Too many recipients.", "recipients", true]
  ],
  "Zimbra, cbpolicyd, amavis": [
    ["rcpt", "450 4.7.1 <a@b.example>: Recipient address rejected: Policy rejection; Sending limit", "rate", true],
    ["rcpt", "554 5.7.1 <a@b.example>: Sender address rejected: Message count quota exceeded", "quota", true],
    ["final", "554 5.7.0 Reject, id=12345-01 - INFECTED: Eicar-Test-Signature", "message", false]
  ],
  Courier: [
    ["rcpt", "513 Relaying denied.", "client", false],
    ["mail", "517 Domain does not exist: b.example", "sender", false],
    ["final", "523 Message length (20000000 bytes) exceeds administrative limit.", "size", false],
    ["rcpt", "511 https://www.spamhaus.org/query/ip/192.0.2.1", "client", false]
  ],
  "IceWarp, Domino, Haraka, Kerio": [
    ["rcpt", "550 5.7.1 <a@b.example> we do not relay", "client", false],
    ["greeting", "421 4.7.1 Intrusion prevention active for [192.0.2.1]", "client", true],
    ["rcpt", "550 5.7.1 Intrusion prevention active for [192.0.2.1]", "client", false],
    ["rcpt", "554 Relay rejected for policy reasons.", "client", false],
    ["rcpt", "550 I cannot deliver mail for <a@b.example>", "client", false],
    ["rcpt", "550 5.7.1 Relaying to <a@b.example> denied (authentication required)", "login", false]
  ],
  "Yahoo, Comcast, GMX, iCloud, Orange, Tencent, Mail.ru": [
    ["mail", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume", "rate", true],
    ["mail", "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred", "client", false],
    ["mail", "452 4.1.0 Too many emails sent on this session", "messagesPerSession", true],
    [
      "greeting",
      "554 gmx.example Nemesis ESMTP Service not available No SMTP service IP address is black listed.",
      "client",
      false
    ],
    ["mail", "550 5.7.0 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1", "client", false],
    [
      "greeting",
      "421 mx.example ME Trop de connexions. Too many connections, slow down. OFR004_104",
      "connections",
      true
    ],
    ["mail", "550 Connection frequency limited", "rate", true],
    ["rcpt", "550 Access from ip address 192.0.2.1 blocked. Visit http://help.example", "client", false],
    ["final", "451 Ratelimit exceeded for mailbox a. Try again later.", "rate", true]
  ],
  "IONOS, Cisco, Rspamd, Stalwart, Mimecast": [
    [
      "rcpt",
      "550 Requested action not taken: mailbox unavailable invalid DNS MX or A/AAAA resource record",
      "sender",
      false
    ],
    ["greeting", "421 #4.4.5 Too many connections from your host.", "connections", true],
    ["rcpt", "550 #5.1.0 Address rejected.", "recipient", false],
    [
      "greeting",
      "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.",
      "client",
      false
    ],
    ["rcpt", '451 4.7.1 Ratelimit "to_ip" exceeded', "rate", true],
    ["mail", "452 4.4.5 Rate limit exceeded, try again later.", "rate", true],
    ["rcpt", "550 5.1.2 Relay not allowed.", "client", false],
    ["rcpt", "550 Invalid Recipient - https://community.mimecast.example/docs/DOC-1369", "recipient", false]
  ],
  "limits with a code that says for good": [
    ["mail", "550 5.7.1 Too many concurrent connections from your address", "connections", true],
    ["greeting", "554 5.7.1 Too many connections", "connections", true],
    ["auth", "554 5.7.0 Too many concurrent sessions for this user", "connections", true],
    ["mail", "554 5.7.0 Too many messages in this session", "messagesPerSession", true],
    ["rcpt", "550 Maximum number of messages per connection exceeded", "messagesPerSession", true],
    ["final", "554 5.7.1 You have exceeded the maximum number of messages per hour", "rate", true],
    ["rcpt", "554 5.7.1 Rate limit exceeded, slow down", "rate", true]
  ]
}

const reply = (line: string): Reply.Reply => {
  const read = Reply.parse(line)!
  return read.enhanced?.startsWith(String(read.code)[0]!) === false ? { code: read.code, text: line.slice(4) } : read
}

/** The error of a message that got this reply; `undefined` where the reply refuses no message but a session. */
const errorOf = (place: ReplyMeaning.Place, refused: Reply.Reply): MailError.MailError | undefined => {
  switch (place) {
    case "mail":
    case "data":
      return ReplyClassification.fromRefusal(place, refused, 1000)
    case "final":
      return ReplyClassification.fromRefusal("content", refused, 1000)
    case "rcpt":
      return ReplyClassification.fromRecipients([ReplyClassification.recipientOutcome("a@b.example", refused)])
    default:
      return undefined
  }
}

describe("ReplyClassification: what servers say", () => {
  for (const [server, rows] of Object.entries(servers)) {
    it(server, () => {
      for (const [place, line, about, isRetried] of rows) {
        const meaning = ReplyMeaning.of(reply(line), place)
        const where = `${line} at ${place}`
        assert.strictEqual(meaning.about, about, where)
        if (about !== "recipient") assert.isFalse(meaning.isGone, where)
        const error = errorOf(place, reply(line))
        if (error === undefined) {
          assert.strictEqual(meaning.isTransient, isRetried, where)
          continue
        }
        assert.strictEqual(error.isRetryable, isRetried, where)
        if (about !== "recipient") assert.notMatch(error.remedy, /take the address off/, where)
      }
    })
  }
})
