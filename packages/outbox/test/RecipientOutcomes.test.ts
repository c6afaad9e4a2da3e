/**
 * Messages with several recipients, of which a relay takes some: what is recorded of each one, and who is asked again.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import * as MailError from "mailrace/MailError"
import * as RetryPolicy from "mailrace/RetryPolicy"
import type * as Dispatcher from "../src/Dispatcher.ts"
import * as Outbox from "../src/Outbox.ts"
import { mail, run, settle, tester } from "./support/fixtures.ts"
import { fresh } from "./support/freshSqlite.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"

const test = tester(fresh)

const quick: RetryPolicy.RetryPolicy = Schedule.spaced("100 millis").pipe(
  Schedule.setInputType<MailError.MailError>(),
  Schedule.upTo({ times: 1 })
)

/** Two minutes: behind a quick retry, and behind the first wait of the outbox. */
const waits = { "a quick retry": 100, "the outbox's retry": 2 * 60_000 } as const

const later = { code: 452, text: "mailbox full" }

/** Takes `a` and defers `b` at first, and then ends with the error. */
const relay = (then: MailError.MailError) =>
  ScriptedTransport.make((message, nth) =>
    nth > 1
      ? Effect.fail(then)
      : Effect.succeed({
          ...ScriptedTransport.taken(message),
          recipients: [
            { address: "a@a.test", outcome: "accepted" as const },
            { address: "b@a.test", outcome: "deferred" as const, reply: later }
          ]
        })
  )

/** Sends to `a` and `b`, lets the retry come, and then three days go by. */
const send = (
  used: ReturnType<typeof ScriptedTransport.make>,
  wait: keyof typeof waits,
  options?: Dispatcher.Options
) =>
  Effect.gen(function* () {
    const { id } = yield* Outbox.enqueue(mail("", { to: ["a@a.test", "b@a.test"] }))
    const retry = wait === "a quick retry" ? quick : RetryPolicy.none
    yield* Effect.forkScoped(run(used, { until: "never", retry, poll: "1 minute", ...options }))
    yield* Effect.repeat(settle, { until: () => used.sent.length === 1 })
    yield* settle
    yield* TestClock.adjust(waits[wait])
    yield* Effect.repeat(settle, { until: () => used.sent.length >= 2 })
    yield* settle
    const sent = used.sent.length
    yield* TestClock.adjust("30 minutes")
    yield* settle
    const { entry } = (yield* Outbox.get(id))!
    return {
      asked: used.sent.map(({ to }) => to.map((address) => address[0]).join("")),
      isAskedAgain: used.sent.length > sent,
      state: entry.state,
      b: entry.recipients.find(({ address }) => address === "b@a.test")
    }
  })

for (const wait of ["a quick retry", "the outbox's retry"] as const) {
  describe(`a recipient that a relay deferred, at ${wait}`, () => {
    test("is rejected when the message is refused for good, and not asked again", () =>
      Effect.gen(function* () {
        const { asked, b, state } = yield* send(relay(ScriptedTransport.refusal), wait)
        assert.deepStrictEqual(asked, ["ab", "b"])
        assert.deepStrictEqual([b?.outcome, b?.reply], ["rejected", "550 5.7.1 not wanted"])
        assert.strictEqual(state, "accepted")
      }))

    test("is unknown when the final reply is lost, and not asked again with `giveUp`", () =>
      Effect.gen(function* () {
        const { asked, b } = yield* send(relay(ScriptedTransport.unknown), wait, { onUnknown: "giveUp" })
        assert.deepStrictEqual(asked, ["ab", "b"])
        assert.strictEqual(b?.outcome, "unknown")
      }))

    test("is unknown when the final reply is lost, and asked again with `resend`", () =>
      Effect.gen(function* () {
        const { asked, b, isAskedAgain } = yield* send(relay(ScriptedTransport.unknown), wait, { onUnknown: "resend" })
        assert.isTrue(isAskedAgain)
        assert.isTrue(asked.slice(1).every((to) => to === "b"))
        assert.strictEqual(b?.outcome, "unknown")
      }))

    test("stays deferred when the relay cannot be used, and is asked again", () =>
      Effect.gen(function* () {
        const refused = MailError.make(new MailError.AuthenticationFailed({ problem: "the relay refused the login" }))
        const { asked, b, isAskedAgain, state } = yield* send(relay(refused), wait)
        assert.isTrue(isAskedAgain)
        assert.isTrue(asked.slice(1).every((to) => to === "b"))
        assert.deepStrictEqual([b?.outcome, state], ["deferred", "due"])
      }))
  })
}
