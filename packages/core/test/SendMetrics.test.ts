/** The metrics of a mail's end, in a registry of the test's own. */
import { assert, describe, it } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
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
      Effect.provide(SendMetrics.layer),
      inOwnRegistry
    )
  )

  it.effect("records while an exporter is open, however many there are", () =>
    Effect.gen(function* () {
      const sent = Effect.gen(function* () {
        yield* Mailer.send(mailTo("ann@example.org"))
        const [duration] = yield* series("mailrace.send.duration")
        return (duration?.state as Metric.HistogramState | undefined)?.count ?? 0
      })
      assert.strictEqual(yield* sent, 0)
      const scopes = [yield* Scope.make(), yield* Scope.make()]
      for (const scope of scopes) yield* Scope.provide(SendMetrics.record, scope)
      assert.strictEqual(yield* sent, 1)
      yield* Scope.close(scopes[0]!, Exit.void)
      assert.strictEqual(yield* sent, 2)
      yield* Scope.close(scopes[1]!, Exit.void)
      assert.strictEqual(yield* sent, 2)
      yield* Effect.scoped(Effect.andThen(SendMetrics.record, sent))
      assert.strictEqual(yield* sent, 3)
    }).pipe(Effect.provide(MailTransport.layerTest()), inOwnRegistry)
  )

  it.effect("records mails of a stream from when an exporter opens", () =>
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      yield* Stream.fromIterable(["ann", "ben", "cat"]).pipe(
        Stream.mapEffect((name) =>
          Effect.as(
            name === "ben" ? Scope.provide(SendMetrics.record, scope) : Effect.void,
            mailTo(`${name}@example.org`)
          )
        ),
        Mailer.sendAll({ concurrency: 1 }),
        Stream.runDrain
      )
      const [duration] = yield* series("mailrace.send.duration")
      assert.strictEqual((duration!.state as Metric.HistogramState).count, 2)
    }).pipe(Effect.provide(MailTransport.layerTest()), inOwnRegistry)
  )

  it.effect("goes by Recording where that is given, whatever exports", () =>
    Effect.gen(function* () {
      const send = Mailer.send(mailTo("ann@example.org"))
      yield* Effect.scoped(Effect.andThen(SendMetrics.record, send)).pipe(
        Effect.provideService(SendMetrics.Recording, false)
      )
      assert.deepStrictEqual(yield* series("mailrace.send.duration"), [])
      yield* Effect.provideService(send, SendMetrics.Recording, true)
      assert.lengthOf(yield* series("mailrace.send.duration"), 1)
    }).pipe(Effect.provide(MailTransport.layerTest()), inOwnRegistry)
  )

  it.effect("shows gauges while an exporter is open and their scope is", () =>
    Effect.gen(function* () {
      const shown = Effect.map(Metric.snapshot, (all) => all.map(({ id }) => id))
      const gauge = (context: Context.Context<never>) => [
        SendMetrics.observeUnsafe(Metric.gauge("mailrace.test"), context, () => 1)
      ]
      const scope = yield* Scope.make()
      yield* Scope.provide(SendMetrics.showWhileRecording(gauge), scope)
      assert.deepStrictEqual(yield* shown, [])
      const whileExported = Effect.scoped(Effect.andThen(SendMetrics.record, shown))
      assert.deepStrictEqual(yield* whileExported, ["mailrace.test"])
      assert.deepStrictEqual(yield* shown, [])
      assert.deepStrictEqual(yield* whileExported, ["mailrace.test"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* whileExported, [])
      const ofItsOwn = Effect.scoped(Effect.andThen(SendMetrics.showWhileRecording(gauge), shown))
      assert.deepStrictEqual(yield* Effect.provideService(ofItsOwn, SendMetrics.Recording, true), ["mailrace.test"])
      assert.deepStrictEqual(yield* shown, [])
    }).pipe(inOwnRegistry)
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
