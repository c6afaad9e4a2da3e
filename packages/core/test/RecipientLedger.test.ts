import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as MailError from "../src/MailError.ts"
import * as RecipientLedger from "../src/RecipientLedger.ts"

const outcome = Schema.Literals(["accepted", "rejected", "deferred", "unknown"])
const address = Schema.Literals(["a", "b", "c", "d", "e"])

/** A transaction: answers of its own for some recipients, or one outcome for all that it was still to reach. */
const Transaction = Schema.Union([
  Schema.TaggedStruct("Answers", { answers: Schema.Array(Schema.Struct({ address, outcome })) }),
  Schema.TaggedStruct("Whole", {
    outcome: Schema.Literals(["rejected", "deferred", "unknown"]),
    among: Schema.UndefinedOr(Schema.Array(address))
  })
])

const Recipients = Schema.Array(address)
const Transactions = Schema.Array(Transaction)

const play = (
  ledger: RecipientLedger.RecipientLedger<RecipientLedger.Answer>,
  transaction: typeof Transaction.Type
): void => {
  if (transaction._tag === "Answers") ledger.record(transaction.answers)
  else ledger.answerOwed((one) => ({ address: one, outcome: transaction.outcome }), transaction.among)
}

const history: [recipients: typeof Recipients, transactions: typeof Transactions] = [Recipients, Transactions]

describe("RecipientLedger", () => {
  it.prop("loses no recipient: each has an answer or is owed an attempt", history, ([recipients, transactions]) => {
    const ledger = RecipientLedger.make<RecipientLedger.Answer>(recipients)
    for (const transaction of transactions) play(ledger, transaction)
    const covered = new Set([...ledger.answers.map((answer) => answer.address), ...ledger.owed])
    for (const recipient of recipients) assert.isTrue(covered.has(recipient))
    assert.strictEqual(new Set(ledger.owed).size, ledger.owed.length)
    assert.strictEqual(ledger.isEmpty, ledger.answers.length === 0)
  })

  it.prop("never asks an accepted recipient again", history, ([recipients, transactions]) => {
    const ledger = RecipientLedger.make<RecipientLedger.Answer>(recipients)
    const accepted = new Set<string>()
    for (const transaction of transactions) {
      play(ledger, transaction)
      for (const answer of ledger.answers) if (answer.outcome === "accepted") accepted.add(answer.address)
      for (const recipient of accepted) {
        assert.isFalse(ledger.isOwed(recipient))
        assert.strictEqual(ledger.get(recipient)?.outcome, "accepted")
      }
    }
  })

  it.prop(
    "owes an attempt to every recipient that is neither accepted nor rejected",
    history,
    ([recipients, transactions]) => {
      const ledger = RecipientLedger.make<RecipientLedger.Answer>(recipients)
      for (const transaction of transactions) play(ledger, transaction)
      const settled = ledger.answers.filter((answer) => answer.outcome === "accepted" || answer.outcome === "rejected")
      for (const { address } of settled) assert.notInclude(ledger.owed, address)
      for (const recipient of recipients)
        assert.strictEqual(ledger.isOwed(recipient), !settled.some((answer) => answer.address === recipient))
    }
  )

  it.prop(
    "keeps the last answer of every recipient that is not accepted, asked or not",
    history,
    ([recipients, transactions]) => {
      const ledger = RecipientLedger.make<RecipientLedger.Answer>(recipients)
      const model = new Map<string, string>()
      for (const transaction of transactions) {
        const owed = new Set(ledger.owed)
        play(ledger, transaction)
        const answers =
          transaction._tag === "Answers"
            ? transaction.answers
            : (transaction.among ?? [...owed])
                .filter((one) => !["accepted", "rejected"].includes(model.get(one) ?? ""))
                .map((one) => ({ address: one, outcome: transaction.outcome }))
        for (const { address, outcome } of answers) {
          if (model.get(address) !== "accepted") model.set(address, outcome)
        }
        assert.deepStrictEqual(
          ledger.answers.map(({ address, outcome }) => `${address} ${outcome}`).sort(),
          [...model].map(([address, outcome]) => `${address} ${outcome}`).sort()
        )
      }
    }
  )

  it.prop("continues from the answers of an earlier ledger", history, ([recipients, transactions]) => {
    const whole = RecipientLedger.make<RecipientLedger.Answer>(recipients)
    let resumed = RecipientLedger.make<RecipientLedger.Answer>([])
    for (const transaction of transactions) {
      // Only the answers are kept between the two, so a failure must say whom it reached.
      const told =
        transaction._tag === "Whole" ? { ...transaction, among: transaction.among ?? recipients } : transaction
      play(whole, told)
      play(resumed, told)
      resumed = RecipientLedger.fromAnswers(resumed.answers)
      const known = (ledger: typeof whole) =>
        ledger.answers.map(({ address, outcome }) => `${address} ${outcome}`).sort()
      assert.deepStrictEqual(known(resumed), known(whole))
    }
  })

  it("gives recipients and answers in the order of the envelope, an address that is given twice once", () => {
    const ledger = RecipientLedger.make(["c", "a", "b", "a"])
    assert.deepStrictEqual(ledger.owed, ["c", "a", "b"])
    ledger.record([
      { address: "a", outcome: "accepted" },
      { address: "c", outcome: "deferred" }
    ])
    assert.deepStrictEqual(
      ledger.answers.map((answer) => answer.address),
      ["c", "a"]
    )
    assert.deepStrictEqual(ledger.owed, ["c", "b"])
  })

  it("takes the outcome and the reply of a transaction that failed as a whole from its error", () => {
    const reply = { code: 451, text: "later" }
    const answer = (reason: MailError.Reason) => RecipientLedger.answerOf(MailError.make(reason))("a")
    assert.deepStrictEqual(answer(new MailError.MessageRejected({ reply })), {
      address: "a",
      outcome: "deferred",
      reply
    })
    assert.strictEqual(answer(new MailError.OutcomeUnknown({ problem: "lost" })).outcome, "unknown")
    assert.strictEqual(answer(new MailError.SizeExceeded({ size: 9 })).outcome, "rejected")
  })
})
