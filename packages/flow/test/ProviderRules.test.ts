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
const replies: ReadonlyArray<readonly [string, string, string, string | undefined]> = [
  ["421 4.7.28 Gmail has detected an unusual rate of mail from your IP address", "gmail.com", anywhere, "gmail-rate"],
  [
    "421 4.7.28 Gmail has detected an unusual rate of mail with your DKIM domain",
    "GoogleMail.com",
    anywhere,
    "gmail-rate"
  ],
  ["421 4.7.28 an unusual rate", "example.org", anywhere, undefined],
  ["421 4.7.26 mail from this sender is unauthenticated", "gmail.com", anywhere, "gmail-authentication"],
  ["421 4.7.29 this message was not sent over TLS", "gmail.com", anywhere, "gmail-authentication"],
  ["421 4.7.32 the From domain is not aligned", "gmail.com", anywhere, "gmail-authentication"],
  ["421 4.7.0 low reputation of the sending domain", "gmail.com", anywhere, "gmail-suspicious"],
  ["450 4.2.1 The user is receiving mail too quickly", "gmail.com", anywhere, "gmail-busy-mailbox"],
  ["450 4.2.1 The user is receiving email at a rate that prevents more", "gmail.com", anywhere, "gmail-busy-mailbox"],
  ["450 4.2.1 mailbox disabled", "gmail.com", anywhere, undefined],
  ["452 4.2.2 the recipient's inbox is out of storage", "gmail.com", anywhere, "gmail-full-mailbox"],
  ["550 5.1.1 no such user", "gmail.com", anywhere, undefined],
  [
    "450 4.2.1 Peak SMTP relay limit exceeded for this customer",
    "x.example",
    "smtp-relay.gmail.com",
    "workspace-relay-peak"
  ],
  ["450 4.2.1 Peak SMTP relay limit exceeded for this customer", "x.example", anywhere, undefined],
  ["550 5.4.5 Daily user sending limit exceeded", "x.example", "smtp.gmail.com", "workspace-daily"],
  ["550 5.4.5 Daily SMTP relay limit exceeded", "x.example", "SMTP-RELAY.gmail.com", "workspace-daily"],
  ["451 4.7.650 temporarily rate limited due to IP reputation (S775)", "hotmail.com", anywhere, "outlook-reputation"],
  ["451 4.7.651 temporarily rate limited due to IP reputation", "outlook.com", anywhere, "outlook-reputation"],
  ["451 4.7.650 temporarily rate limited", "example.org", anywhere, undefined],
  ["421 RP-001 rate limit of this reputation", "live.com", anywhere, "outlook-rate"],
  ["421 RP-003 connection limit of this reputation", "msn.com", anywhere, "outlook-rate"],
  [
    "451 4.7.500 Server busy. Please try again later from [192.0.2.1]",
    "contoso.example",
    anywhere,
    "microsoft365-busy"
  ],
  ["451 4.7.550 Access denied, please try again later", "contoso.example", anywhere, "microsoft365-busy"],
  ["550 5.7.1 part of their network is on our block list (S3140)", "hotmail.com", anywhere, undefined],
  ["421 4.7.0 [TSS04] deferred due to unexpected volume or user complaints", "yahoo.com", anywhere, "yahoo-deferred"],
  ["421 4.7.0 [TS01] Messages temporarily deferred", "aol.com", anywhere, "yahoo-deferred"],
  ["421 4.7.0 [TS02] deferred", "ymail.com", anywhere, "yahoo-deferred"],
  ["421 4.7.1 [TS03] All messages will be permanently deferred", "yahoo.com", anywhere, "yahoo-permanently-deferred"],
  ["451 Resources temporarily not available - Please try again later", "yahoo.de", anywhere, "yahoo-busy"],
  ["553 5.7.1 [BL21] Connections will not be accepted", "yahoo.com", anywhere, undefined],
  [
    "421 4.7.1 Messages to a@icloud.com deferred due to excessive volume",
    "icloud.com",
    anywhere,
    "icloud-busy-mailbox"
  ],
  ["451 4.7.1 Service unavailable - try again later", "me.com", anywhere, "icloud-busy"],
  ["550 5.7.1 [CS01] Message rejected due to local policy", "mac.com", anywhere, undefined],
  ["421 Rate limit reached. Please try again later", "web.de", anywhere, "gmx-rate"],
  ["450 Reject due to policy violations.", "gmx.net", anywhere, "gmx-policy"],
  ["554 IP address is block listed.", "gmx.de", anywhere, undefined],
  [
    "454 Throttling failure: Maximum sending rate exceeded.",
    "x.example",
    "email-smtp.eu-west-1.amazonaws.com",
    "ses-rate"
  ],
  [
    "454 Throttling failure: Daily message quota exceeded.",
    "x.example",
    "email-smtp.us-east-1.amazonaws.com",
    "ses-daily"
  ],
  ["454 Throttling failure: Maximum sending rate exceeded.", "x.example", "amazonaws.com.example", undefined],
  ["451 Authentication failed: Maximum credits exceeded", "x.example", "smtp.sendgrid.net", "sendgrid-credits"],
  ["452 Too many recipients received this hour", "x.example", "smtp.sendgrid.net", "sendgrid-hour"],
  ["451 You've exceeded your messaging limits", "x.example", "smtp.sendgrid.net", "sendgrid-credits"],
  [
    "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded.",
    "x.example",
    "smtp.office365.com",
    "microsoft365-connections"
  ],
  ["432 4.3.2 Concurrent connections limit exceeded.", "x.example", "smtp.office365.com", "microsoft365-connections"],
  ["432 4.3.2 Concurrent connections limit exceeded.", "x.example", anywhere, undefined],
  [
    "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
    "x.example",
    "smtp.office365.com",
    "microsoft365-daily"
  ],
  ["554 5.2.2 mailbox full; STOREDRV.Submission.Exception", "x.example", "smtp.office365.com", undefined],
  [
    "421 Domain mg.shop.example is not allowed to send: recipient limit exceeded, try again after Mon, 20 Dec 2021 20:33:21 UTC",
    "x.example",
    "smtp.mailgun.org",
    "mailgun-limit"
  ],
  [
    "550 5.7.1 Domain mg.shop.example is not allowed to send: recipient limit (26) exceeded, try again after Wed, 05 Aug 2026 18:40:30 UTC",
    "x.example",
    "smtp.eu.mailgun.org",
    "mailgun-limit"
  ],
  [
    "550 5.7.1 Domain mg.shop.example is not allowed to send: domain disabled",
    "x.example",
    "smtp.mailgun.org",
    "mailgun-disabled"
  ],
  ["550 5.1.1 no such user", "x.example", "smtp.mailgun.org", undefined],
  ["421 4.7.0 Too many connections from your address", "x.example", "smtp.postmarkapp.com", "postmark-connections"],
  ["550 5.1.1 no such user", "x.example", "smtp.postmarkapp.com", undefined],
  [
    "502 5.7.0 Your SMTP account is not yet activated. Please contact us to request activation.",
    "x.example",
    "smtp-relay.brevo.com",
    "brevo-not-activated"
  ],
  ["450 Your SMTP account is not yet activated", "x.example", "smtp-relay.sendinblue.com", "brevo-not-activated"],
  ["535 5.7.8 Authentication failed", "x.example", "smtp-relay.brevo.com", undefined],
  ["250 2.0.0 OK", "gmail.com", anywhere, undefined]
]

describe("ProviderRules", () => {
  for (const [text, lane, relay, name] of replies)
    it(`${name ?? "no rule"} reads ${text} of ${lane} at ${relay}`, () =>
      assert.strictEqual(ProviderRules.find(replyOf(text), { lane, relay })?.name, name))

  it("are each met by a reply above, and say their source", () => {
    const met = new Set(replies.map(([, , , name]) => name))
    for (const rule of ProviderRules.defaults) {
      assert.isTrue(met.has(rule.name), rule.name)
      assert.match(rule.source, /^https:\/\//)
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
