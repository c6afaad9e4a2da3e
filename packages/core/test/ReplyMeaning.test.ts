import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Reply from "../src/Reply.ts"
import * as ReplyMeaning from "../src/ReplyMeaning.ts"

/** A reply as it stands on the wire, its status split off as the decoder does. */
const reply = (line: string): Reply.Reply => {
  const read = Reply.parse(line)!
  return read.enhanced?.startsWith(String(read.code)[0]!) === false ? { code: read.code, text: line.slice(4) } : read
}

const address = "<ann.of.the.long.name@subdomain.customer.example>"

const cases: ReadonlyArray<
  readonly [place: ReplyMeaning.Place, line: string, about: ReplyMeaning.About, known?: ReplyMeaning.Known]
> = [
  // Quoted in reports.
  ["mail", "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", "connections"],
  ["final", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "connections"],
  ["auth", "432 4.7.12 A password transition is needed", "mechanism"],
  ["data", "452 4.4.5 Maximum number of messages per session exceeded", "messagesPerSession", { hasCarried: true }],
  ["mail", "452 4.4.5 Insufficient disk space; try again later", "rate"],
  ["mail", "452 4.4.5 Messages per second limit exceeded", "rate", { hasCarried: true }],
  ["rcpt", "452 4.5.3 Error: too many recipients", "recipients"],
  ["rcpt", "452 4.5.3 Your message has too many recipients. For more information see", "recipients"],
  ["auth", "454 4.7.0 Temporary authentication failure", "relay"],
  ["auth", "454 4.7.0 Too many login attempts, please try again later", "rate"],
  ["auth", "454 4.7.0 Temporary authentication failure, too many sessions", "connections"],
  ["mail", "502 5.7.0 Please authenticate first", "login"],
  ["mail", "503 5.5.1 Authentication required", "login"],
  [
    "rcpt",
    "503 This mail server requires authentication when attempting to send to a non-local e-mail address.",
    "login"
  ],
  ["mail", "503 5.5.1 You must authenticate first.", "login"],
  ["mail", "530 5.7.0 Authentication required", "login"],
  ["rcpt", "530 5.7.57 Client not authenticated to send mail", "login"],
  ["mail", "530 5.7.0 Must issue a STARTTLS command first", "tls"],
  ["mail", "530 Must issue a STARTTLS command first.", "tls"],
  ["auth", "538 5.7.11 Encryption required for requested authentication mechanism", "tls"],
  ["auth", "534 5.7.9 Authentication mechanism is too weak", "credentials"],
  ["auth", "534 5.7.9 Application-specific password required. For more information, go to", "credentials"],
  ["auth", "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "credentials"],
  ["auth", "504 5.5.4 Unrecognized authentication type", "mechanism"],
  ["rcpt", "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname", "client"],
  ["rcpt", "552 5.5.3 Maximum limit of 2 recipients reached", "recipients"],
  ["rcpt", "552 too many recipients", "recipients"],
  ["rcpt", "552 Limit of 20 recipients exceeded", "recipients"],
  ["rcpt", "552 no more here", "recipients", { hasAccepted: true }],
  ["rcpt", "552 no more here", "recipient"],
  ["rcpt", "552 5.2.2 Mailbox full", "recipient", { hasAccepted: true }],
  ["rcpt", "552 user's mailbox is over quota", "recipient", { hasAccepted: true }],
  ["final", "552 5.3.4 Message size exceeds fixed limit", "size"],
  ["final", "552 Message is too long.", "size"],
  ["greeting", "554 5.7.1 too many connections", "connections"],
  ["greeting", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "client"],
  ["rcpt", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "client"],
  ["rcpt", "550 5.7.1 Unable to relay", "client"],
  // Postfix.
  ["rcpt", `554 5.7.1 ${address}: Relay access denied`, "client"],
  ["rcpt", `454 4.7.1 ${address}: Relay access denied`, "client"],
  ["rcpt", "450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]", "client"],
  ["rcpt", "450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]", "client"],
  ["rcpt", "550 5.7.1 <friend>: Helo command rejected: Host not found", "client"],
  ["rcpt", "501 5.5.2 <my_host>: Helo command rejected: Invalid name", "client"],
  ["rcpt", `450 4.2.0 ${address}: Recipient address rejected: Greylisted, see http://postgrey.example`, "greylisted"],
  ["rcpt", `550 5.1.1 ${address}: Recipient address rejected: User unknown in relay recipient table`, "recipient"],
  ["rcpt", `553 5.7.1 ${address}: Sender address rejected: not owned by user joe`, "sender"],
  ["rcpt", `553 5.7.1 ${address}: Sender address rejected: not logged in`, "login"],
  ["rcpt", `450 4.1.8 ${address}: Sender address rejected: Domain not found`, "sender"],
  ["mail", "450 4.7.1 Error: too much mail from 192.0.2.1", "rate"],
  ["rcpt", "450 4.7.1 Error: too many recipients from 192.0.2.1", "rate"],
  ["auth", "450 4.7.1 Error: too many AUTH commands from 192.0.2.1", "rate"],
  ["greeting", "421 4.7.0 mx.example Error: too many connections from 192.0.2.1", "connections"],
  ["auth", "503 5.5.1 Error: authentication not enabled", "mechanism"],
  // Exim.
  ["greeting", "421 Too many concurrent SMTP connections; please try again later.", "connections"],
  ["mail", "421 too many messages in this connection", "messagesPerSession"],
  ["rcpt", "550 relay not permitted", "client"],
  ["rcpt", "550 relay not permitted, authentication required", "login"],
  ["rcpt", "550 Sender verify failed", "sender"],
  ["rcpt", "452 too many recipients", "recipients"],
  ["auth", "503 AUTH command used when not advertised", "mechanism"],
  ["auth", "535 Incorrect authentication data", "credentials"],
  ["auth", "435 Unable to authenticate at present", "relay"],
  ["ehlo", "501 Syntactically invalid HELO argument(s)", "client"],
  // Sendmail, qmail, others.
  ["rcpt", "550 5.7.1 bob@example.org... Relaying denied. IP name lookup failed [192.0.2.1]", "client"],
  ["rcpt", "550 5.7.1 bob@example.org... Relaying denied. Proper authentication required.", "login"],
  ["greeting", "421 4.7.0 Too many open connections.", "connections"],
  ["rcpt", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "client"],
  ["rcpt", "550 smtp auth required", "login"],
  ["rcpt", "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", "client"],
  ["greeting", "554 nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record", "client"],
  // Exchange and Microsoft 365.
  ["rcpt", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "client"],
  ["rcpt", "550 5.7.64 TenantAttribution; Relay Access Denied [AM6.example]", "client"],
  ["mail", "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM", "login"],
  ["final", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "sender"],
  [
    "auth",
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
    "credentials"
  ],
  ["auth", "535 5.7.3 Authentication unsuccessful", "credentials"],
  [
    "mail",
    "421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing",
    "connections"
  ],
  ["mail", "421 4.4.2 Message submission rate for this client has exceeded the configured limit", "rate"],
  ["rcpt", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", "client"],
  ["mail", "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.", "client"],
  ["rcpt", "451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections.", "connections"],
  ["final", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process", "quota"],
  ["final", "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException", "sender"],
  ["mail", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your provider", "client"],
  // Gmail.
  ["rcpt", "450 4.2.1 mailbox busy, try again later", "recipient"],
  ["rcpt", "450 4.2.1 The user you are trying to contact is receiving mail at a rate that", "rate"],
  ["rcpt", "452 4.2.2 The email account that you tried to reach is over quota.", "recipient"],
  ["final", "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail", "quota"],
  ["final", "550 5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires", "message"],
  ["mail", "550 5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've registered", "sender"],
  ["final", "550 5.7.25 The IP address sending this message does not have a PTR record setup", "client"],
  ["auth", "534 5.7.14 Please log in via your web browser and then try again.", "credentials"],
  ["rcpt", "550 5.1.1 The email account that you tried to reach does not exist.", "recipient"],
  // Yahoo, SES, SendGrid, Mailgun, Zoho.
  [
    "greeting",
    "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list",
    "client"
  ],
  ["mail", "421 Max message per connection reached, closing transmission channel", "messagesPerSession"],
  ["final", "454 Throttling failure: Maximum sending rate exceeded.", "rate"],
  ["final", "454 Throttling failure: Daily message quota exceeded.", "quota"],
  ["final", "554 Message rejected: Email address is not verified. The following identities failed", "sender"],
  ["mail", "550 Unauthenticated senders not allowed", "login"],
  ["final", "550 The from address does not match a verified Sender Identity. Mail cannot be sent", "sender"],
  ["auth", "451 Authentication failed: Maximum credits exceeded", "quota"],
  ["rcpt", "452 Too many recipients received this hour", "rate"],
  ["greeting", "450 too frequent connects from 192.0.2.1, please try again later.", "rate"],
  ["rcpt", "550 5.7.1 Relaying denied", "client"],
  ["final", "554 5.1.8 Email Outgoing Blocked", "sender"],
  ["mail", "452 4.5.3 Daily message limit exceeded", "quota"],
  ["final", "550 5.7.0 Requested action not taken: too many emails per second. Upgrade your plan", "rate"],
  ["mail", "451 5.7.3 STARTTLS is required to send mail", "tls"],
  ["mail", "505 Authentication required", "login"],
  ["rcpt", "550 Please turn on SMTP Authentication in your mail client. host is not permitted to relay", "login"],
  ["mail", "503 AUTH first (#5.5.1)", "login"],
  ["rcpt", "503 5.5.1 Bad sequence of commands", "message"],
  ["final", "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery", "message"],
  ["auth", "525 5.7.1 Unauthorized IP address", "client"],
  ["rcpt", "553 Relaying disallowed as ann@example.org", "client"],
  ["rcpt", "451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again.", "recipients"],
  ["rcpt", "452 4.5.3 Domain policy size per transaction exceeded, please try this recipient in a", "recipients"],
  ["rcpt", "550 5.5.3 Too many recipients", "recipients"],
  ["rcpt", "552 5.3.4 Message size exceeds fixed limit", "size"],
  ["final", "550 5.1.8 Access denied, bad outbound sender AS(42004)", "sender"],
  ["final", "554 Access denied: User `arn:aws:iam::1:user/x' is not authorized to perform", "sender"],
  ["rcpt", "550 5.7.1 Sandbox subdomains are for test purposes only. Please add your own domain", "sender"],
  ["mail", "452 4.3.1 Insufficient system storage", "relay"],
  ["mail", "452 space shortage, please try later", "relay"],
  ["rcpt", "550 Administrative prohibition", "message"],
  ["rcpt", `554 5.7.1 ${address}: Recipient address rejected: Access denied`, "message"],
  ["rcpt", `554 5.7.1 ${address}: Client host rejected: Access denied`, "client"],
  ["rcpt", "550 JunkMail rejected - host.example [192.0.2.1] is in an RBL", "client"],
  // What no row knows keeps to its place.
  ["mail", "550 no", "sender"],
  ["rcpt", "550 no", "recipient"],
  ["data", "554 no", "message"],
  ["final", "554 5.7.1 spam", "message"],
  ["final", "550 5.1.1 no such user", "recipient"],
  ["greeting", "554 no SMTP service here", "relay"],
  ["rcpt", "451 4.3.0 queue file write error", "relay"]
]

const isAboutClient = (about: ReplyMeaning.About): boolean => about === "client" || about === "login" || about === "tls"

describe("ReplyMeaning", () => {
  for (const [place, line, about, known] of cases) {
    it(`${line} at ${place} is about ${about}${known === undefined ? "" : ` with ${JSON.stringify(known)}`}`, () => {
      const meaning = ReplyMeaning.of(reply(line), place, known)
      assert.strictEqual(meaning.about, about)
      if (about !== "recipient") assert.isFalse(meaning.isGone)
      if (isAboutClient(about)) assert.isDefined(meaning.remedy)
      assert.notMatch(meaning.remedy ?? "", /take the address/)
    })
  }

  it("takes the code for what it says, but for the rows that say otherwise", () => {
    const isTransient = (place: ReplyMeaning.Place, line: string, known?: ReplyMeaning.Known) =>
      ReplyMeaning.of(reply(line), place, known).isTransient
    assert.isTrue(isTransient("rcpt", "552 5.5.3 too many"))
    assert.isTrue(isTransient("rcpt", "552 too many recipients"))
    assert.isTrue(isTransient("final", "550 5.4.5 Daily user sending limit exceeded"))
    assert.isTrue(isTransient("rcpt", "454 4.7.1 Relay access denied"))
    assert.isFalse(isTransient("auth", "432 4.7.12 A password transition is needed"))
    assert.isFalse(isTransient("rcpt", "552 5.2.2 full", { hasAccepted: true }))
    assert.isFalse(isTransient("rcpt", "554 5.7.1 Relay access denied"))
  })

  it("calls an address gone only by its status, and where the words name no other cause", () => {
    const isGone = (line: string) => ReplyMeaning.of(reply(line), "rcpt").isGone
    for (const line of [
      "550 5.1.1 no such user",
      "556 5.1.10 null MX",
      "550 5.2.1 disabled",
      "550 5.1.2 no such domain"
    ])
      assert.isTrue(isGone(line), line)
    for (const line of [
      "550 no such user",
      "450 4.1.1 no such user yet",
      "552 5.2.2 full",
      "550 5.2.1 receives too much",
      "550 5.1.1 relaying denied",
      "550 5.1.1 Helo command rejected: Host not found",
      "550 5.1.1 Client host blocked using zen.spamhaus.org",
      "550 5.1.1 rejected, your IP is on our blocklist",
      "550 5.1.1 Authentication required"
    ])
      assert.isFalse(isGone(line), line)
  })

  it("hears nothing in what a relay quotes", () => {
    for (const quoted of [
      "<helo-rejected@spamhaus.example>: User unknown",
      "too-many-connections@example.org unknown",
      `${"x ".repeat(60)} too many connections, relay access denied, authentication required`
    ]) {
      assert.strictEqual(ReplyMeaning.of({ code: 550, enhanced: "5.1.1", text: quoted }, "rcpt").about, "recipient")
    }
  })

  it.prop("finds a meaning for any text at any place", [Arbitrary.schema(Schema.String)], ([text]) => {
    for (const place of ["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "final"] as const)
      for (const code of [421, 450, 535, 552])
        assert.isString(ReplyMeaning.of({ code, text }, place, { hasAccepted: true, hasCarried: true }).about)
  })
})
