/**
 * Why messages wait: `Outbox.stats` says so in any process, the dispatcher's status too, and the log once a change.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Outbox from "../src/Outbox.ts"
import { mail, run, settle } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"

/** Gathers the events that are logged. */
const gather = () => {
  const events: Array<unknown> = []
  const logger = Logger.make<unknown, void>(({ fiber }) => {
    const event = fiber.getRef(References.CurrentLogAnnotations)["event"]
    if (String(event).startsWith("flow.")) events.push(event)
  })
  const gathering = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Info"),
      Effect.provide(Outbox.layerSqlite(":memory:")),
      Effect.scoped
    )
  return { events, gathering }
}

const enqueue = (count: number, to: string) =>
  Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(1, count), () => mail(to))))

const pass = Effect.repeat(Effect.andThen(TestClock.adjust("500 millis"), settle), { times: 19 })

describe("what messages wait for", () => {
  it.effect("is a limit that is used up, since when and until when, and nothing once the dispatcher has ended", () => {
    const { events, gathering } = gather()
    return gathering(
      Effect.gen(function* () {
        yield* enqueue(5, "x@a.test")
        const flow = Result.getOrThrow(FlowOptions.resolve({ rate: ["2/d"] }, 0))
        const relay = ScriptedTransport.make()
        const running = yield* Effect.forkScoped(run(relay, { until: "never", flow, poll: "1 second" }))
        yield* pass
        assert.strictEqual(relay.sent.length, 2)
        const [wait, ...others] = (yield* Outbox.stats).waits!
        assert.deepStrictEqual(others, [])
        assert.deepInclude(wait, { gate: "rate", key: undefined, reply: undefined })
        assert.isAtMost(wait!.since.getTime(), 5_000)
        assert.isAbove(wait!.until!.getTime(), 3_600_000)
        assert.deepStrictEqual(events, ["flow.held_back"])
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual((yield* Outbox.stats).waits, [])
      })
    )
  })

  it.effect("is a lane that asked to slow down, with its reply, until it takes a message again", () => {
    const { events, gathering } = gather()
    return gathering(
      Effect.gen(function* () {
        yield* enqueue(20, "x@slow.test")
        let isWell = false
        const relay = ScriptedTransport.make((message) =>
          isWell ? Effect.succeed(ScriptedTransport.taken(message)) : Effect.fail(ScriptedTransport.throttling())
        )
        yield* Effect.forkScoped(run(relay, { until: "never", concurrency: 4, poll: "1 second" }))
        yield* pass
        const [wait] = (yield* Outbox.stats).waits!
        assert.deepInclude(wait, { gate: "lane", key: "slow.test", reply: "451 4.7.1 too many messages" })
        assert.isAtMost(wait!.since.getTime(), 2_000)
        assert.deepStrictEqual(events, ["flow.left_alone"])
        isWell = true
        for (let i = 0; i < 20 && events.length < 2; i++) yield* Effect.andThen(TestClock.adjust("5 seconds"), settle)
        yield* pass
        assert.deepStrictEqual((yield* Outbox.stats).waits, [])
        assert.deepStrictEqual(events, ["flow.left_alone", "flow.takes_again"])
      })
    )
  })
})
