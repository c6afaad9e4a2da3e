/**
 * What a lane in trouble costs the others: next to nothing. Time is virtual, so that a rate is a count of steps.
 */
import { assert, describe } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MailError from "mailrace/MailError"
import * as Outbox from "../src/Outbox.ts"
import { mail, run, settle, tester } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { fresh } from "./support/freshSqlite.ts"

const test = tester(fresh)

const count = 1000
const concurrency = 20
/** How long a transaction takes, in milliseconds. */
const transaction = 20

/** How long `count` mails of a healthy lane take, with or without another lane that is answered with an error. */
const measure = (error?: MailError.MailError) =>
  Effect.gen(function* () {
    const many = (to: string) => Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(1, count), () => mail(to))))
    if (error !== undefined) yield* many("x@slow.test")
    yield* many("x@fast.test")
    const done = yield* Deferred.make<number>()
    let taken = 0
    const relay = ScriptedTransport.make((message) =>
      Effect.gen(function* () {
        yield* Effect.sleep(transaction)
        if (message.envelope.to[0] === "x@slow.test") return yield* Effect.fail(error!)
        if (++taken === count) yield* Deferred.succeed(done, yield* Clock.currentTimeMillis)
        return ScriptedTransport.taken(message)
      })
    )
    // The quick retries are those that it has by default.
    const fiber = yield* Effect.forkScoped(run(relay, { until: "never", retry: undefined, concurrency }))
    const goesBy = Effect.forever(Effect.andThen(settle, TestClock.adjust(transaction)))
    const time = yield* Effect.raceFirst(Deferred.await(done), goesBy)
    // What is on its way is waited for, and takes its time.
    yield* Effect.raceFirst(Fiber.interrupt(fiber), goesBy)
    return { time, refused: relay.sent.length - taken }
  })

const said = { code: 451, enhanced: "4.3.0", text: "try again later" }

const answers: ReadonlyArray<readonly [string, MailError.MailError]> = [
  ["to the content", ScriptedTransport.deferral(said)],
  [
    "to the recipient",
    MailError.make(
      new MailError.RecipientsRejected({
        recipients: [{ address: "x@slow.test", outcome: "deferred", reply: said }],
        reply: said
      })
    )
  ],
  ["because there are too many", ScriptedTransport.throttling()]
]

describe("a lane that is answered 451", () => {
  const alone = (count * transaction) / concurrency

  test("is not a condition for a slow lane", () =>
    Effect.map(measure(), ({ time }) => assert.approximately(time, alone, alone / 20)))

  for (const [why, error] of answers) {
    test(`${why} leaves the other lane nine tenths of its rate and more`, () =>
      Effect.map(measure(error), ({ refused, time }) => {
        assert.isAtMost(time, alone / 0.9)
        assert.isAtLeast(refused, 5)
        assert.isAtMost(refused, 50)
      }))
  }
})
