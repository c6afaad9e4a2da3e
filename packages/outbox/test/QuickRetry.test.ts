/**
 * The quick retries of a mail within its claim.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import type * as Delivery from "mailrace/Delivery"
import * as MailError from "mailrace/MailError"
import * as RetryPolicy from "mailrace/RetryPolicy"
import type * as Dispatcher from "../src/Dispatcher.ts"
import * as Outbox from "../src/Outbox.ts"
import { mail, run, settle, tester } from "./support/fixtures.ts"
import { fresh } from "./support/freshSqlite.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"

const test = tester(fresh)

/** After 100 ms, and after 100 ms more. */
const retry: RetryPolicy.RetryPolicy = Schedule.spaced("100 millis").pipe(
  Schedule.setInputType<MailError.MailError>(),
  Schedule.upTo({ times: 2 })
)

/** Runs the dispatcher in the background and hears the ends of its mails. */
const dispatch = (relay: ReturnType<typeof ScriptedTransport.make>, options?: Dispatcher.Options) =>
  Effect.gen(function* () {
    const deliveries: Array<Delivery.Delivery> = []
    const fiber = yield* Effect.forkScoped(
      run(relay, {
        until: "never",
        retry,
        onDelivery: (delivery) => Effect.sync(() => void deliveries.push(delivery)),
        ...options
      })
    )
    return { deliveries, end: Fiber.interrupt(fiber) }
  })

/** Waits until so many transactions are over, and what they set off is. */
const over = (relay: ReturnType<typeof ScriptedTransport.make>, count: number) =>
  Effect.andThen(Effect.repeat(settle, { until: () => relay.sent.length >= count }), settle)

/** A tenth of a second goes by. */
const wait = Effect.andThen(TestClock.adjust("100 millis"), settle)

describe("a quick retry", () => {
  test("counts as one attempt with the first, and takes no place of messages on their way", () =>
    Effect.gen(function* () {
      const relay = ScriptedTransport.make((message, nth) =>
        message.envelope.to[0] === "first@a.test" && nth === 1
          ? Effect.fail(ScriptedTransport.deferral())
          : Effect.succeed(ScriptedTransport.taken(message))
      )
      const { id } = yield* Outbox.enqueue(mail("first@a.test"))
      yield* Outbox.enqueue(mail("second@a.test"))
      const { deliveries } = yield* dispatch(relay, { concurrency: 1 })
      yield* over(relay, 2)
      assert.deepStrictEqual(
        relay.sent.map(({ at, to }) => [to[0], at]),
        [
          ["first@a.test", 0],
          ["second@a.test", 0]
        ]
      )
      assert.strictEqual((yield* Outbox.stats).states.claimed, 1)
      yield* wait
      assert.deepInclude(relay.sent[2], { to: ["first@a.test"], at: 100, accepted: true })
      assert.deepStrictEqual(
        deliveries.map(({ _tag, attempts, durationMs }) => [_tag, attempts, durationMs >= 100]),
        [
          ["Accepted", 1, false],
          ["Accepted", 2, true]
        ]
      )
      const { attempts, entry } = (yield* Outbox.get(id))!
      assert.deepStrictEqual([entry.state, entry.attempts, attempts.length], ["accepted", 1, 1])
    }))

  test("asks only the recipients that are still owed the message again, and reports all of them", () =>
    Effect.gen(function* () {
      const outcomes: Record<string, ReadonlyArray<MailError.RecipientOutcome["outcome"]>> = {
        "now@a.test": ["accepted"],
        "later@a.test": ["deferred", "accepted"],
        "never@a.test": ["deferred", "rejected"],
        "slow@a.test": ["deferred", "deferred", "deferred"]
      }
      const relay = ScriptedTransport.make((message, nth) => {
        const recipients = message.envelope.to.map((address) => ({ address, outcome: outcomes[address]![nth - 1]! }))
        return recipients.some(({ outcome }) => outcome === "accepted")
          ? Effect.succeed({ ...ScriptedTransport.taken(message), recipients })
          : Effect.fail(
              MailError.make(
                new MailError.RecipientsRejected({ recipients, reply: { code: 451, text: "not all of them" } })
              )
            )
      })
      const { id } = yield* Outbox.enqueue({ ...mail(), to: Object.keys(outcomes) })
      const { deliveries } = yield* dispatch(relay)
      yield* over(relay, 1)
      yield* wait
      yield* wait
      assert.deepStrictEqual(
        relay.sent.map(({ to }) => to.map((address) => address.split("@")[0])),
        [["now", "later", "never", "slow"], ["later", "never", "slow"], ["slow"]]
      )
      const ends = ["accepted", "accepted", "rejected", "deferred"]
      assert.strictEqual(deliveries.length, 1)
      assert.deepInclude(deliveries[0], { _tag: "Accepted", attempts: 3 })
      assert.deepStrictEqual<ReadonlyArray<string>>(
        deliveries[0]!.recipients.map(({ outcome }) => outcome),
        ends
      )
      const { entry } = (yield* Outbox.get(id))!
      assert.deepInclude(entry, { state: "due", attempts: 1 })
      assert.deepStrictEqual<ReadonlyArray<string>>(
        entry.recipients.map(({ outcome }) => outcome),
        ends
      )
    }))

  test("that has not begun when the dispatcher ends is left to the backoff, and its outcome is reported", () =>
    Effect.gen(function* () {
      const relay = ScriptedTransport.make(() => Effect.fail(ScriptedTransport.deferral()))
      const { id } = yield* Outbox.enqueue(mail())
      const { deliveries, end } = yield* dispatch(relay)
      yield* over(relay, 1)
      assert.deepStrictEqual(deliveries, [])
      yield* end
      assert.deepStrictEqual(
        deliveries.map(({ _tag, attempts }) => [_tag, attempts]),
        [["Deferred", 1]]
      )
      const { attempts, entry } = (yield* Outbox.get(id))!
      assert.deepInclude(entry, { state: "due", attempts: 1, lastReply: "try again later" })
      assert.isAtLeast(entry.dueAt.getTime(), 60_000)
      assert.strictEqual(attempts.length, 1)
    }))

  test("is not made in a lane that is asked to slow down, nor after the policy ends", () =>
    Effect.gen(function* () {
      const relay = ScriptedTransport.make((message) =>
        Effect.fail(
          message.envelope.to[0] === "x@slow.test" ? ScriptedTransport.throttling() : ScriptedTransport.deferral()
        )
      )
      yield* Outbox.enqueue(mail("x@slow.test"))
      yield* Outbox.enqueue(mail("x@busy.test"))
      const { deliveries } = yield* dispatch(relay)
      yield* over(relay, 2)
      for (let i = 0; i < 5; i++) yield* wait
      const times = (to: string) => relay.sent.filter((sent) => sent.to[0] === to).map(({ at }) => at)
      // The gate of a lane with one mail on its way closes at once.
      assert.deepStrictEqual(times("x@slow.test"), [0])
      assert.deepStrictEqual(times("x@busy.test"), [0, 100, 200])
      assert.deepStrictEqual(deliveries.map(({ attempts }) => attempts).sort(), [1, 3])
      assert.deepInclude((yield* Outbox.stats).states, { due: 2, claimed: 0 })
    }))
})
