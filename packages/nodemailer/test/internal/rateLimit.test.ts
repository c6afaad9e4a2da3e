import { assert, describe, it, vi } from "@effect/vitest"
import { afterEach, beforeEach } from "vitest"
import { RateLimit } from "../../src/internal/rateLimit.ts"

/** Begins as many mails as it may now. */
const begin = (rate: RateLimit): number => {
  let begun = 0
  for (; rate.hasRoom; begun++) rate.begin()
  return begun
}

describe("RateLimit", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("lets so many messages begin in each period, which begins with its first mail", () => {
    const rooms: Array<number> = []
    const rate = new RateLimit({ limit: 3, periodMs: 1000 }, () => void rooms.push(Date.now()))
    const start = Date.now()
    rate.begin()
    vi.advanceTimersByTime(900)
    assert.strictEqual(begin(rate), 2)
    assert.isFalse(rate.hasRoom)
    vi.advanceTimersByTime(99)
    assert.isFalse(rate.hasRoom)
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(rooms, [start + 1000])
    vi.advanceTimersByTime(10_000)
    assert.strictEqual(begin(rate), 3)
    vi.advanceTimersByTime(1000)
    assert.strictEqual(begin(rate), 3)
  })

  it("keeps a process alive only while a mail may wait for room", () => {
    const rate = new RateLimit({ limit: 2, periodMs: 1000 }, () => {})
    vi.useRealTimers()
    const count = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
    const before = count()
    rate.begin()
    assert.strictEqual(count(), before)
    rate.begin()
    assert.strictEqual(count(), before + 1)
    rate.stop()
    assert.strictEqual(count(), before)
  })
})
