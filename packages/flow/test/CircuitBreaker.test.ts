import { assert, describe, it } from "@effect/vitest"
import { CircuitBreaker } from "../src/CircuitBreaker.ts"
import { LoadGuard } from "../src/LoadGuard.ts"

describe("CircuitBreaker", () => {
  const failing = (times: number, now = 0) => {
    const circuit = new CircuitBreaker()
    for (let i = 0; i < times; i++) circuit.failed(now)
    return circuit
  }

  it("opens at the fifth failure in a row", () => {
    assert.strictEqual(failing(4).state(0), "closed")
    const circuit = failing(4)
    circuit.succeeded()
    for (let i = 0; i < 4; i++) circuit.failed(0)
    assert.strictEqual(circuit.state(0), "closed")
    assert.isTrue(circuit.failed(0))
    assert.strictEqual(circuit.availableAt(0), 1000)
  })

  it("tries one message after 1, 2, 4, 8 and 10 s, and closes when it goes through", () => {
    const circuit = failing(5)
    let now = 0
    for (const openMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
      assert.strictEqual(circuit.availableAt(now), now + openMs)
      now += openMs
      assert.strictEqual(circuit.state(now), "halfOpen")
      circuit.begin(now)
      assert.strictEqual(circuit.availableAt(now), now + 15_000)
      circuit.failed(now)
    }
    now += 10_000
    circuit.begin(now)
    assert.isTrue(circuit.succeeded())
    assert.strictEqual(circuit.availableAt(now), now)
  })

  it("joins a second trial to one that has no end in 15 s, and takes the first answer of the two", () => {
    const circuit = failing(5)
    circuit.begin(1000)
    assert.strictEqual(circuit.availableAt(16_000), 16_000)
    circuit.begin(16_000)
    assert.strictEqual(circuit.availableAt(16_001), 31_000)
    assert.isTrue(circuit.failed(31_000))
    assert.isTrue(circuit.succeeded())
    assert.strictEqual(circuit.state(31_001), "closed")
  })

  it("tries the next message when a trial ends without a word, and ignores late failures while it is open", () => {
    const circuit = failing(5)
    assert.isFalse(circuit.failed(10))
    circuit.begin(1000)
    circuit.abandoned()
    assert.strictEqual(circuit.availableAt(1000), 1000)
  })
})

describe("LoadGuard", () => {
  const calm = { eventLoopDelayP99Ms: 5, rss: 100, cpu: 0.9 }

  it("halves what may be sent after three slow seconds, never below an eighth, and gives it back", () => {
    const guard = new LoadGuard()
    const slow = { ...calm, eventLoopDelayP99Ms: 150 }
    guard.update(slow)
    guard.update(slow)
    assert.strictEqual(guard.room(40), 40)
    guard.update(slow)
    assert.strictEqual(guard.room(40), 20)
    for (let i = 0; i < 30; i++) guard.update(slow)
    assert.deepStrictEqual([guard.room(40), guard.room(2)], [5, 1])
    for (let i = 0; i < 9; i++) guard.update(calm)
    assert.strictEqual(guard.room(40), 40)
  })

  it("takes nothing in above 80 % of the memory cap, until it is below 75 %", () => {
    const guard = new LoadGuard({ memoryCap: 1000 })
    const paused = [790, 801, 790, 760, 749].map((rss) => {
      guard.update({ ...calm, rss })
      return guard.isIntakePaused
    })
    assert.deepStrictEqual(paused, [false, true, true, true, false])
  })

  it("acts on CPU only when asked", () => {
    const guard = new LoadGuard({ cpu: 0.8 })
    for (let i = 0; i < 3; i++) guard.update(calm)
    assert.strictEqual(guard.room(10), 5)
  })
})
