import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as SmtpOptions from "../src/SmtpOptions.ts"
import * as Relay from "./support/relay.ts"
import * as Stopped from "./support/stopped.ts"

describe("SmtpPool: the wait for a session", () => {
  for (const [where, fault] of [
    ["a session becomes free", "final:hang"],
    ["a session is opened", "greeting:hang"],
    ["a connection is made", "connect:hang"]
  ] as const) {
    it.live(`ends before ${where}, with the option to raise`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: [fault] })
        const { pass } = yield* Stopped.clock
        const relay = yield* Relay.open(server, {
          maxConnections: 1,
          pipelining: "off",
          interruptGrace: 1,
          timeouts: { session: 5_000 }
        })
        const first = yield* Effect.forkScoped(Effect.result(relay.send(Relay.message(1))), { startImmediately: true })
        yield* server.until(({ faults }) => faults > 0)
        const second = yield* Effect.forkScoped(Effect.flip(relay.send(Relay.message(2))), { startImmediately: true })
        yield* pass(4_900)
        assert.isUndefined(second.pollUnsafe())
        yield* pass(200)
        const error = yield* Fiber.join(second)
        assert.deepInclude(error.reason, { _tag: "Timeout", phase: "session", limitMs: 5_000 })
        assert.strictEqual(error.reason.message, "no session became free for 5000 ms")
        assert.strictEqual(
          error.remedy,
          "raise `maxConnections` if the relay allows more connections, or `timeouts.session` if it is slow by nature"
        )
        assert.isTrue(error.isRetryable)
        assert.strictEqual((yield* relay.smtp.stats).waiting, 0)
        const ending = yield* Effect.forkScoped(Fiber.interrupt(first), { startImmediately: true })
        yield* pass(10)
        yield* Fiber.join(ending)
      })
    )
  }

  it.live("does not count while the caller's own limit lets no connection be opened", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { pass } = yield* Stopped.clock
      const opensAt = performance.now() + 60_000
      const connectionRate = { availableAt: (now: number) => Math.max(now, opensAt), opened: () => {} }
      const relay = yield* Relay.open(server, { connectionRate, timeouts: { session: 5_000 } })
      const sending = yield* Effect.forkScoped(Effect.result(relay.send(Relay.message(1))), { startImmediately: true })
      yield* pass(59_000)
      assert.isUndefined(sending.pollUnsafe())
      yield* pass(1_500)
      assert.strictEqual((yield* Fiber.join(sending))._tag, "Success")
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )

  it("lasts ten minutes by default, and longer where a final reply may take as long", () => {
    const waitOf = (timeouts: SmtpOptions.Timeouts) =>
      SmtpOptions.resolve({ host: "relay.example", timeouts }).timeouts.session
    assert.deepStrictEqual(
      [{}, { finalReply: "1 second" }, { finalReply: "10 minutes" }, { session: "5 seconds" }].map((timeouts) =>
        waitOf(timeouts as SmtpOptions.Timeouts)
      ),
      [600_000, 600_000, 1_200_000, 5_000]
    )
  })
})
