/** The replies of providers as their rules read them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Address } from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as Reply from "mailrace/Reply"
import * as ProviderRules from "../src/ProviderRules.ts"

const replyOf = (text: string): Reply.Reply => {
  const [, code, enhanced, words] = /^(\d{3})(?:[ -](\d\.\d+\.\d+))?[ -]?(.*)$/s.exec(text)!
  return { code: Number(code), ...(enhanced === undefined ? {} : { enhanced }), text: words! }
}

const anywhere = "relay.example.org"

/** Reply, recipient's domain, relay, rule. */
type Row = readonly [reply: string, lane: string, relay: string, rule: string | undefined]

const gmail = (reply: string, rule?: string): Row => [reply, "gmail.com", anywhere, rule]
const workspace = (reply: string, rule?: string): Row => [reply, "x.example", "smtp-relay.gmail.com", rule]
const outlook = (reply: string, rule?: string): Row => [reply, "hotmail.com", anywhere, rule]
const yahoo = (reply: string, rule?: string): Row => [reply, "yahoo.com", anywhere, rule]
const gmx = (reply: string, rule?: string): Row => [reply, "gmx.net", anywhere, rule]
const at =
  (relay: string) =>
  (reply: string, rule?: string): Row => [reply, "x.example", relay, rule]
const microsoft365 = at("smtp.office365.com")
const ses = at("email-smtp.eu-west-1.amazonaws.com")
const sendgrid = at("smtp.sendgrid.net")

/**
 * As the providers' own pages have them, up to where they send the reader elsewhere: those that rules know, and those that look
 * alike and mean something else.
 */
const documented: ReadonlyArray<Row> = [
  // https://support.google.com/a/answer/3726730, as of 2026-02-15
  gmail("421 4.7.28 Gmail has detected an unusual rate of email.", "gmail-rate"),
  gmail("421 4.7.28 Gmail has detected an unusual rate of email originating from your IP address", "gmail-rate"),
  gmail(
    "421 4.7.28 Gmail has detected an unusual rate of unsolicited email originating from your IP Netblock",
    "gmail-rate"
  ),
  gmail(
    "421 4.7.28 Gmail has detected an unusual rate of unsolicited email originating from your DKIM domain",
    "gmail-rate"
  ),
  gmail(
    "421 4.7.28 Gmail has detected an unusual rate of unsolicited email containing one of your URL domains.",
    "gmail-rate"
  ),
  gmail(
    "421 4.7.28 Gmail has detected this sender exceeded the quota for sending messages that have the same Message-ID:.",
    "gmail-rate"
  ),
  gmail(
    "451 4.7.23 The sending IP address for this message doesn't have a PTR record, or the PTR record's forward DNS entry doesn't match the sending IP address.",
    "gmail-authentication"
  ),
  gmail("451 4.7.24 The SPF record of the sending domain has one or more suspicious entries.", "gmail-authentication"),
  gmail(
    "451 4.7.26 Unauthenticated email from shop.example is not accepted due to domain's DMARC policy, but temporary DNS failures prevent authentication.",
    "gmail-unverified"
  ),
  gmail("421 4.7.26 This email has been rate limited because it is unauthenticated.", "gmail-authentication"),
  gmail(
    "421 4.7.27 Your email has been rate limited because SPF authentication didn't pass for this message.",
    "gmail-authentication"
  ),
  gmail(
    "421 4.7.29 Your email has been rate limited because you're not using a TLS connection.",
    "gmail-authentication"
  ),
  gmail(
    "421 4.7.30 Your email has been rate limited because DKIM authentication didn't pass for this message.",
    "gmail-authentication"
  ),
  gmail(
    "421 4.7.32 Your email has been rate limited because the From: header (RFC5322) in this message isn't aligned with either the authenticated SPF or DKIM organizational domain.",
    "gmail-authentication"
  ),
  gmail(
    "421 4.7.40 Your email has been rate limited because the sending domain doesn't have a DMARC record, or the DMARC record doesn't specify a DMARC policy.",
    "gmail-authentication"
  ),
  gmail(
    "421 4.7.0 This message is suspicious due to the very low reputation of the sending IP address.",
    "gmail-suspicious"
  ),
  gmail(
    "421 4.7.0 This message is suspicious due to the very low reputation of the sending domain.",
    "gmail-suspicious"
  ),
  gmail(
    "421 4.7.0 This message is suspicious due to the nature of the content or the links within.",
    "gmail-suspicious"
  ),
  gmail("421 4.7.0 Connection expired, try reconnecting."),
  gmail("421 4.7.0 TLS required for RCPT domain, closing connection."),
  gmail("421 4.3.0 Temporary System Problem. Try again later."),
  gmail("450 4.2.1 The user you are trying to contact is receiving email too quickly.", "gmail-busy-mailbox"),
  gmail(
    "450 4.2.1 The user you are trying to contact is receiving email at a rate that prevents additional messages from being delivered.",
    "gmail-busy-mailbox"
  ),
  gmail(
    "550 5.2.1 The user you are trying to contact is receiving email at a rate that prevents additional messages from being delivered.",
    "gmail-busy-mailbox"
  ),
  gmail("550 5.2.1 The email account that you tried to reach is inactive."),
  gmail("452 4.2.2 The recipient's inbox is out of storage space.", "gmail-full-mailbox"),
  gmail("550 5.1.1 The email account that you tried to reach does not exist."),
  workspace(
    "450 4.2.1 Peak SMTP relay limit exceeded for this customer. This is a temporary error.",
    "workspace-relay-peak"
  ),
  workspace("550 5.4.5 Daily SMTP relay limit exceeded for user.", "workspace-daily"),
  at("smtp.gmail.com")("550 5.4.5 Daily user sending limit exceeded.", "workspace-daily"),
  // https://sendersupport.olc.protection.outlook.com/pm/troubleshooting, as of 2026-06-15, and Microsoft Learn
  outlook(
    "421 RP-001 The mail server IP connecting to Outlook.com server has exceeded the rate limit allowed.",
    "outlook-rate"
  ),
  outlook(
    "421 RP-002 The mail server IP connecting to Outlook.com server has exceeded the rate limit allowed on this connection.",
    "outlook-rate"
  ),
  outlook(
    "421 RP-003 The mail server IP connecting to Outlook.com server has exceeded the connection limit allowed.",
    "outlook-rate"
  ),
  outlook("550 5.7.515 Mail rejected by Outlook.com for policy reasons."),
  [
    "451 4.7.500 Server busy. Please try again later from [192.0.2.1].",
    "contoso.example",
    anywhere,
    "microsoft365-busy"
  ],
  ["451 4.7.550 Access denied, please try again later", "contoso.example", anywhere, "microsoft365-busy"],
  microsoft365("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded.", "microsoft365-connections"),
  microsoft365("432 4.3.2 Concurrent connections limit exceeded.", "microsoft365-connections"),
  microsoft365("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", "microsoft365-daily"),
  // https://senders.yahooinc.com/smtp-error-codes/, as of 2026-02-15, and https://help.yahoo.com/kb/SLN3436.html
  yahoo(
    "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1",
    "yahoo-deferred"
  ),
  yahoo("421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred", "yahoo-permanently-deferred"),
  yahoo("451 Resources temporarily unavailable. Please try again later [#4.16.1].", "yahoo-busy"),
  yahoo("553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1"),
  // https://postmaster.gmx.net/en/error-messages
  gmx("421 Rate limit reached. Please try again later", "gmx-rate"),
  gmx("421 Reject due to policy violations", "gmx-policy"),
  gmx("450 Reject due to policy violations.", "gmx-policy"),
  gmx("554 IP address is block listed."),
  // https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html
  ses("454 Throttling failure: Maximum sending rate exceeded", "ses-rate"),
  ses("454 Throttling failure: Daily message quota exceeded", "ses-daily"),
  // https://www.twilio.com/docs/sendgrid/for-developers/sending-email/smtp-errors-and-troubleshooting
  sendgrid("451 Authentication failed: Maximum credits exceeded", "sendgrid-credits"),
  sendgrid("550 You are temporarily blocked from sending emails due to repeated bad requests.", "sendgrid-blocked"),
  // What recipients' servers say to SendGrid, which tries again itself.
  sendgrid("452 Too many recipients received this hour (throttled)")
]

const mailgun = at("smtp.mailgun.org")

/** As others quote them in public, where the provider documents no such reply. */
const quoted: ReadonlyArray<Row> = [
  sendgrid("451 You've exceeded your messaging limits", "sendgrid-credits"),
  // https://smtp.codes/icloud
  [
    "421 4.7.1 Messages to a@icloud.com deferred due to excessive volume. Try again later",
    "icloud.com",
    anywhere,
    "icloud-busy-mailbox"
  ],
  ["451 4.7.1 Service unavailable - try again later", "me.com", anywhere, "icloud-busy"],
  ["550 5.7.1 [CS01] Message rejected due to local policy.", "mac.com", anywhere, undefined],
  outlook(
    "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)",
    "outlook-reputation"
  ),
  // https://github.com/coopdevs/timeoverflow/issues/820, 2025-10
  mailgun(
    "421 Domain shop.example is not allowed to send: recipient limit exceeded, try again after Sun, 05 Oct 2025 19:22:44 UTC",
    "mailgun-limit"
  ),
  // https://github.com/Monstarrrr/rebutify/issues/162, 2024-06
  mailgun(
    "421 Domain sandbox.mailgun.org is not allowed to send: Please activate your Mailgun account. Check your inbox or log in to your control panel to resend the activation email.",
    "mailgun-disabled"
  ),
  mailgun("421 Domain shop.example is not allowed to send: Account disabled", "mailgun-disabled"),
  // https://github.com/swapmyvote/swapmyvote/issues/891, 2024-06: the address is at fault, and other mail may go
  mailgun(
    "421 Domain app.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings."
  ),
  mailgun("550 5.1.1 no such user"),
  at("smtp.postmarkapp.com")("421 4.7.0 Too many connections from your address", "postmark-connections"),
  at("smtp.postmarkapp.com")("550 5.1.1 no such user"),
  // https://github.com/supabase/agent-skills/issues/133, 2026-07
  at("smtp-relay.brevo.com")("502 5.7.0 Your SMTP account is not yet activated", "brevo-not-activated"),
  at("smtp-relay.brevo.com")("535 5.7.8 Authentication failed")
]

/** What a rule says, of another domain or at another relay. */
const elsewhere: ReadonlyArray<Row> = [
  ["421 4.7.28 Gmail has detected an unusual rate of email.", "example.org", anywhere, undefined],
  ["421 4.7.28 Gmail has detected an unusual rate of email.", "GoogleMail.com", anywhere, "gmail-rate"],
  ["450 4.2.1 Peak SMTP relay limit exceeded for this customer.", "x.example", anywhere, undefined],
  ["550 5.4.5 Daily SMTP relay limit exceeded for user.", "x.example", "SMTP-RELAY.gmail.com", "workspace-daily"],
  ["451 4.7.650 temporarily rate limited", "example.org", anywhere, undefined],
  ["454 Throttling failure: Maximum sending rate exceeded", "x.example", "amazonaws.com.example", undefined],
  ["432 4.3.2 Concurrent connections limit exceeded.", "x.example", anywhere, undefined],
  ["502 5.7.0 Your SMTP account is not yet activated", "x.example", "smtp-relay.sendinblue.com", "brevo-not-activated"],
  ["250 2.0.0 OK", "gmail.com", anywhere, undefined]
]

describe("ProviderRules", () => {
  for (const [text, lane, relay, name] of [...documented, ...quoted, ...elsewhere])
    it(`${name ?? "no rule"} reads ${text} of ${lane} at ${relay}`, () =>
      assert.strictEqual(ProviderRules.find(replyOf(text), { lane, relay })?.name, name))

  it("are each met by a reply above, of the provider's own pages where it documents any, and say their source", () => {
    assert.isAtLeast(documented.length, 40)
    const namesIn = (rows: ReadonlyArray<Row>) => new Set(rows.map(([, , , name]) => name))
    const [known, reported] = [namesIn(documented), namesIn(quoted)]
    for (const rule of ProviderRules.defaults) {
      assert.isTrue(known.has(rule.name) || reported.has(rule.name), rule.name)
      for (const source of rule.source.split(", ")) assert.match(source, /^https:\/\/\S+$/)
      // A time that is not the provider's says so.
      assert.match(rule.why, /\bours\b|as documented|as the reply says|AWS says|Yahoo says/, rule.name)
      assert.match(rule.asOf, /^20\d\d-\d\d$/)
      assert.isAbove(rule.forMs, 0)
      assert.isTrue((rule.lanes === undefined) !== (rule.relays === undefined) || rule.name === "microsoft365-busy")
    }
    assert.lengthOf(new Set(ProviderRules.defaults.map(({ name }) => name)), ProviderRules.defaults.length)
  })

  const throttled = (text: string) => MailError.make(new MailError.Throttled({ reply: replyOf(text) }))

  it("give an error the time of the lane, and the longer one where the relay asks for more", () => {
    const origin = { lane: "gmail.com", relay: anywhere }
    const error = ProviderRules.apply(throttled("421 4.7.28 an unusual rate"), origin)
    assert.deepStrictEqual([error.reason._tag, error.retryAfter], ["Throttled", 600_000])
    const longer = MailError.retryIn(throttled("421 4.7.28 an unusual rate"), 3_600_000)
    assert.strictEqual(ProviderRules.apply(longer, origin).retryAfter, 3_600_000)
  })

  it("put off one message without blaming its lane", () => {
    const error = ProviderRules.apply(throttled("450 4.2.1 receiving mail too quickly"), {
      lane: "gmail.com",
      relay: anywhere
    })
    assert.deepStrictEqual(
      [error.reason._tag, error.retryAfter, error.isRetryable],
      ["MailboxUnavailable", 900_000, true]
    )
  })

  it("leave other errors and permanent ones as they are", () => {
    const origin = { lane: "gmail.com", relay: anywhere }
    for (const error of [
      throttled("421 4.3.2 closing"),
      MailError.make(new MailError.ConnectFailed({ kind: "refused", host: "h", port: 25, problem: "refused" }))
    ])
      assert.strictEqual(ProviderRules.apply(error, origin), error)
  })

  it.effect("are applied by a transport, to failures alone", () =>
    Effect.gen(function* () {
      const failures = [throttled("421 4.7.28 an unusual rate"), undefined]
      const inner = MailTransport.of({
        concurrency: 7,
        send: () =>
          Effect.suspend(() => {
            const failure = failures.shift()
            return failure === undefined
              ? Effect.succeed({ reply: { code: 250, text: "ok" }, recipients: [], relay: "r:25" })
              : Effect.fail(failure)
          })
      })
      const ruled = ProviderRules.transport(inner, anywhere)
      assert.strictEqual(ruled.concurrency, 7)
      const message = Composed.make({
        messageId: "<1@a.test>",
        envelope: { from: undefined, to: ["x@GMAIL.com" as Address] },
        content: new Uint8Array(1)
      })
      assert.strictEqual((yield* Effect.flip(ruled.send(message))).retryAfter, 600_000)
      assert.strictEqual((yield* ruled.send(message)).relay, "r:25")
    })
  )
})
