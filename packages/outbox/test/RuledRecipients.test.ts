/**
 * What rules make of replies, as the outbox records it: refusals for good that are put off, and single recipients of a message.
 */
import { assert, describe } from "@effect/vitest"
import type { ProviderRule } from "@mailrace/flow/ProviderRule"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Outbox from "../src/Outbox.ts"
import { mail, settle, tester } from "./support/fixtures.ts"
import { fresh } from "./support/freshSqlite.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"

const test = tester(fresh)

const rule = (more: Partial<ProviderRule>): ProviderRule => ({
  name: "test",
  provider: "test",
  codes: [550],
  words: /today/,
  leaves: "message",
  forMs: 3_600_000,
  why: "",
  source: "",
  asOf: "",
  ...more
})

const notToday = { code: 550, enhanced: "5.7.1", text: "not today" }

const running = (relay: ReturnType<typeof ScriptedTransport.make>, more: Partial<ProviderRule> = {}) =>
  Effect.forkScoped(
    Effect.provideService(
      Outbox.run({ until: "never", retry: RetryPolicy.none, poll: "1 minute" }),
      MailTransport,
      ProviderRules.transport(relay.transport, "relay.test", [rule(more)])
    )
  )

const sentOnce = (relay: ReturnType<typeof ScriptedTransport.make>, count = 1) =>
  Effect.andThen(Effect.repeat(settle, { until: () => relay.sent.length >= count }), settle)

describe("a permanent refusal that a rule defers", () => {
  test("leaves the message due at the rule's time, and then it is sent", () =>
    Effect.gen(function* () {
      const relay = ScriptedTransport.make((message, nth) =>
        nth === 1
          ? Effect.fail(MailError.make(new MailError.MessageRejected({ reply: notToday, at: "content" })))
          : Effect.succeed(ScriptedTransport.taken(message))
      )
      const { id } = yield* Outbox.enqueue(mail())
      yield* running(relay)
      yield* sentOnce(relay)
      const now = yield* Clock.currentTimeMillis
      const { entry } = (yield* Outbox.get(id))!
      assert.deepStrictEqual([entry.state, entry.lastReply], ["due", "550 5.7.1 not today"])
      assert.isAtLeast(Number(entry.dueAt), now + 3_600_000 - 1_000)
      yield* TestClock.adjust("61 minutes")
      yield* sentOnce(relay, 2)
      assert.strictEqual((yield* Outbox.get(id))!.entry.state, "accepted")
    }))
})

describe("a recipient that was refused while others have the message", () => {
  const partly = ScriptedTransport.make((message, nth) =>
    Effect.succeed({
      ...ScriptedTransport.taken(message),
      ...(nth > 1
        ? {}
        : {
            recipients: [
              { address: "a@a.test", outcome: "accepted" as const },
              { address: "b@a.test", outcome: "rejected" as const, reply: notToday }
            ]
          })
    })
  )

  test("is asked again at the rule's time", () =>
    Effect.gen(function* () {
      const { id } = yield* Outbox.enqueue(mail("", { to: ["a@a.test", "b@a.test"] }))
      yield* running(partly)
      yield* sentOnce(partly)
      const now = yield* Clock.currentTimeMillis
      const { entry } = (yield* Outbox.get(id))!
      assert.strictEqual(entry.state, "due")
      assert.isAtLeast(Number(entry.dueAt), now + 3_600_000 - 1_000)
      yield* TestClock.adjust("61 minutes")
      yield* sentOnce(partly, 2)
      assert.deepStrictEqual(partly.sent[1]!.to, ["b@a.test"])
      assert.strictEqual((yield* Outbox.get(id))!.entry.state, "accepted")
    }))

  test("pauses its lane if the rule says so", () =>
    Effect.gen(function* () {
      const relay = ScriptedTransport.make((message) =>
        Effect.succeed({
          ...ScriptedTransport.taken(message),
          recipients: message.envelope.to.map((address) =>
            address.startsWith("b@")
              ? { address, outcome: "deferred" as const, reply: { code: 451, text: "not today" } }
              : { address, outcome: "accepted" as const }
          )
        })
      )
      yield* Outbox.enqueue(mail("", { to: ["a@a.test", "b@a.test"] }))
      yield* running(relay, { codes: [451], leaves: "lane" })
      yield* sentOnce(relay)
      yield* Outbox.enqueue(mail("later@a.test"))
      yield* Outbox.enqueue(mail("now@c.test"))
      yield* sentOnce(relay, 2)
      yield* TestClock.adjust("50 minutes")
      yield* settle
      assert.deepStrictEqual(
        relay.sent.map(({ to }) => to[0]),
        ["a@a.test", "now@c.test"]
      )
    }))
})
