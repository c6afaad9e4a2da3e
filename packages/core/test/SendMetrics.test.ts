/** The metrics of a mail's end, in a registry of the test's own. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Mailer from "../src/Mailer.ts"
import * as MailTransport from "../src/MailTransport.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as SendMetrics from "../src/SendMetrics.ts"

const mailTo = (to: string) => ({ from: "app@example.org", to, subject: "Hello", text: "Hello." })

const inOwnRegistry = Effect.provideServiceEffect(
  Metric.MetricRegistry,
  Effect.sync(() => new Map())
)

const series = (name: string) =>
  Effect.map(Metric.snapshot, (all) => all.filter(({ id }) => id === name && id.startsWith("mailrace.")))

describe("SendMetrics", () => {
  it.effect("records a mail's time with its retries by outcome, and why it failed", () =>
    Effect.gen(function* () {
      const mails = ["ann@example.org", "slow@example.org", "gone@example.org", "lost@example.org", "no address"]
      const sending = yield* Stream.fromIterable(mails.map(mailTo)).pipe(
        Mailer.sendAll({ retry: RetryPolicy.make({ base: "2 seconds", times: 1 }), concurrency: 1 }),
        Stream.runDrain,
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(sending)
      const durations = yield* series("mailrace.send.duration")
      const byOutcome: Record<string, Metric.HistogramState> = Object.fromEntries(
        durations.map(({ attributes, state }) => [attributes?.["outcome"], state as Metric.HistogramState])
      )
      assert.sameDeepMembers(
        Object.entries(byOutcome).map(([outcome, { count }]) => [outcome, count]),
        [
          ["accepted", 1],
          ["deferred", 1],
          ["rejected", 2],
          ["unknown", 1]
        ]
      )
      assert.strictEqual(byOutcome["accepted"]!.sum, 0)
      // The wait before the retry is from 2 to 4 seconds.
      const upTo = new Map(byOutcome["deferred"]!.buckets)
      assert.deepStrictEqual([upTo.get(1), upTo.get(5), upTo.get(600)], [0, 1, 1])
      const errors = yield* series("mailrace.send.errors")
      assert.sameDeepMembers(
        errors.map(({ attributes, state }) => [attributes?.["reason"], (state as Metric.CounterState<number>).count]),
        [
          ["RecipientsRejected", 2],
          ["OutcomeUnknown", 1],
          ["InvalidMessage", 1]
        ]
      )
      assert.notInclude(JSON.stringify([durations, errors]), "@")
    }).pipe(
      Effect.provide(
        MailTransport.layerTest({
          rules: [
            { to: "slow@*", answer: "defer" },
            { to: "gone@*", answer: "refuse" },
            { to: "lost@*", answer: "lose" }
          ]
        })
      ),
      inOwnRegistry
    )
  )

  it.effect("records nothing where that is turned off", () =>
    Effect.gen(function* () {
      yield* Mailer.send(mailTo("ann@example.org"))
      assert.deepStrictEqual(yield* series("mailrace.send.duration"), [])
    }).pipe(
      Effect.provide(MailTransport.layerTest()),
      Effect.provideService(SendMetrics.Recording, false),
      inOwnRegistry
    )
  )

  it("has ascending bounds from a millisecond to ten minutes", () => {
    const { boundaries } = SendMetrics
    assert.deepStrictEqual([boundaries[0], boundaries.at(-1)], [0.001, 600])
    assert.deepStrictEqual(
      [...new Set(boundaries)].toSorted((a, b) => a - b),
      boundaries
    )
  })
})
