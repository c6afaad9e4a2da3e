import { assert, describe, it } from "@effect/vitest"
import { CongestionWindow } from "@mailrace/flow/CongestionWindow"

describe("CongestionWindow", () => {
  it("halves once a cohort, closes for longer and longer, and opens again by successes", () => {
    const gate = new CongestionWindow()
    gate.inFlight = 100
    gate.failed(5, 101, 0, 0)
    for (let old = 6; old <= 100; old++) gate.failed(old, 101, 0, 0)
    gate.inFlight = 0
    assert.strictEqual(gate.room(0), 50)
    let next = 101
    for (const room of [25, 12, 6, 3, 1]) {
      gate.inFlight = gate.room(0)
      gate.failed(next, ++next, 0, 0)
      gate.inFlight = 0
      assert.strictEqual(gate.room(0), room)
    }
    let now = 0
    for (const pause of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      gate.inFlight = 1
      gate.failed(next, ++next, now, 0)
      gate.inFlight = 0
      assert.strictEqual(gate.opensAt(now), now + pause)
      assert.strictEqual(gate.room(now + pause - 1), 0)
      now += pause
      assert.strictEqual(gate.room(now), 1)
    }
    for (let i = 0; i < 10; i++) gate.succeeded(10)
    assert.isTrue(gate.isQuiet)
  })

  it("stays closed as long as it was asked to, five minutes at most", () => {
    const gate = new CongestionWindow()
    gate.inFlight = 1
    gate.failed(1, 2, 0, 90_000)
    assert.strictEqual(gate.opensAt(0), 90_000)
    gate.failed(2, 3, 90_000, 86_400_000)
    assert.strictEqual(gate.opensAt(90_000), 390_000)
  })

  it("stays closed for a whole pause, whatever becomes of the messages that were on their way", () => {
    const gate = new CongestionWindow()
    gate.inFlight = 3
    gate.close(0, 86_400_000)
    gate.failed(1, 4, 10, 0)
    gate.inFlight = 1
    gate.failed(2, 4, 20, 90_000)
    gate.succeeded(10)
    gate.inFlight = 0
    assert.strictEqual(gate.opensAt(30), 86_400_000)
    gate.close(30, 1000)
    assert.strictEqual(gate.opensAt(30), 86_400_000)
    gate.inFlight = 1
    gate.failed(4, 5, 86_400_000, 0)
    assert.isAtLeast(gate.opensAt(86_400_000)!, 86_401_000)
  })
})
