/**
 * The log of a dispatcher tells of lanes that are paused and resumed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import { MailTransport } from "mailrace/MailTransport"
import * as PauseLog from "../src/internal/dispatch/pauseLog.ts"
import * as Outbox from "../src/Outbox.ts"
import * as OutboxError from "../src/OutboxError.ts"

const recorded = (onEvent: (event: unknown) => void = () => {}) => {
  const events: Array<Record<string, unknown>> = []
  const logger = Logger.make<unknown, void>(({ fiber, message }) => {
    const facts = fiber.getRef(References.CurrentLogAnnotations)
    events.push({ ...facts, message: String(message) })
    onEvent(facts["event"])
  })
  return { events, layer: Logger.layer([logger]) }
}

const lanesIn = (events: ReadonlyArray<Record<string, unknown>>) =>
  events.map(({ event, lane, lanes }) => `${String(event)} ${String(lane ?? lanes)}`)

describe("the log", () => {
  it.effect("names the lanes that are paused at the start, and each later change once", () =>
    Effect.gen(function* () {
      const { events, layer } = recorded()
      let paused: Effect.Effect<ReadonlyArray<string>, OutboxError.OutboxError> = Effect.succeed(["a.example"])
      const store = { name: "o.db", pausedLanes: Effect.suspend(() => paused) }
      const running = yield* Effect.forkChild(Effect.provide(PauseLog.run(store, "5 seconds"), layer))
      const after = (lanes: typeof paused) =>
        Effect.suspend(() => {
          paused = lanes
          return Effect.map(TestClock.adjust("5 seconds"), () => lanesIn(events.splice(0)))
        })
      assert.deepStrictEqual(yield* after(paused), ["lane.paused a.example"])
      assert.deepStrictEqual(yield* after(paused), [])
      assert.deepStrictEqual(yield* after(Effect.succeed(["b.example"])), [
        "lane.paused b.example",
        "lane.resumed a.example"
      ])
      // A store without an answer pauses and resumes nothing.
      const away = OutboxError.make(
        new OutboxError.Unavailable({ store: "o.db", problem: "it is away", isRetryable: true })
      )
      assert.deepStrictEqual(yield* after(Effect.fail(away)), [])
      const many = Array.from({ length: 25 }, (_, n) => `lane-${n}.example`)
      const told = yield* after(Effect.succeed(many))
      assert.lengthOf(told, 12)
      assert.strictEqual(told[10], "lane.paused 15")
      yield* Fiber.interrupt(running)
    })
  )

  it.live("of a dispatcher reports a lane that is paused and resumed while it runs", () =>
    Effect.gen(function* () {
      const told = yield* Queue.unbounded<string>()
      const { events, layer } = recorded((event) => void Queue.offerUnsafe(told, String(event)))
      const transport = MailTransport.of({ send: () => Effect.never })
      const running = yield* Effect.forkChild(
        Outbox.run({ poll: "4 millis" }).pipe(Effect.provideService(MailTransport, transport), Effect.provide(layer))
      )
      yield* Outbox.pause("gmail.com")
      assert.strictEqual(yield* Queue.take(told), "lane.paused")
      yield* Outbox.resume("gmail.com")
      assert.strictEqual(yield* Queue.take(told), "lane.resumed")
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(lanesIn(events), ["lane.paused gmail.com", "lane.resumed gmail.com"])
      assert.match(String(events[0]!["message"]), /^lane gmail\.com of .* is paused: nothing more is sent/)
    }).pipe(Effect.provide(Outbox.layerSqlite(":memory:")))
  )
})
