import { assert, describe, it } from "@effect/vitest"
import * as Delivery from "mailrace/Delivery"
import * as MailError from "mailrace/MailError"
import { Tally } from "../../src/results/Tally.ts"

const info: Delivery.Info = {
  id: "a",
  index: 0,
  messageId: "<a@x>",
  recipients: [],
  relay: "127.0.0.1:25",
  attempts: 1,
  size: 100,
  durationMs: 5
}
const reply = (code: number, enhanced?: string) => ({ code, text: "words", ...(enhanced && { enhanced }) })
const rejected = (code: number, enhanced?: string): Delivery.Delivery =>
  Delivery.fromError(MailError.make(new MailError.MessageRejected({ reply: reply(code, enhanced) })), info)

describe("Tally", () => {
  it("counts each outcome once, and messages that cannot be composed as invalid", () => {
    const tally = new Tally()
    const accepted: Delivery.Accepted = {
      ...info,
      _tag: "Accepted",
      messageId: "<a@x>",
      relay: "r",
      reply: reply(250),
      attempts: 3
    }
    assert.strictEqual(tally.delivery(accepted, "line 1"), "accepted")
    assert.strictEqual(tally.delivery(rejected(554), "line 2"), "rejected")
    assert.strictEqual(tally.delivery(rejected(451), "line 3"), "deferred")
    const lost = MailError.make(new MailError.OutcomeUnknown({ problem: "lost" }))
    assert.strictEqual(tally.delivery(Delivery.fromError(lost, info), "line 4"), "unknown")
    const wrong = Delivery.fromError(MailError.invalid("to", "is empty"), { ...info, attempts: 0 })
    assert.strictEqual(tally.delivery(wrong, "line 5"), "invalid")
    assert.deepStrictEqual(tally.counts, { accepted: 1, rejected: 1, deferred: 1, unknown: 1, invalid: 1 })
    assert.deepStrictEqual([tally.total, tally.sent, tally.retries, tally.bytes], [5, 4, 2, 100])
    assert.strictEqual(tally.latency.count, 4)
  })

  it("groups errors by reason, code and enhanced code, the most frequent first", () => {
    const tally = new Tally()
    tally.delivery(rejected(554, "5.7.1"), "line 1")
    tally.delivery(rejected(550, "5.7.1"), "line 2")
    tally.delivery(rejected(550, "5.7.1"), "line 3")
    assert.deepStrictEqual(
      tally.errors.map(({ code, count, enhanced, example, reason }) => [reason, code, enhanced, count, example]),
      [
        ["MessageRejected", 550, "5.7.1", 2, 'the message was refused: "550 5.7.1 words" (line 2)'],
        ["MessageRejected", 554, "5.7.1", 1, 'the message was refused: "554 5.7.1 words" (line 1)']
      ]
    )
  })

  it("keeps a bounded number of groups", () => {
    const tally = new Tally()
    for (let detail = 0; detail < 1000; detail++) tally.delivery(rejected(550, `5.9.${detail}`), "line 1")
    assert.strictEqual(tally.errors.length, 201)
    assert.deepInclude(tally.errors[0], { reason: "Other", count: 800 })
  })

  it("shows the recipients that an accepted message lost", () => {
    const tally = new Tally()
    const recipients = [
      { address: "a@x", outcome: "accepted" as const, reply: reply(250) },
      { address: "b@x", outcome: "rejected" as const, reply: reply(550, "5.1.1") }
    ]
    const accepted: Delivery.Accepted = {
      ...info,
      _tag: "Accepted",
      messageId: "<a@x>",
      relay: "r",
      reply: reply(250),
      recipients
    }
    assert.strictEqual(tally.delivery(accepted, "line 1"), "accepted")
    assert.deepInclude(tally.errors[0], { reason: "RecipientsRejected", code: 550, count: 1 })
  })

  it("counts recipients: those that the relay named, and the others as the message has ended", () => {
    const tally = new Tally()
    const named = { address: "b@x", outcome: "rejected" as const, reply: reply(550) }
    tally.delivery({ ...rejected(451), recipients: [named] }, "line 1", 3)
    assert.deepStrictEqual(tally.recipients, { accepted: 0, rejected: 1, deferred: 2, unknown: 0 })
    // The two are tried again, and one more attempt settles them; the message had been taken for others before.
    tally.takeBack("deferred", { deferred: 2, unknown: 0 })
    assert.strictEqual(tally.delivery(rejected(554), "line 1", 2, "accepted"), "accepted")
    assert.deepStrictEqual(tally.recipients, { accepted: 0, rejected: 3, deferred: 0, unknown: 0 })
    assert.deepStrictEqual(tally.counts, { accepted: 1, rejected: 0, deferred: 0, unknown: 0, invalid: 0 })
    tally.delivery(Delivery.fromError(MailError.invalid("to", "is empty"), { ...info, attempts: 0 }), "line 2")
    tally.abandoned(["line 3", "line 4"], 5)
    assert.deepStrictEqual(tally.recipients, { accepted: 0, rejected: 3, deferred: 0, unknown: 5 })
  })
})
