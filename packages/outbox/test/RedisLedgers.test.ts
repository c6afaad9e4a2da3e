/**
 * What Redis answers as errors of the outbox, without a server; `test/servers/redis.test.ts` has a real one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import { RateLeasing } from "@mailrace/flow/RateLeasing"
import { oneMessage } from "@mailrace/flow/RateLimit"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redis from "effect/persistence/Redis"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import * as RedisLedgers from "../src/RedisLedgers.ts"

/** The ledgers over a Redis whose commands end so. */
const over = (answer: Effect.Effect<never, Redis.RedisError>) =>
  Effect.gen(function* () {
    const redis = yield* Redis.make({
      send: () => answer,
      subscribe: () => Effect.never,
      connect: Effect.never
    })
    return yield* Effect.provideService(RedisLedgers.make(), Redis.Redis, redis)
  })

const failing = (message: string) => over(Effect.fail(new Redis.RedisError({ cause: new Error(message) })))

describe("ledgers in Redis", () => {
  for (const [message, isRetryable, remedy] of [
    ["connect ECONNREFUSED 127.0.0.1:6379", true, "check that Redis runs"],
    ["LOADING Redis is loading the dataset in memory", true, "check that Redis runs"],
    ["READONLY You can't write against a read only replica.", true, "check that Redis runs"],
    ["OOM command not allowed when used memory > 'maxmemory'.", true, "check that Redis runs"],
    ["NOAUTH Authentication required.", false, "the user and the password"],
    ["WRONGPASS invalid username-password pair or user is disabled.", false, "correct the client's user"],
    ["NOPERM User default has no permissions to run the 'evalsha' command", false, "let this user run"],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", false, "choose another `prefix`"]
  ] as const)
    it.effect(`report ${message} and a remedy`, () =>
      Effect.gen(function* () {
        const { read, write } = yield* failing(message)
        for (const error of [yield* Effect.flip(read("relay:a")), yield* Effect.flip(write("relay:a", 0, "x"))]) {
          assert.strictEqual(error.message, `Unavailable: Redis is not available: ${message}`)
          assert.strictEqual(error.isRetryable, isRetryable)
          assert.include(error.remedy, remedy)
        }
      })
    )

  it.effect("wait for an answer for two seconds", () =>
    Effect.gen(function* () {
      const { read } = yield* over(Effect.never)
      const reading = yield* Effect.forkChild(Effect.flip(read("relay:a")))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(reading)
      assert.include(error.message, "no answer within 2s")
      assert.isTrue(error.isRetryable)
    })
  )

  it.effect("are asked again a second after they could not be reached", () =>
    Effect.gen(function* () {
      let asked = 0
      const { write } = yield* failing("LOADING")
      const { relay: rates, ...settings } = Result.getOrThrow(FlowOptions.resolve({ rate: ["10/s"] }, 0))
      const { read } = yield* failing("LOADING")
      const counted = {
        read: (name: string) =>
          Effect.andThen(
            Effect.sync(() => asked++),
            read(name)
          ),
        write
      }
      const leasing = new RateLeasing(counted, settings, "outboxes", () => {})
      leasing.makeRate("relay", rates).availableAt(0, oneMessage)
      yield* Effect.forkChild(leasing.run)
      yield* TestClock.adjust("900 millis")
      assert.strictEqual(asked, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(asked, 2)
    })
  )
})
