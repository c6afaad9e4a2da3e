/**
 * Replies as rules read them: refusals for good that are put off, and the replies for single recipients of a message.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import * as Mailer from "mailrace/Mailer"
import { MailTransport, type Receipt } from "mailrace/MailTransport"
import type * as Reply from "mailrace/Reply"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Stream from "effect/Stream"
import * as AskedLimits from "../src/AskedLimits.ts"
import * as Feedback from "../src/Feedback.ts"
import * as FlowTransport from "../src/FlowTransport.ts"
import * as Limit from "../src/Limit.ts"
import type { ProviderRule } from "../src/ProviderRule.ts"
import * as ProviderRules from "../src/ProviderRules.ts"

const rule = (more: Partial<ProviderRule>): ProviderRule => ({
  name: "test",
  provider: "test",
  codes: [550, 451],
  words: /today/,
  leaves: "message",
  forMs: 60_000,
  why: "",
  source: "",
  asOf: "",
  ...more
})

const origin = { lane: "a.test", relay: "relay.test" }
const full: Reply.Reply = { code: 550, enhanced: "5.7.1", text: "not today" }
const greylisted: Reply.Reply = { code: 451, enhanced: "4.7.1", text: "greylisted today" }
const unknownUser: Reply.Reply = { code: 550, enhanced: "5.1.1", text: "no such user" }
const putOffText = { code: 450, enhanced: "4.7.1", text: "550 5.7.1 not today" }

const slowTo = Result.getOrThrow(Limit.parse("1/m"))

const taken = { address: "ok@a.test", outcome: "accepted" as const }

const receiptOf = (...recipients: ReadonlyArray<MailError.RecipientOutcome>): Receipt => ({
  reply: { code: 250, text: "ok" },
  recipients: [taken, ...recipients],
  relay: "relay.test:25"
})

const message = (...to: ReadonlyArray<string>): Composed.Composed =>
  Composed.make({
    messageId: "<1@test>",
    envelope: { from: "a@example.org" as never, to: to as never },
    content: new Uint8Array(1)
  })

describe("a rule that puts a message off, at a refusal for good", () => {
  const refusals: ReadonlyArray<MailError.Reason> = [
    new MailError.SenderRejected({ reply: full, at: "mail" }),
    new MailError.MessageRejected({ reply: full, at: "content" }),
    new MailError.MailboxUnavailable({ reply: full, at: "content" }),
    new MailError.SizeExceeded({ size: 10, reply: full, at: "content" }),
    new MailError.Throttled({ reply: full }),
    new MailError.ConnectFailed({ kind: "client", host: "h", port: 25, problem: "relaying denied", reply: full }),
    new MailError.RecipientsRejected({
      recipients: [{ address: "x@a.test", outcome: "rejected", reply: full }],
      reply: full
    })
  ]
  for (const reason of refusals)
    it(`makes it wait: ${reason._tag}`, () => {
      const read = ProviderRules.apply(MailError.make(reason), origin, [rule({})])
      assert.deepStrictEqual([read.isRetryable, read.retryAfter, read.reply], [true, 60_000, putOffText])
      assert.notStrictEqual(Feedback.fromError(read)._tag, "Complaint")
      assert.isFalse(MailError.isAboutRelay(read))
    })

  it("says no more of the message if the session was refused", () => {
    const login = MailError.make(new MailError.AuthenticationFailed({ problem: "refused", reply: full }))
    const read = ProviderRules.apply(login, origin, [rule({})])
    assert.deepStrictEqual([read.reason._tag, read.isRetryable], ["AuthenticationFailed", false])
  })

  it("keeps the reason and the relay's words where the refusal is temporary already", () => {
    const error = MailError.make(new MailError.MessageRejected({ reply: greylisted, at: "data" }))
    const read = ProviderRules.apply(error, origin, [rule({})])
    assert.deepStrictEqual([read.reason._tag, read.retryAfter, read.reply], ["MessageRejected", 60_000, greylisted])
  })

  it.effect("is asked again in a stream, at its time", () =>
    Effect.gen(function* () {
      let attempts = 0
      const relay = MailTransport.of({
        send: () =>
          Effect.suspend(() =>
            attempts++ === 0
              ? Effect.fail(MailError.make(new MailError.MessageRejected({ reply: full })))
              : Effect.succeed(receiptOf())
          )
      })
      const sending = yield* Effect.forkChild(
        Stream.make(message("ok@a.test")).pipe(
          Mailer.sendAll({ retry: RetryPolicy.make({ maxRetryAfter: "2 minutes" }) }),
          Stream.runCollect,
          Effect.provideService(MailTransport, ProviderRules.transport(relay, "relay.test", [rule({})]))
        )
      )
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(attempts, 1)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(
        (yield* Fiber.join(sending)).map(({ _tag, attempts }) => [_tag, attempts]),
        [["Accepted", 2]]
      )
    })
  )
})

describe("a rule that pauses a lane", () => {
  it("makes of any refusal of the message a complaint of the lane, temporary or not", () => {
    for (const reason of [
      new MailError.MessageRejected({ reply: greylisted }),
      new MailError.MailboxUnavailable({ reply: greylisted }),
      new MailError.RecipientsRejected({
        recipients: [
          { address: "x@a.test", outcome: "deferred", reply: greylisted },
          { address: "y@a.test", outcome: "rejected", reply: full }
        ],
        reply: greylisted
      })
    ]) {
      const read = ProviderRules.apply(MailError.make(reason), origin, [rule({ leaves: "lane" })])
      assert.deepStrictEqual([read.reason._tag, read.isRetryable, read.retryAfter], ["Throttled", true, 60_000])
    }
  })
})

describe("the replies for single recipients", () => {
  const readOf = (rules: ReadonlyArray<ProviderRule>, ...recipients: ReadonlyArray<MailError.RecipientOutcome>) =>
    ProviderRules.applyToReceipt(receiptOf(...recipients), origin, rules)

  it("are each read by the rules of their own domain", () => {
    const rules = [
      rule({ name: "bounce", lanes: ["b.test"], forMs: 0, bounceAs: "5.7.9" }),
      rule({ name: "retry", lanes: ["a.test"] })
    ]
    const { recipients } = readOf(
      rules,
      { address: "retry@a.test", outcome: "rejected", reply: full },
      { address: "bounce@B.test", outcome: "deferred", reply: greylisted },
      { address: "other@c.test", outcome: "rejected", reply: full },
      { address: "gone@a.test", outcome: "rejected", reply: unknownUser }
    )
    assert.deepStrictEqual(recipients, [
      taken,
      { address: "retry@a.test", outcome: "deferred", reply: putOffText, retryAfter: 60_000 },
      {
        address: "bounce@B.test",
        outcome: "rejected",
        reply: { code: 550, enhanced: "5.7.9", text: "451 4.7.1 greylisted today" }
      },
      { address: "other@c.test", outcome: "rejected", reply: full },
      { address: "gone@a.test", outcome: "rejected", reply: unknownUser }
    ])
  })

  it("leave a receipt alone that no rule knows, and never take back an acceptance", () => {
    const receipt = receiptOf({ address: "gone@a.test", outcome: "rejected", reply: unknownUser })
    assert.strictEqual(ProviderRules.applyToReceipt(receipt, origin, [rule({})]), receipt)
    const accepted = receiptOf({ address: "x@a.test", outcome: "accepted", reply: { code: 250, text: "today" } })
    assert.strictEqual(ProviderRules.applyToReceipt(accepted, origin, [rule({ codes: [250] })]), accepted)
  })

  it("never make of an unknown outcome one that is known", () => {
    const receipt = receiptOf({ address: "x@a.test", outcome: "unknown", reply: full })
    assert.strictEqual(ProviderRules.applyToReceipt(receipt, origin, [rule({})]), receipt)
  })

  it("are read where the relay refused all of them as well, each for itself", () => {
    const error = MailError.make(
      new MailError.RecipientsRejected({
        recipients: [
          { address: "x@b.test", outcome: "rejected", reply: unknownUser },
          { address: "y@a.test", outcome: "rejected", reply: full }
        ],
        reply: unknownUser
      })
    )
    const read = ProviderRules.apply(error, { ...origin, lane: "b.test" }, [rule({ lanes: ["a.test"] })])
    assert.deepStrictEqual([read.reason._tag, read.isRetryable, read.retryAfter], ["RecipientsRejected", true, 60_000])
    if (read.reason._tag !== "RecipientsRejected") return
    assert.deepStrictEqual(
      read.reason.recipients.map(({ outcome }) => outcome),
      ["rejected", "deferred"]
    )
  })

  it.effect("tell the time to ask again to retries, which then ask those recipients alone", () =>
    Effect.gen(function* () {
      const asked: Array<ReadonlyArray<string>> = []
      const relay = MailTransport.of({
        send: ({ envelope }: Composed.Composed) =>
          Effect.sync(() => {
            asked.push(envelope.to)
            return asked.length === 1
              ? receiptOf({ address: "x@a.test", outcome: "rejected", reply: full })
              : { ...receiptOf(), recipients: [{ address: "x@a.test", outcome: "accepted" as const }] }
          })
      })
      const sending = yield* Effect.forkChild(
        Stream.make(message("ok@a.test", "x@a.test")).pipe(
          Mailer.sendAll({ retry: RetryPolicy.make({ maxRetryAfter: "2 minutes" }) }),
          Stream.runCollect,
          Effect.provideService(MailTransport, ProviderRules.transport(relay, "relay.test", [rule({})]))
        )
      )
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(asked, 1)
      yield* TestClock.adjust("2 seconds")
      const [delivery] = yield* Fiber.join(sending)
      assert.deepStrictEqual(asked, [["ok@a.test", "x@a.test"], ["x@a.test"]])
      assert.deepStrictEqual(
        delivery!.recipients.map(({ outcome }) => outcome),
        ["accepted", "accepted"]
      )
    })
  )

  it.effect("limit their lanes in flow control, and tell whoever holds the connections", () =>
    Effect.gen(function* () {
      const told: Array<AskedLimits.AskedLimits> = []
      const limited = (lane: string, more: Partial<AskedLimits.AskedLimits> = {}): ProviderRule =>
        rule({
          lanes: [lane],
          forMs: 0,
          limits: { about: "lane", isOfRelay: false, slowTo, forMs: 3_600_000, ...more }
        })
      const begun: Array<string> = []
      let isFirst = true
      const relay = MailTransport.of({
        concurrency: 100,
        send: ({ envelope }: Composed.Composed) =>
          Effect.sync(() => {
            begun.push(...envelope.to)
            const recipients = envelope.to.map((address) =>
              isFirst && address.startsWith("asks@")
                ? { address, outcome: "deferred" as const, reply: greylisted }
                : { address, outcome: "accepted" as const }
            )
            isFirst = false
            return { ...receiptOf(), recipients }
          })
      })
      const ruled = ProviderRules.transport(
        relay,
        "relay.test",
        [limited("b.test"), limited("c.test", { about: "relay", isOfRelay: true, slowTo: undefined, connections: 2 })],
        (limits) => Effect.sync(() => void told.push(limits))
      )
      const flow = yield* FlowTransport.make(ruled, { adaptive: false })
      const { send } = Context.get(flow, MailTransport)
      yield* send(message("ok@a.test", "asks@b.test", "asks@c.test"))
      const sending = yield* Effect.forkChild(
        Effect.forEach(["1@a.test", "2@a.test", "1@b.test", "2@b.test", "3@b.test"], (to) => send(message(to)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(begun.slice(3).sort(), ["1@a.test", "1@b.test", "2@a.test"])
      assert.deepStrictEqual(
        told.map(({ connections }) => connections),
        [2]
      )
      yield* Fiber.interrupt(sending)
    }).pipe(Effect.scoped)
  )

  it.effect("find their rule where the relay throttles all recipients of several domains", () =>
    Effect.gen(function* () {
      const throttled = MailError.make(new MailError.Throttled({ reply: greylisted, at: "rcpt" }))
      const relay = MailTransport.of({ send: () => Effect.fail(throttled) })
      const limits: AskedLimits.AskedLimits = { about: "lane", isOfRelay: false, slowTo, forMs: 1_000 }
      const ruled = ProviderRules.transport(relay, "relay.test", [rule({ lanes: ["b.test"], leaves: "lane", limits })])
      const error = yield* Effect.flip(ruled.send(message("x@a.test", "y@b.test")))
      assert.strictEqual(error.retryAfter, 60_000)
      assert.deepStrictEqual(AskedLimits.of(error), [{ ...limits, lane: "b.test" }])
    })
  )
})
