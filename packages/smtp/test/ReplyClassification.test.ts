import { assert, describe, it } from "@effect/vitest"
import type * as MailError from "mailrace/MailError"
import type * as Reply from "mailrace/Reply"
import * as ReplyClassification from "../src/ReplyClassification.ts"
import { ReplyDecoder } from "../src/ReplyDecoder.ts"

const reply = (line: string): Reply.Reply => {
  let found: Reply.Reply | undefined
  new ReplyDecoder().push(Buffer.from(`${line}\r\n`), (decoded) => {
    found = decoded
  })
  return found!
}

const refusal = (at: ReplyClassification.Refused, line: string): MailError.MailError =>
  ReplyClassification.fromRefusal(at, reply(line), 1000)

describe("ReplyClassification", () => {
  for (const [at, line, reason, isRetryable] of [
    ["mail", "450 try later", "SenderRejected", true],
    ["mail", "550 5.1.8 bad sender", "SenderRejected", false],
    ["mail", "553 5.7.1 not your address", "SenderRejected", false],
    ["mail", "421 4.3.2 shutting down", "Throttled", true],
    ["mail", "451 4.7.1 greylisted", "Throttled", true],
    ["mail", "451 greylisting in action", "Throttled", true],
    ["mail", "451 4.3.0 queue file write error", "SenderRejected", true],
    ["mail", "452 4.3.1 out of storage", "SenderRejected", true],
    ["mail", "552 5.3.4 too large", "SizeExceeded", false],
    ["mail", "530 5.7.0 authentication required", "AuthenticationFailed", false],
    ["mail", "530 5.7.0 must issue a STARTTLS command first", "TlsFailed", false],
    ["data", "554 5.5.1 no", "MessageRejected", false],
    ["data", "451 4.3.0 no", "MessageRejected", true],
    ["content", "554 5.7.1 spam", "MessageRejected", false],
    ["content", "554 5.6.0 bad", "MessageRejected", false],
    ["content", "450 4.7.25 slow down", "Throttled", true],
    ["content", "452 4.2.2 mailbox full", "MailboxUnavailable", true],
    ["content", "552 5.2.2 mailbox full", "MailboxUnavailable", false],
    ["content", "550 5.1.1 no such user", "MailboxUnavailable", false],
    ["content", "552 too much", "SizeExceeded", false],
    ["content", "552 5.2.3 too large for this mailbox", "SizeExceeded", false],
    ["content", "552 4.2.2 mailbox full for now", "Throttled", true]
  ] as const) {
    it(`${line} at ${at} is ${reason}`, () => {
      const error = refusal(at, line)
      assert.strictEqual(error.reason._tag, reason)
      assert.strictEqual(error.isRetryable, isRetryable)
    })
  }

  it("hears how long a relay wants to be left alone", () => {
    for (const [words, retryAfter] of [
      ["try again in 300 seconds", 300_000],
      ["please retry after 5 minutes", 300_000],
      ["blocked for 2 hours", 7_200_000],
      ["greylisted, come back in 60s", 60_000],
      ["retry in 30 secs", 30_000],
      ["retry in 3 mins", 180_000],
      ["try again in 0 seconds", undefined],
      ["try again in 90 hours", undefined],
      ["error 300 seconds", undefined],
      ["try again in 5 metres", undefined]
    ] as const) {
      assert.strictEqual(refusal("content", `451 4.7.1 ${words}`).retryAfter, retryAfter, words)
      assert.strictEqual(ReplyClassification.fromClosing(reply(`421 4.7.0 ${words}`)).retryAfter, retryAfter)
    }
  })

  it("reports each recipient's outcome", () => {
    const outcome = (line: string) => ReplyClassification.recipientOutcome("a@b", reply(line)).outcome
    assert.deepStrictEqual(
      ["250 ok", "251 will forward", "450 busy", "550 no", "552 5.2.2 full", "552 4.2.2 full for now"].map(outcome),
      ["accepted", "accepted", "deferred", "rejected", "rejected", "deferred"]
    )
  })

  it("throttles if no recipient was accepted and one reply asks to wait", () => {
    const of = (...lines: ReadonlyArray<string>) =>
      ReplyClassification.fromRecipients(lines.map((line) => ReplyClassification.recipientOutcome("a@b", reply(line))))
    assert.strictEqual(of("450 4.2.1 too much", "451 4.3.0 no").reason._tag, "Throttled")
    assert.strictEqual(of("450 4.2.1 too much", "550 5.1.1 no").reason._tag, "RecipientsRejected")
    assert.isTrue(of("450 4.2.1 too much", "550 5.1.1 no").isRetryable)
    assert.isFalse(of("550 5.1.1 no", "554 5.7.1 no").isRetryable)
    assert.strictEqual(of("530 5.7.0 authentication required").reason._tag, "AuthenticationFailed")
  })
})
