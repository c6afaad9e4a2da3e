/** The counts of an outbox in Effect's metrics, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { Outbox } from "../src/Outbox.ts"
import type { Stats } from "../src/OutboxEntry.ts"
import * as OutboxError from "../src/OutboxError.ts"
import * as OutboxMetrics from "../src/OutboxMetrics.ts"

const gauges = Effect.map(Metric.snapshot, (all) =>
  Object.fromEntries(
    all
      .filter(({ id }) => id.startsWith("mailrace.outbox."))
      .filter(({ attributes }) => attributes?.["outbox"] === "o.db")
      .map(({ attributes, id, state }) => [
        [id.slice("mailrace.outbox.".length), attributes?.["state"]].filter(Boolean).join(" "),
        (state as Metric.GaugeState<number>).value
      ])
  )
)

const stats = (due: number, oldestDueAt: Date | undefined, paused: boolean): Stats => ({
  states: { due, claimed: 2, accepted: 30, rejected: 0, expired: 0, dead: 1, cancelled: 0 },
  pendingBytes: 4096,
  oldestDueAt,
  acceptedPerSecond: 0,
  lanes: [
    { lane: "x.example", waiting: due, oldestDueAt, paused: false },
    { lane: "y.example", waiting: 0, oldestDueAt: undefined, paused }
  ],
  dispatchers: []
})

describe("OutboxMetrics", () => {
  it.effect(
    "queries repeatedly, keeps the last counts while the outbox cannot be read, and removes them at its end",
    () =>
      Effect.gen(function* () {
        let answer: Effect.Effect<Stats, OutboxError.OutboxError> = Effect.succeed(stats(5, new Date(0), true))
        yield* TestClock.setTime(90_000)
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(
          Layer.provide(
            OutboxMetrics.layer({ interval: "10 seconds" }),
            Layer.succeed(Outbox, { name: "o.db", stats: Effect.suspend(() => answer) } as Outbox["Service"])
          ),
          scope
        )
        yield* TestClock.adjust("1 second")
        const first = {
          "messages due": 5,
          "messages claimed": 2,
          "messages dead": 1,
          pending_size: 4096,
          overdue: 90,
          paused_lanes: 1,
          dispatchers: 0
        }
        assert.deepInclude(yield* gauges, first)
        answer = Effect.fail(
          OutboxError.make(new OutboxError.Unavailable({ store: "o.db", problem: "gone", isRetryable: true }))
        )
        yield* TestClock.adjust("10 seconds")
        assert.deepInclude(yield* gauges, first)
        // A message that is due later is not overdue.
        answer = Effect.succeed(stats(3, new Date(1_000_000), false))
        yield* TestClock.adjust("10 seconds")
        assert.deepInclude(yield* gauges, { "messages due": 3, overdue: 0, paused_lanes: 0 })
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* gauges, {})
      }).pipe((effect) => Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map())))
  )
})
