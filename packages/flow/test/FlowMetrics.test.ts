/** The gates of a relay in Effect's metrics. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as SendMetrics from "mailrace/SendMetrics"
import * as FlowTransport from "../src/FlowTransport.ts"

const inOwnRegistry = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

/** As where something exports the metrics. */
const recorded = <A, E, R>(effect: Effect.Effect<A, E, R>) => inOwnRegistry(Effect.provide(effect, SendMetrics.layer))

const gauges = Effect.map(Metric.snapshot, (all) =>
  Object.fromEntries(
    all
      .filter(({ id }) => id.startsWith("mailrace.flow."))
      .map(({ attributes, id, state }) => {
        assert.deepStrictEqual(attributes, { relay: "mx.example.org:25" })
        return [id.slice("mailrace.flow.".length), (state as Metric.GaugeState<number>).value]
      })
  )
)

const message = Composed.make({
  messageId: "<1@example.org>",
  envelope: { from: "a@example.org" as never, to: ["b@example.org" as never] },
  content: new Uint8Array(0)
})

/** A relay under all gates that fails in this way. */
const relay = (error: MailError.MailError) =>
  FlowTransport.make(MailTransport.of({ concurrency: 20, send: () => Effect.fail(error) }), {
    adaptive: true,
    circuit: true,
    relay: "mx.example.org:25"
  })

describe("FlowMetrics", () => {
  it.effect("shows open gates while nothing is wrong, and nothing once they are gone", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.provide(relay(MailError.invalid("to", "never sent")), scope)
      assert.deepStrictEqual(yield* gauges, { window: 20, in_flight: 0, circuit_open: 0, slowed: 0 })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* gauges, {})
    }).pipe(recorded)
  )

  it.effect("shows a relay that rests", () =>
    Effect.gen(function* () {
      const down = MailError.make(
        new MailError.ConnectFailed({ kind: "refused", host: "mx.example.org", port: 25, problem: "refused" })
      )
      const transport = Context.get(yield* relay(down), MailTransport)
      for (let n = 0; n < 5; n++) yield* Effect.exit(transport.send(message))
      assert.deepInclude(yield* gauges, { circuit_open: 1, slowed: 0 })
    }).pipe(recorded)
  )

  it.effect("shows a relay whose complaints set the pace", () =>
    Effect.gen(function* () {
      const slowDown = MailError.make(
        new MailError.Throttled({
          reply: { code: 421, enhanced: "4.7.0", text: "too many messages from your address, slow down" }
        })
      )
      const transport = Context.get(yield* relay(slowDown), MailTransport)
      // The message is kept for a second try.
      yield* Effect.forkChild(Effect.exit(transport.send(message)))
      yield* TestClock.adjust("1 milli")
      assert.deepInclude(yield* gauges, { slowed: 1 })
    }).pipe(recorded)
  )

  it.effect("shows nothing while nothing exports the metrics", () =>
    Effect.gen(function* () {
      yield* relay(MailError.invalid("to", "never sent"))
      assert.deepStrictEqual(yield* gauges, {})
    }).pipe(inOwnRegistry)
  )
})
