/**
 * How often the ledger of a limit is read: as often as a message may go, and rarely while the limit is used up.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import * as FlowOptions from "../src/FlowOptions.ts"
import type { Ledgers } from "../src/Ledgers.ts"
import { RateLeasing, type Sharers } from "../src/RateLeasing.ts"
import { oneMessage } from "../src/RateLimit.ts"
import { MemoryLedger } from "./support/memoryLedger.ts"

/** A process that always has messages under these limits. */
const startOf =
  (sharers: Sharers) =>
  (ledgers: Ledgers, ...rate: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const { relay: rates, ...settings } = Result.getOrThrow(FlowOptions.resolve({ rate }, 0))
      const leasing = new RateLeasing(ledgers, settings, sharers, () => {})
      const limit = leasing.makeRate("relay", rates)
      const sent: Array<number> = []
      const running = yield* Effect.forkChild(leasing.run, { startImmediately: true })
      /** Lets time pass, and sends all that may go. */
      const pass = (ms: number) =>
        Effect.gen(function* () {
          for (let passed = 0; passed < ms; passed += 100) {
            let now = yield* Clock.currentTimeMillis
            while (limit.availableAt(now, oneMessage) <= now) {
              limit.admit(now, oneMessage)
              sent.push(now)
            }
            yield* TestClock.adjust("100 millis")
          }
        })
      return { pass, sent, end: Fiber.interrupt(running) }
    })

const start = startOf("outboxes")

describe("a limit of one process", () => {
  for (const [rate, most] of [
    ["6/m", 13],
    ["120/m", 242]
  ] as const)
    it.effect(`of ${rate} holds over restarts`, () =>
      Effect.gen(function* () {
        const ledgers = new MemoryLedger()
        let sent = 0
        for (let restarts = 0; restarts < 30; restarts++) {
          const process = yield* startOf("nobody")(ledgers, rate)
          yield* process.pass(4_000)
          yield* process.end
          sent += process.sent.length
        }
        assert.isAtMost(sent, most)
        assert.isAtLeast(sent, 0.5 * most)
      })
    )
})

describe("the ledger of a limit that is used up", () => {
  it.effect("is read every few seconds, and in time when the window opens", () =>
    Effect.gen(function* () {
      const ledgers = new MemoryLedger()
      const first = yield* start(ledgers, "10/h")
      yield* first.pass(1_000)
      assert.lengthOf(first.sent, 10)
      const before = ledgers.reads
      yield* first.pass(30_000)
      assert.isAtMost(ledgers.reads - before, 15)
      assert.lengthOf(first.sent, 10)
      yield* first.end
      // The window and the sub-window in which they were sent.
      const opensAt = 3_660_000
      yield* TestClock.setTime(opensAt - 20_000)
      const next = yield* start(ledgers, "10/h")
      yield* next.pass(21_000)
      assert.lengthOf(next.sent, 10)
      assert.isAtMost(next.sent[0]!, opensAt + 200)
    })
  )

  it.effect("is read within seconds after another process has given something back", () =>
    Effect.gen(function* () {
      const ledgers = new MemoryLedger()
      const { pass, sent } = yield* start(ledgers, "10/d")
      yield* pass(15_000)
      assert.lengthOf(sent, 10)
      ledgers.stored = undefined
      yield* pass(6_000)
      assert.lengthOf(sent, 20)
    })
  )

  it.effect("is read in time for each message of a slow limit", () =>
    Effect.gen(function* () {
      const ledgers = new MemoryLedger()
      const { pass, sent } = yield* start(ledgers, "6/m")
      yield* pass(60_000)
      assert.isAtLeast(sent.length, 6)
      assert.isAtMost(ledgers.reads, 70)
    })
  )

  it.effect("is read rarely for recipients too", () =>
    Effect.gen(function* () {
      const ledgers = new MemoryLedger()
      const { pass, sent } = yield* start(ledgers, "10 recipients/d")
      yield* pass(1_000)
      const before = ledgers.reads
      yield* pass(15_000)
      assert.lengthOf(sent, 10)
      assert.isAtMost(ledgers.reads - before, 12)
    })
  )
})
