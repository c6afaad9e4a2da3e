/**
 * What rules ask for beside a pause, with a test clock: a rate and messages at once for a time, and a refusal for good.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { MailTransport, type SendOptions } from "mailrace/MailTransport"
import * as Reply from "mailrace/Reply"
import * as AskedLimits from "../src/AskedLimits.ts"
import * as Feedback from "../src/Feedback.ts"
import * as FlowTransport from "../src/FlowTransport.ts"
import * as Limit from "../src/Limit.ts"
import type { ProviderRule } from "../src/ProviderRule.ts"
import * as ProviderRules from "../src/ProviderRules.ts"

const rule = (more: Partial<ProviderRule>): ProviderRule => ({
  name: "test",
  provider: "test",
  codes: [451],
  words: /slow/,
  leaves: "lane",
  forMs: 0,
  why: "",
  source: "",
  asOf: "",
  ...more
})

const limits = (more: Partial<AskedLimits.AskedLimits>): AskedLimits.AskedLimits => ({
  about: "lane",
  isOfRelay: false,
  forMs: 60_000,
  ...more
})

const rate = (text: string): Limit.Limit => Result.getOrThrow(Limit.parse(text))

const slow: Reply.Reply = { code: 451, enhanced: "4.7.1", text: "slow down" }

const throttled = MailError.make(new MailError.Throttled({ reply: slow }))

let number = 0

const message = (to: string): Composed.Composed =>
  Composed.make({
    messageId: `<${++number}@test>`,
    envelope: { from: "a@example.org" as never, to: [to as never] },
    content: new Uint8Array(0)
  })

/** A relay that refuses messages to `asks` while `state.asks` is set, under a rule and flow control. */
const opened = (read: ProviderRule, options: Parameters<typeof FlowTransport.make>[1] = {}, serviceMs = 0) =>
  Effect.gen(function* () {
    const begun: Array<{ readonly to: string; readonly at: number }> = []
    const state = { asks: true, now: 0, most: 0 }
    const relay = MailTransport.of({
      concurrency: 100,
      send: ({ envelope }: Composed.Composed, sending?: SendOptions) =>
        Effect.gen(function* () {
          if (sending?.gate?.isOpen === false) yield* sending.gate.opened
          sending?.gate?.begun?.()
          const to = String(envelope.to[0])
          if (to.startsWith("asks") && state.asks) return yield* Effect.fail(throttled)
          begun.push({ to, at: yield* Clock.currentTimeMillis })
          state.most = Math.max(state.most, ++state.now)
          yield* Effect.sleep(serviceMs)
          state.now--
          return { reply: { code: 250, text: "ok" }, recipients: [], relay: "relay.test:25" }
        })
    })
    const context = yield* FlowTransport.make(ProviderRules.transport(relay, "relay.test", [read]), options)
    const transport = Context.get(context, MailTransport)
    const sendMany = (count: number, to: string) =>
      Effect.forEach(
        Array.from({ length: count }, () => message(to)),
        (one) => transport.send(one),
        { concurrency: "unbounded", discard: true }
      )
    const ask = (to: string) => Effect.flip(transport.send(message(`asks@${to}`)))
    return { ask, begun, flow: Context.get(context, FlowTransport.Flow), sendMany, state }
  })

describe("a rule that slows down", () => {
  it.effect("holds a domain to a rate for its time, and no other domain", () =>
    Effect.gen(function* () {
      const { ask, begun, flow, sendMany } = yield* opened(rule({ limits: limits({ slowTo: rate("2/s") }) }))
      yield* ask("slow.test")
      const sending = yield* Effect.forkChild(
        Effect.all([sendMany(200, "x@slow.test"), sendMany(200, "x@quick.test")], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(begun.filter(({ to }) => to === "x@quick.test").length, 200)
      yield* TestClock.adjust("10 seconds")
      const slowed = begun.filter(({ to }) => to === "x@slow.test").length
      assert.isAtMost(slowed, 2 * 10 + 2)
      assert.isAtLeast(slowed, 2 * 10 * 0.9)
      assert.deepInclude((yield* flow.status).waits[0], { gate: "lane", key: "slow.test" })
      yield* TestClock.adjust("50 seconds")
      yield* Fiber.join(sending)
      // The rest goes as soon as the limit is over.
      assert.strictEqual(begun.filter(({ at, to }) => to === "x@slow.test" && at <= 60_100).length, 200)
    })
  )

  it.effect("holds the relay to a rate, all domains together", () =>
    Effect.gen(function* () {
      const about = limits({ about: "relay", isOfRelay: true, slowTo: rate("5/s"), forMs: 10_000 })
      const { ask, begun, sendMany } = yield* opened(rule({ limits: about }))
      yield* ask("a.test")
      const sending = yield* Effect.forkChild(
        Effect.all([sendMany(30, "x@a.test"), sendMany(30, "x@b.test")], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("5 seconds")
      assert.isAtMost(begun.length, 5 * 5 + 2)
      assert.isAtLeast(begun.length, 5 * 5 * 0.9)
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(sending)
    })
  )

  it.effect("leaves what it asks of one relay to that relay, where several stand behind", () =>
    Effect.gen(function* () {
      const about = limits({ about: "relay", isOfRelay: true, slowTo: rate("1/m") })
      const { ask, begun, sendMany } = yield* opened(rule({ limits: about }), { asked: "lanes" })
      yield* ask("a.test")
      const sending = yield* Effect.forkChild(sendMany(50, "x@a.test"))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(begun.length, 50)
      yield* Fiber.join(sending)
    })
  )

  it.effect("holds a domain to messages at once, and lets the next go as one ends", () =>
    Effect.gen(function* () {
      const { ask, begun, sendMany, state } = yield* opened(rule({ limits: limits({ connections: 3 }) }), {}, 1000)
      yield* ask("slow.test")
      const sending = yield* Effect.forkChild(sendMany(9, "x@slow.test"))
      yield* TestClock.adjust("2500 millis")
      assert.strictEqual(state.most, 3)
      assert.strictEqual(begun.length, 9)
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(sending)
    })
  )

  it.effect("lets all go when the messages at once are no longer limited", () =>
    Effect.gen(function* () {
      const asked = limits({ connections: 1, forMs: 5_000 })
      const { ask, begun, sendMany } = yield* opened(rule({ limits: asked }), {}, 10_000)
      yield* ask("slow.test")
      const sending = yield* Effect.forkChild(sendMany(9, "x@slow.test"))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(begun.length, 1)
      yield* TestClock.adjust("1001 millis")
      assert.strictEqual(begun.length, 9)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(sending)
    })
  )

  it.effect("begins anew with each reply that asks", () =>
    Effect.gen(function* () {
      const asked = limits({ slowTo: rate("1/s"), forMs: 10_000 })
      const { ask, begun, sendMany } = yield* opened(rule({ limits: asked }))
      yield* ask("slow.test")
      yield* TestClock.adjust("9 seconds")
      yield* ask("slow.test")
      const sending = yield* Effect.forkChild(sendMany(50, "x@slow.test"))
      yield* TestClock.adjust("9 seconds")
      assert.isAtMost(begun.length, 12)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(begun.length, 50)
      yield* Fiber.join(sending)
    })
  )
})

describe("a rule", () => {
  const origin = { lane: "slow.test", relay: "relay.test" }

  it("carries its limits with the error, and so into what flow control learns", () => {
    const asked = limits({ slowTo: rate("1/s") })
    const error = ProviderRules.apply(throttled, origin, [rule({ limits: asked, forMs: 5000 })])
    assert.deepStrictEqual(AskedLimits.of(error), [asked])
    assert.strictEqual(error.retryAfter, 5000)
    assert.deepStrictEqual(Feedback.fromError(error).asked, [asked])
    const other = MailError.make(new MailError.Throttled({ reply: { ...slow, text: "later" } }))
    assert.isEmpty(AskedLimits.of(ProviderRules.apply(other, origin, [rule({ limits: asked })])))
  })

  it.effect("tells what limits connections to who holds them", () =>
    Effect.gen(function* () {
      const told: Array<AskedLimits.AskedLimits> = []
      const failing = MailTransport.of({ send: () => Effect.fail(throttled) })
      const over = (asked: AskedLimits.AskedLimits) =>
        ProviderRules.transport(failing, "relay.test", [rule({ limits: asked })], (one) =>
          Effect.sync(() => void told.push(one))
        )
      const ofRelay = limits({ about: "relay", isOfRelay: true, connections: 2, messagesPerConnection: 5 })
      yield* Effect.flip(over(ofRelay).send(message("x@slow.test")))
      yield* Effect.flip(over(limits({ connections: 2 })).send(message("x@slow.test")))
      assert.deepStrictEqual(told, [ofRelay])
    })
  )

  it("refuses a message for good with its status and the relay's own words", () => {
    const error = ProviderRules.apply(throttled, origin, [rule({ bounceAs: "5.7.1" })])
    assert.strictEqual(error.reason._tag, "MessageRejected")
    assert.isFalse(error.isRetryable)
    assert.deepStrictEqual(error.reply, { code: 550, enhanced: "5.7.1", text: Reply.format(slow) })
  })

  it("refuses for good only the recipients whose reply it knows", () => {
    const greylisted: Reply.Reply = { code: 451, enhanced: "4.7.1", text: "greylisted" }
    const error = MailError.make(
      new MailError.RecipientsRejected({
        recipients: [
          { address: "a@slow.test", outcome: "deferred", reply: slow },
          { address: "b@slow.test", outcome: "deferred", reply: greylisted }
        ],
        reply: slow
      })
    )
    const { reason } = ProviderRules.apply(error, origin, [rule({ bounceAs: "5.7.1" })])
    if (reason._tag !== "RecipientsRejected") return assert.fail(reason._tag)
    assert.deepStrictEqual(
      reason.recipients.map(({ outcome, reply }) => [outcome, reply?.code]),
      [
        ["rejected", 550],
        ["deferred", 451]
      ]
    )
  })

  it("refuses no message because the session was refused", () => {
    const error = MailError.make(
      new MailError.ConnectFailed({ kind: "refused", host: "relay.test", port: 25, problem: "refused", reply: slow })
    )
    const read = ProviderRules.apply(error, origin, [rule({ bounceAs: "5.7.1" })])
    assert.strictEqual(read.reason._tag, "ConnectFailed")
    assert.isTrue(read.isRetryable)
  })

  it("that pauses makes of a reply that sounds final a wait", () => {
    const reply: Reply.Reply = { code: 550, enhanced: "5.7.1", text: "slow down for today" }
    const final = MailError.make(new MailError.MessageRejected({ reply }))
    const read = ProviderRules.apply(final, origin, [rule({ codes: [550], forMs: 60_000 })])
    assert.deepStrictEqual([read.reason._tag, read.isRetryable, read.retryAfter], ["Throttled", true, 60_000])
    const mixed = MailError.make(
      new MailError.RecipientsRejected({
        recipients: [
          { address: "a@slow.test", outcome: "rejected", reply },
          { address: "b@slow.test", outcome: "rejected", reply: { code: 550, enhanced: "5.1.1", text: "no such user" } }
        ],
        reply
      })
    )
    // The one recipient waits, and the other is no better for it.
    const { isRetryable, reason } = ProviderRules.apply(mixed, origin, [rule({ codes: [550], forMs: 60_000 })])
    assert.isTrue(isRetryable)
    assert.deepStrictEqual(reason._tag === "RecipientsRejected" && reason.recipients.map(({ outcome }) => outcome), [
      "deferred",
      "rejected"
    ])
  })
})
