import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as MailError from "mailrace/MailError"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { int, pick } from "./support/arbitraries.ts"
import { leavingNothing } from "./support/leaks.ts"
import * as Relay from "./support/relay.ts"

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
          yield* Relay.sendMany(relay, 20)
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
              const fiber = yield* Effect.forkChild(Relay.sendMany(relay, 20))
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

  it.live("of a session that opens after its waiters have gone", () =>
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

  it.live("of a relay that never answers QUIT", () =>
    leavingNothing(
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["quit:hang"] })
        yield* Effect.scoped(
          Effect.flatMap(Relay.open(server, { timeouts: { quit: 50 } }), (relay) => relay.send(Relay.message(1)))
        )
        yield* server.awaitIdle
        assert.strictEqual(server.stats.faults, 1)
      })
    )
  )

  it.live("before the relay has answered QUIT", () =>
    leavingNothing(
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["quit:delay=50ms"] })
        yield* Effect.scoped(Effect.flatMap(Relay.open(server), (relay) => relay.send(Relay.message(1))))
        assert.isTrue(server.transcript.some(({ by, line }) => by === "server" && line.startsWith("221")))
        yield* server.awaitIdle
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
          // Every started message was awaited.
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

describe("SmtpPool: a message after the transport has closed", () => {
  const assertClosed = ({ isRetryable, reason }: MailError.MailError): void => {
    assert.deepInclude(reason, { _tag: "ConnectionLost", problem: "the transport is closed" })
    assert.isTrue(isRetryable)
  }

  /** A transport, and how to close it. */
  const openClosable = (...[server, options]: Parameters<typeof Relay.open>) =>
    Effect.gen(function* () {
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      const relay = yield* Scope.provide(Relay.open(server, options), scope)
      return { relay, close: Scope.close(scope, Exit.void) }
    })

  it.live("fails with the reason, whether the pool was used before or not", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      for (const isUsed of [false, true]) {
        const { close, relay } = yield* openClosable(server)
        if (isUsed) yield* relay.send(Relay.message(1))
        yield* close
        assertClosed(yield* Effect.flip(relay.send(Relay.message(2))))
      }
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("fails with the reason if it waited for the first session", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["greeting:hang"] })
      const { close, relay } = yield* openClosable(server)
      const waiting = yield* Effect.forEach([1, 2], (n) => Effect.forkChild(Effect.flip(relay.send(Relay.message(n)))))
      yield* server.until(({ faults }) => faults === 1)
      yield* close
      for (const fiber of waiting) assertClosed(yield* Fiber.join(fiber))
    })
  )

  it.live("fails with the reason if it waited for a session, and messages in flight finish", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=60ms"], extensions: { pipelining: false } })
      const { close, relay } = yield* openClosable(server, { maxConnections: 1 })
      const first = yield* Effect.forkChild(relay.send(Relay.message(1)))
      const second = yield* Effect.forkChild(Effect.flip(relay.send(Relay.message(2))))
      yield* server.until(({ faults }) => faults === 1)
      yield* close
      yield* Fiber.join(first)
      assertClosed(yield* Fiber.join(second))
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("ends each mail of a stream once", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=600ms"], extensions: { pipelining: false } })
      const { close, relay } = yield* openClosable(server, { maxConnections: 2 })
      const all = yield* Stream.fromIterable([0, 1, 2, 3, 4, 5, 6, 7]).pipe(
        Stream.map((n) => Relay.message(n)),
        Mailer.sendAll({ concurrency: 4, retry: RetryPolicy.none }),
        Stream.runCollect,
        Effect.provideService(MailTransport, relay.transport),
        Effect.forkChild
      )
      yield* server.until(({ faults }) => faults === 2)
      yield* close
      const deliveries = yield* Fiber.join(all)
      assert.deepStrictEqual(deliveries.map(({ id }) => id).toSorted(), ["0", "1", "2", "3", "4", "5", "6", "7"])
      const accepted = deliveries.filter(({ _tag }) => _tag === "Accepted")
      assert.deepStrictEqual(
        accepted.map(({ id }) => `from-${id}@test.example`).toSorted(),
        server.messages.map(({ from }) => from.address).toSorted()
      )
      assert.lengthOf(accepted, 2)
    })
  )
})
