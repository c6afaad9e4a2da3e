import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { int, pick } from "./support/arbitraries.ts"
import { leavingNothing } from "./support/leaks.ts"
import * as Relay from "./support/relay.ts"

const sendMany = (relay: Relay.Relay, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => Relay.message(n)),
    relay.send,
    { concurrency: count }
  )

describe("SmtpPool: nothing is left", () => {
  for (const [what, tls] of [
    ["in clear", false],
    ["over TLS", true]
  ] as const) {
    it.live(`after it has closed, idle (${what})`, () =>
      leavingNothing(
        Effect.gen(function* () {
          const server = yield* TestServer.make({ tls })
          const relay = yield* Relay.open(server, {
            minConnections: 2,
            tls: { mode: "opportunistic" },
            maxLifetime: 5000
          })
          yield* sendMany(relay, 20)
        })
      )
    )

    it.live(`after it has closed in the middle of sending (${what})`, () =>
      leavingNothing(
        Effect.gen(function* () {
          const server = yield* TestServer.make({ tls, faults: ["final:hang"] })
          yield* Effect.scoped(
            Effect.gen(function* () {
              const relay = yield* Relay.open(server, {
                tls: { mode: "opportunistic" },
                interruptGrace: 20,
                maxConnections: 2
              })
              const fiber = yield* Effect.forkChild(sendMany(relay, 20))
              yield* server.until(({ faults }) => faults > 0)
              yield* Fiber.interrupt(fiber)
            })
          )
          yield* server.awaitIdle
        })
      )
    )

    it.live(`after it has closed while it was connecting (${what})`, () =>
      leavingNothing(
        Effect.gen(function* () {
          const server = yield* TestServer.make({ tls, faults: ["connect:hang"] })
          yield* Effect.scoped(
            Effect.gen(function* () {
              const relay = yield* Relay.open(server, { tls: { mode: "opportunistic" }, minConnections: 1 })
              yield* Effect.forkChild(relay.send(Relay.message(1)))
              yield* server.until(({ open }) => open > 0)
            })
          )
          yield* server.awaitIdle
        })
      )
    )
  }

  it.live("of a session that nobody waited for any more when it was open", () =>
    leavingNothing(
      Effect.gen(function* () {
        const server = yield* TestServer.make({ connectDelay: 20 })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const relay = yield* Relay.open(server)
            const fiber = yield* Effect.forkChild(relay.send(Relay.message(1)))
            yield* server.until(({ open }) => open > 0)
            yield* Fiber.interrupt(fiber)
            while ((yield* relay.smtp.stats).opened === 0) yield* Effect.sleep(1)
          })
        )
        yield* server.awaitIdle
        assert.isEmpty(server.messages)
        assert.deepStrictEqual(
          server.connections.map(({ quit }) => quit),
          [true]
        )
      })
    )
  )

  it.live.prop(
    "wherever it is interrupted, and each message was sent or not",
    [
      int(0, 40),
      Arbitrary.array(pick(["final:delay=3ms:50%", "mail:reset:10%", "greeting:421:20%"]), { maxLength: 2 })
    ],
    ([afterCommands, faults]) =>
      leavingNothing(
        Effect.gen(function* () {
          const server = yield* TestServer.make({ faults })
          const accepted = new Set<string>()
          yield* Effect.scoped(
            Effect.gen(function* () {
              const relay = yield* Relay.open(server, { maxConnections: 3, pipelining: "overlap" })
              const fiber = yield* Effect.forkChild(
                Effect.forEach(
                  Array.from({ length: 30 }, (_, n) => Relay.message(n)),
                  (message) =>
                    Effect.uninterruptibleMask((restore) =>
                      Effect.tap(
                        Effect.ignore(
                          relay.transport
                            .send(message, { restore })
                            .pipe(Effect.tap(() => Effect.sync(() => accepted.add(message.id!))))
                        ),
                        () => Effect.void
                      )
                    ),
                  { concurrency: 30 }
                )
              )
              yield* Effect.race(
                server.until(({ commands }) => commands >= afterCommands),
                Fiber.await(fiber)
              )
              yield* Fiber.interrupt(fiber)
            })
          )
          yield* server.awaitIdle
          // Whoever was begun was waited for.
          assert.deepStrictEqual(
            server.messages.map(({ from }) => from.address).toSorted(),
            [...accepted].map((id) => `from-${id}@test.example`).toSorted()
          )
          assert.deepStrictEqual(server.protocolErrors, [])
        })
      ),
    { arbitrary: { runs: 30 } }
  )
})
