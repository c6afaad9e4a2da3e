import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as MailError from "../src/MailError.ts"

const yes = { code: 250, text: "ok" }
const later = { code: 451, enhanced: "4.3.0", text: "later" }
const never = { code: 554, enhanced: "5.7.1", text: "never" }
const rejected = { address: "a@b.test", outcome: "rejected", reply: never } as const
const deferred = { address: "c@b.test", outcome: "deferred", reply: later } as const
const relay = { host: "mail.test", port: 25, problem: "mail.test:25 cannot be had" } as const
const problem = "it broke"

/** Each reason in each form that says something of its own, whether it may be retried, and a word of what to do. */
const table: ReadonlyArray<readonly [reason: MailError.Reason, isRetryable: boolean, remedy: string]> = [
  [new MailError.InvalidMessage({ field: "to[1]", problem }), false, "to[1]"],
  [new MailError.RecipientsRejected({ recipients: [rejected], reply: never }), false, "off the list"],
  [new MailError.RecipientsRejected({ recipients: [rejected, deferred], reply: never }), true, "later"],
  [new MailError.SenderRejected({ reply: never }), false, "verify the domain"],
  [new MailError.SenderRejected({ reply: later }), true, "later"],
  [new MailError.MessageRejected({ reply: never, at: "content" }), false, "policy"],
  [new MailError.MessageRejected({ reply: later, at: "data" }), true, "later"],
  [new MailError.Throttled({ reply: later, retryAfter: 1000 }), true, "`maxConnections`"],
  [new MailError.MailboxUnavailable({ reply: never }), false, "off the list"],
  [new MailError.MailboxUnavailable({ reply: later }), true, "later"],
  [new MailError.SizeExceeded({ size: 9, limit: 8 }), false, "smaller"],
  [new MailError.SizeExceeded({ size: 9, reply: never }), false, "smaller"],
  [new MailError.AuthenticationFailed({ problem, mechanism: "PLAIN", reply: never }), false, "password"],
  [new MailError.AuthenticationFailed({ problem, mechanism: "PLAIN", reply: later }), true, "later"],
  [new MailError.AuthenticationFailed({ problem, hint: "encrypt it" }), false, "encrypt it"],
  [new MailError.TlsFailed({ problem }), false, "certificate"],
  [new MailError.TlsFailed({ problem, hint: "use another port" }), false, "another port"],
  [new MailError.ConnectFailed({ ...relay, kind: "dns" }), false, "spelling"],
  [new MailError.ConnectFailed({ ...relay, kind: "refused" }), true, "port 25"],
  [new MailError.ConnectFailed({ ...relay, kind: "unreachable" }), true, "firewall"],
  [new MailError.ConnectFailed({ ...relay, kind: "greeting", reply: never }), false, "reply"],
  [new MailError.ConnectFailed({ ...relay, kind: "greeting", reply: later }), true, "later"],
  [
    new MailError.ConnectFailed({ ...relay, kind: "greeting", reply: never, hint: "say who you are" }),
    false,
    "say who"
  ],
  [new MailError.Timeout({ phase: "dns", limitMs: 5 }), true, "name servers"],
  [new MailError.Timeout({ phase: "connect", limitMs: 5 }), true, "firewall"],
  [new MailError.Timeout({ phase: "greeting", limitMs: 5 }), true, "smtps://"],
  [new MailError.Timeout({ phase: "envelope", limitMs: 5 }), true, "phase envelope"],
  [new MailError.ConnectionLost({ phase: "envelope", problem }), true, "again"],
  [new MailError.OutcomeUnknown({ problem, limitMs: 5 }), false, "Message-ID"],
  [new MailError.ProtocolViolation({ problem, reply: yes }), true, "`pipelining`"],
  [new MailError.CapabilityMissing({ capability: "SMTPUTF8", problem }), false, "SMTPUTF8"],
  [
    new MailError.TransportUnavailable({ transport: "outbox", problem, hint: "restore it", isRetryable: false }),
    false,
    "restore it"
  ],
  [
    new MailError.TransportUnavailable({
      transport: "outbox",
      problem,
      hint: "free space",
      isRetryable: true,
      retryAfter: 5
    }),
    true,
    "free space"
  ],
  [new MailError.Withdrawn({ state: "cancelled" }), false, "`Outbox.retry`"],
  [new MailError.Withdrawn({ state: "expired", reply: later }), false, "`expiresAt`"],
  [new MailError.Withdrawn({ state: "expired", problem }), false, "`expiry`"],
  [new MailError.Withdrawn({ state: "purged" }), false, "send it again"],
  [new MailError.CircuitOpen({ relay: "mail.test:25", retryAfter: 5 }), true, "cause"],
  [new MailError.QuotaExceeded({ quota: "day", retryAfter: 5 }), true, "wait"]
]

describe("MailError", () => {
  for (const [reason, isRetryable, remedy] of table) {
    const error = MailError.make(reason)
    it(`${error.message}`, () => {
      assert.strictEqual(error.isRetryable, isRetryable)
      assert.include(error.remedy, remedy)
      // The command prints them after "try:", a program in a sentence of its own.
      assert.match(error.remedy, /^[a-z].*[^.]$/)
      // A program has no flags and did not set the command's environment.
      assert.notMatch(error.remedy, /(?:^|[\s(])--[a-z]|MAILRACE_/)
      assert.match(reason.message, /^[^\n]+[^.\n]$/)
      assert.isTrue(error.message.startsWith(`${reason._tag}: `))
      assert.strictEqual(error.reply, "reply" in reason ? reason.reply : undefined)
      if (error.reply !== undefined && reason._tag !== "RecipientsRejected") {
        assert.include(error.message, `${error.reply.code}`)
      }
    })
  }

  it("has an entry for every reason in the table above", () => {
    const tags = MailError.Reason.members.map((member) => member.fields._tag.schema.literal)
    assert.deepStrictEqual([...new Set(table.map(([reason]) => reason._tag))], tags)
  })

  it("carries a time to retry in every retryable reason and changes nothing else", () => {
    for (const [reason, isRetryable] of table) {
      const error = MailError.make(reason)
      const later = MailError.retryIn(error, 60_000)
      if (isRetryable) assert.strictEqual(later.retryAfter, 60_000)
      const { retryAfter: _, ...facts } = reason as typeof reason & { readonly retryAfter?: number }
      assert.deepInclude(later.reason, facts as never)
      assert.deepStrictEqual(
        [later.isRetryable, later.remedy, later.reply],
        [error.isRetryable, error.remedy, error.reply]
      )
      assert.strictEqual(error.retryAfter, "retryAfter" in reason ? reason.retryAfter : undefined)
    }
  })

  it("is about the relay where no session opens or nobody can log in, and else about the message or neither", () => {
    const about = ["ConnectFailed", "TlsFailed", "AuthenticationFailed", "TransportUnavailable", "CircuitOpen"]
    for (const [reason] of table)
      if (!("phase" in reason))
        assert.strictEqual(MailError.isAboutRelay(MailError.make(reason)), about.includes(reason._tag), reason._tag)
    const opening = ["dns", "connect", "tls", "greeting", "ehlo", "starttls", "auth"]
    for (const phase of MailError.Phase.literals)
      for (const reason of [
        new MailError.Timeout({ phase, limitMs: 1 }),
        new MailError.ConnectionLost({ phase, problem })
      ])
        assert.strictEqual(MailError.isAboutRelay(MailError.make(reason)), opening.includes(phase), phase)
  })

  it("names the last refusal of a message that was withdrawn", () => {
    assert.include(new MailError.Withdrawn({ state: "expired", reply: later }).message, '"451 4.3.0 later"')
    assert.include(new MailError.Withdrawn({ state: "expired", problem }).message, problem)
  })

  it("survives a round trip through JSON with all its fields", () => {
    const codec = Schema.toCodecJson(MailError.MailError)
    for (const [reason] of table) {
      const error = MailError.make(reason)
      const read = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(error))))
      assert.isTrue(MailError.isMailError(read))
      assert.deepStrictEqual(
        [read.message, read.remedy, read.isRetryable, read.reply, read.retryAfter],
        [error.message, error.remedy, error.isRetryable, error.reply, error.retryAfter]
      )
    }
  })
})
