/**
 * The replies of the big providers. The more particular rule of a provider stands before the more general one.
 *
 * A code stands here only if the provider documents it, or if the reply is quoted with it in public, which `why` then says. A time
 * is the provider's own where it names one, and else ours, which `why` says too.
 */
import type { ProviderRule } from "../ProviderRule.ts"

const seconds = 1_000
const minutes = 60 * seconds
const hours = 60 * minutes

const gmail = ["gmail.com", "googlemail.com"]
const gmailReplies = "https://support.google.com/a/answer/3726730"
const outlook = [
  "outlook.com",
  "*.outlook.com",
  "hotmail.com",
  "live.com",
  "msn.com",
  "hotmail.co.uk",
  "hotmail.fr",
  "outlook.de"
]
const outlookReplies = "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting"
const yahoo = [
  "yahoo.com",
  "yahoo.co.uk",
  "yahoo.de",
  "yahoo.fr",
  "yahoo.it",
  "yahoo.es",
  "ymail.com",
  "rocketmail.com",
  "aol.com"
]
const yahooReplies = "https://senders.yahooinc.com/smtp-error-codes/"
const icloud = ["icloud.com", "me.com", "mac.com"]
const icloudReplies = "https://smtp.codes/icloud"
const gmx = ["gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.com", "gmx.fr", "gmx.es", "gmx.co.uk", "web.de", "mail.com"]
const gmxReplies = "https://postmaster.gmx.net/en/error-messages"
const ses = ["*.amazonaws.com"]
const sesQuotas = "https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html"
const sendgrid = ["smtp.sendgrid.net"]
const sendgridReplies =
  "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/smtp-errors-and-troubleshooting"
const microsoft365 = ["smtp.office365.com", "smtp-mail.outlook.com", "*.smtp.office365.com"]
const microsoftBusy =
  "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/fix-error-code-451-4-7-500-699-asxxx-in-exchange-online"
const microsoft365Submission =
  "https://learn.microsoft.com/exchange/troubleshoot/send-emails/smtp-submission-improvements"
const mailgun = ["smtp.mailgun.org", "smtp.eu.mailgun.org"]
const postmark = ["smtp.postmarkapp.com", "smtp-broadcasts.postmarkapp.com"]
const brevo = ["smtp-relay.brevo.com", "smtp-relay.sendinblue.com"]

/** Of pages that bear no date themselves and of which no dated copy is at hand: when they were last read. */
const asOf = "2026-11"

export const defaultRules: ReadonlyArray<ProviderRule> = [
  {
    name: "gmail-rate",
    provider: "Gmail",
    lanes: gmail,
    codes: [421],
    status: /^4\.7\.28$/,
    leaves: "lane",
    forMs: 10 * minutes,
    why: "an unusual rate of mail from this address, domain or link; Google names no time, this one is ours",
    source: gmailReplies,
    asOf: "2026-02"
  },
  {
    name: "gmail-unverified",
    provider: "Gmail",
    lanes: gmail,
    codes: [451],
    status: /^4\.7\.26$/,
    leaves: "message",
    forMs: 15 * minutes,
    why: "the DNS of the sender's domain failed when DMARC was looked up, and other messages may go; the time is ours",
    source: gmailReplies,
    asOf: "2026-02"
  },
  {
    name: "gmail-authentication",
    provider: "Gmail",
    lanes: gmail,
    codes: [421, 451],
    status: /^[45]\.7\.(?:23|24|26|27|29|30|32|40)$/,
    leaves: "lane",
    forMs: 1 * hours,
    why: "a PTR record, SPF, DKIM, DMARC or TLS is missing or wrong, which somebody must correct first; the time is ours",
    source: gmailReplies,
    asOf: "2026-02"
  },
  {
    name: "gmail-suspicious",
    provider: "Gmail",
    lanes: gmail,
    codes: [421],
    status: /^4\.7\.0$/,
    words: /suspicious|unusual rate|rate limited|temporarily blocked/i,
    leaves: "lane",
    forMs: 15 * minutes,
    why: "the reputation of the sender's address or domain; Google names no time, this one is ours",
    source: gmailReplies,
    asOf: "2026-02"
  },
  {
    name: "gmail-busy-mailbox",
    provider: "Gmail",
    lanes: gmail,
    codes: [450, 550],
    status: /^[45]\.2\.1$/,
    words: /receiving (?:e?mail|messages)/i,
    leaves: "message",
    forMs: 15 * minutes,
    why: "this mailbox gets too much mail at the moment, others do not, and 550 5.2.1 says the same as 450 4.2.1; the time is ours",
    source: gmailReplies,
    asOf: "2026-02"
  },
  {
    name: "gmail-full-mailbox",
    provider: "Gmail",
    lanes: gmail,
    codes: [452],
    status: /^4\.2\.2$/,
    leaves: "message",
    forMs: 6 * hours,
    why: "the mailbox is full, which takes hours to change; the time is ours",
    source: gmailReplies,
    asOf: "2026-02"
  },
  {
    name: "workspace-relay-peak",
    provider: "Google Workspace",
    relays: ["smtp-relay.gmail.com"],
    codes: [450],
    words: /peak smtp relay limit/i,
    leaves: "relay",
    forMs: 10 * minutes,
    why: "the customer's limit for a short time is used up, a temporary error; the time is ours",
    source: gmailReplies,
    asOf: "2026-02"
  },
  {
    name: "workspace-daily",
    provider: "Google Workspace",
    relays: ["smtp-relay.gmail.com", "smtp.gmail.com"],
    codes: [550],
    status: /^5\.4\.5$/,
    leaves: "relay",
    forMs: 24 * hours,
    why: "the account's limit for 24 hours is used up, as documented",
    source: "https://support.google.com/a/answer/166852",
    asOf
  },
  {
    name: "outlook-reputation",
    provider: "Outlook.com",
    lanes: outlook,
    codes: [451],
    status: /^4\.7\.6[5-9]\d$/,
    leaves: "lane",
    forMs: 30 * minutes,
    why: "rate limited because of the address's reputation, one of Microsoft's replies 4.7.500 to 4.7.699; the time is ours",
    source: microsoftBusy,
    asOf
  },
  {
    name: "outlook-rate",
    provider: "Outlook.com",
    lanes: outlook,
    codes: [421],
    words: /\bRP-00\d\b/,
    leaves: "lane",
    forMs: 30 * minutes,
    why: "too many messages or connections for this address's reputation; the time is ours",
    source: outlookReplies,
    asOf: "2026-06"
  },
  {
    name: "microsoft365-busy",
    provider: "Microsoft 365",
    codes: [451],
    status: /^4\.7\.(?:5\d\d|6[0-4]\d)$/,
    words: /server busy|access denied, please try again later/i,
    leaves: "lane",
    forMs: 15 * minutes,
    why: "suspicious traffic from this address is held back for the time being; the time is ours",
    source: microsoftBusy,
    asOf
  },
  {
    name: "microsoft365-connections",
    provider: "Microsoft 365",
    relays: microsoft365,
    codes: [432],
    status: /^4\.3\.2$/,
    words: /(?:sender thread|concurrent connections?) limit exceeded/i,
    leaves: "relay",
    forMs: 5 * seconds,
    limits: { about: "relay", isOfRelay: true, connections: 3, forMs: 1 * hours },
    why: "three connections of a mailbox at once, as documented, and 30 messages a minute; both times are ours",
    source: microsoft365Submission,
    asOf
  },
  {
    name: "microsoft365-daily",
    provider: "Microsoft 365",
    relays: microsoft365,
    codes: [554],
    words: /SubmissionQuotaExceeded/i,
    leaves: "relay",
    forMs: 1 * hours,
    why: "10,000 recipients of a mailbox in 24 hours are used up, as documented; they come back bit by bit, the time is ours",
    source: microsoft365Submission,
    asOf
  },
  {
    name: "yahoo-permanently-deferred",
    provider: "Yahoo",
    lanes: yahoo,
    codes: [421],
    words: /\[TS0?3\]|permanently deferred/i,
    leaves: "lane",
    forMs: 24 * hours,
    why: "refused until the sender's practice changes, although the code is temporary; the time is ours",
    source: yahooReplies,
    asOf: "2026-02"
  },
  {
    name: "yahoo-deferred",
    provider: "Yahoo",
    lanes: yahoo,
    codes: [421],
    words: /\[TSS?\d\d\]|temporarily deferred/i,
    leaves: "lane",
    forMs: 4 * hours,
    why: "unusual volume or complaints; Yahoo says to try again after 4 hours",
    source: "https://help.yahoo.com/kb/SLN26151.html",
    asOf
  },
  {
    name: "yahoo-busy",
    provider: "Yahoo",
    lanes: yahoo,
    codes: [451],
    words: /resources temporarily (?:not available|unavailable)/i,
    leaves: "lane",
    forMs: 15 * minutes,
    why: "the servers are busy; the time is ours",
    source: yahooReplies,
    asOf: "2026-02"
  },
  {
    name: "icloud-busy-mailbox",
    provider: "iCloud",
    lanes: icloud,
    codes: [421],
    words: /deferred due to excessive volume/i,
    leaves: "message",
    forMs: 1 * hours,
    why: "this mailbox gets too much mail at the moment, others do not; Apple documents no reply, this one is quoted; the time is ours",
    source: icloudReplies,
    asOf
  },
  {
    name: "icloud-busy",
    provider: "iCloud",
    lanes: icloud,
    codes: [451],
    status: /^4\.7\.1$/,
    leaves: "lane",
    forMs: 15 * minutes,
    why: "no mail is taken at the moment, often at the full hour; Apple documents no reply, this one is quoted; the time is ours",
    source: icloudReplies,
    asOf
  },
  {
    name: "gmx-rate",
    provider: "GMX and web.de",
    lanes: gmx,
    codes: [421],
    words: /rate limit/i,
    leaves: "lane",
    forMs: 4 * hours,
    why: 'too much in a short time; to be tried again "in some hours" and more slowly, of which the number is ours',
    source: gmxReplies,
    asOf
  },
  {
    name: "gmx-policy",
    provider: "GMX and web.de",
    lanes: gmx,
    codes: [421, 450],
    words: /reject due to policy/i,
    leaves: "lane",
    forMs: 4 * hours,
    why: "too many addresses that do not exist, or a changing EHLO name; the time is ours",
    source: gmxReplies,
    asOf
  },
  {
    name: "ses-daily",
    provider: "Amazon SES",
    relays: ses,
    codes: [454],
    words: /daily message quota exceeded/i,
    leaves: "relay",
    forMs: 10 * minutes,
    why: "the quota of 24 hours, which frees itself bit by bit; AWS says, of the same error of its API, to wait up to 10 minutes",
    source: sesQuotas,
    asOf
  },
  {
    name: "ses-rate",
    provider: "Amazon SES",
    relays: ses,
    codes: [454],
    words: /maximum sending rate exceeded/i,
    leaves: "relay",
    forMs: 2 * seconds,
    why: "too many messages in this second; a rate in the configuration avoids it; the time is ours",
    source: sesQuotas,
    asOf
  },
  {
    name: "sendgrid-credits",
    provider: "SendGrid",
    relays: sendgrid,
    codes: [451],
    words: /maximum credits exceeded|messaging limits/i,
    leaves: "relay",
    forMs: 1 * hours,
    why: "the plan's credits are used up, or, in words that are only quoted, its messages; the time is ours",
    source: sendgridReplies,
    asOf
  },
  {
    name: "sendgrid-blocked",
    provider: "SendGrid",
    relays: sendgrid,
    codes: [550],
    words: /temporarily blocked from sending/i,
    leaves: "relay",
    forMs: 5 * minutes,
    why: 'too many bad senders or recipients; blocked for "a few minutes", although 550 sounds final, of which the number is ours',
    source: sendgridReplies,
    asOf
  },
  {
    name: "mailgun-limit",
    provider: "Mailgun",
    relays: mailgun,
    codes: [421],
    words: /not allowed to send: .*(?:limit (?:\(\d+\) )?exceeded|sending too fast)/i,
    leaves: "relay",
    forMs: 15 * minutes,
    why: "the domain's limit for an hour or a day, whose end the reply names; Mailgun explains the words, and 421 is quoted with them; the time is ours",
    source: "https://github.com/mailgun/mailgun-java/issues/50, https://github.com/coopdevs/timeoverflow/issues/820",
    asOf: "2025-10"
  },
  {
    name: "mailgun-disabled",
    provider: "Mailgun",
    relays: mailgun,
    codes: [421],
    words: /not allowed to send: .*(?:disabled|inactiv|activate|verif|probation)/i,
    leaves: "relay",
    forMs: 1 * hours,
    why: "the domain or the account may not send until somebody corrects that at Mailgun, which documents no reply; 421 is quoted; the time is ours",
    source:
      "https://help.mailgun.com/hc/en-us/articles/202051664-My-domain-has-been-disabled-Now-what, https://github.com/Monstarrrr/rebutify/issues/162",
    asOf: "2024-06"
  },
  {
    name: "postmark-connections",
    provider: "Postmark",
    relays: postmark,
    codes: [421],
    words: /\bconnections?\b/i,
    leaves: "relay",
    forMs: 1 * minutes,
    limits: { about: "relay", isOfRelay: true, connections: 10, forMs: 1 * hours },
    why: "Postmark asks for at most 10 connections from an address and documents no reply to more, so this is how other servers refuse them; both times are ours",
    source: "https://postmarkapp.com/support/article/do-we-have-rate-limits-for-smtp",
    asOf: "2026-08"
  },
  {
    name: "brevo-not-activated",
    provider: "Brevo",
    relays: brevo,
    codes: [502],
    words: /SMTP account is not yet activated/i,
    leaves: "relay",
    forMs: 1 * hours,
    why: "Brevo has to activate the account on request, although 502 sounds final for the message; Brevo documents no reply, this one is quoted; the time is ours",
    source: "https://github.com/supabase/agent-skills/issues/133",
    asOf: "2026-07"
  }
]
