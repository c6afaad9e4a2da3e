/**
 * What the ledgers of limits must do wherever they are kept.
 */
import { assert } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import { LeasedRate } from "@mailrace/flow/LeasedRate"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Ledgers } from "../../src/OutboxStore.ts"

type Test<R> = (what: string, body: () => Effect.Effect<unknown, unknown, R | Scope.Scope>) => void

/** Runs the tests against ledgers; each `open` gives them as another process has them. */
export const ledgerSuite = <R>(test: Test<R>, open: Effect.Effect<Ledgers, unknown, R | Scope.Scope>): void => {
  test("a ledger is written once for each time that it was read", () =>
    Effect.gen(function* () {
      const { read, write } = yield* open
      assert.deepInclude(yield* read("relay:a"), { ledger: undefined, version: 0 })
      assert.isTrue(yield* write("relay:a", 0, "one"))
      assert.isFalse(yield* write("relay:a", 0, "two"))
      assert.isTrue(yield* write("relay:a", 1, "three"))
      const other = yield* open
      assert.deepInclude(yield* other.read("relay:a"), { ledger: "three", version: 2 })
      assert.isFalse(yield* other.write("relay:a", 1, "four"))
      assert.isFalse(yield* other.write("relay:a", 3, "five"))
      assert.deepInclude(yield* read("relay:a"), { ledger: "three", version: 2 })
      assert.deepInclude(yield* read("relay:b"), { ledger: undefined, version: 0 })
    }))

  test("a ledger comes back as it was written, whatever its name", () =>
    Effect.gen(function* () {
      const { read, write } = yield* open
      const text = `${JSON.stringify({ "14/s": 1.5, "50000/d": [[1, 2]] })}\r\n"' ü🚀${"x".repeat(100_000)}`
      for (const name of ["lane:münchen.test", "tenant:a b\n'\"", "relay:{x}:25"]) {
        assert.isTrue(yield* write(name, 0, text))
        assert.deepInclude(yield* read(name), { ledger: text, version: 1 })
      }
    }))

  test("of concurrent writers, one succeeds", () =>
    Effect.gen(function* () {
      const processes = yield* Effect.all([open, open, open])
      for (let version = 0; version < 5; version++) {
        const written = yield* Effect.forEach(processes, ({ write }, i) => write("relay:c", version, `by ${i}`), {
          concurrency: "unbounded"
        })
        assert.lengthOf(
          written.filter((one) => one),
          1
        )
      }
    }))

  test("concurrent leases share the times of a limit", () =>
    Effect.gen(function* () {
      const limit = 100
      const { relay: rates } = Result.getOrThrow(FlowOptions.resolve({ rate: [`${limit}/s`] }, 0))
      const leased: Array<number> = []
      const processes = yield* Effect.all([open, open, open])
      const lease = ({ read, write }: Ledgers): Effect.Effect<void, unknown> =>
        Effect.gen(function* () {
          const { ledger: stored, now, version } = yield* read("relay:d")
          const { ledger, times } = new LeasedRate(rates).lease(stored, now, 5)
          for (const time of times) assert.isAtLeast(time, now)
          if (yield* write("relay:d", version, ledger)) leased.push(...times)
          else yield* lease({ read, write })
        })
      yield* Effect.forEach(processes, (one) => Effect.repeat(lease(one), { times: 3 }), { concurrency: "unbounded" })
      const times = leased.sort((a, b) => a - b)
      assert.isAbove(times.length, 0)
      for (let i = 1; i < times.length; i++) assert.isAtLeast(times[i]! - times[i - 1]!, 1000 / limit - 0.01)
    }))
}
