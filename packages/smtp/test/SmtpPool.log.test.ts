/**
 * The log tells of a relay what concerns all messages, once.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Relay from "./support/relay.ts"

/** The names of the events that an effect logs. */
const eventsOf = <E, R>(effect: Effect.Effect<unknown, E, R>) =>
  Effect.suspend(() => {
    const events: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ fiber }) => {
      events.push(fiber.getRef(References.CurrentLogAnnotations)["event"])
    })
    return Effect.as(Effect.provide(effect, Logger.layer([logger])), events)
  })

describe("a pool's log", () => {
  it.live("tells once that a relay is down, and that it is back", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const events = yield* eventsOf(
        Effect.gen(function* () {
          const { transport } = yield* Relay.open(server, { maxMessages: 1 })
          const send = (n: number) => Effect.result(transport.send(Relay.message(n)))
          yield* send(1)
          yield* server.setFaults(["greeting:drop"])
          yield* send(2)
          yield* send(3)
          yield* server.setFaults([])
          yield* send(4)
        }).pipe(Effect.provideService(References.MinimumLogLevel, "Info"))
      )
      assert.deepStrictEqual(events, ["relay.down", "relay.back"])
    })
  )

  it.live("leaves it to the error that a relay was never up", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["greeting:554 5.7.1 not you"] })
      const events = yield* eventsOf(
        Effect.gen(function* () {
          const { transport } = yield* Relay.open(server)
          yield* Effect.result(transport.send(Relay.message(1)))
        })
      )
      assert.deepStrictEqual(events, [])
    })
  )
})
