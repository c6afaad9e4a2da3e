import { assert, describe, it } from "@effect/vitest"
import { ServiceTime } from "../../../src/internal/session/serviceTime.ts"

/** A connection that always has as many messages under way as `depth` says, over so many messages. */
const saturate = (service: number, roundTrip: number, messages: number, estimate = new ServiceTime(32)) => {
  const due: Array<number> = []
  let now = 0
  let freeAt = 0
  const fill = () => {
    while (due.length < estimate.depth) {
      if (due.length === 0) {
        estimate.begunAlone(now)
        estimate.answered(now + roundTrip)
        estimate.handedOver(now)
      }
      freeAt = Math.max(freeAt, now + roundTrip / 2) + service
      due.push(freeAt + roundTrip / 2)
    }
  }
  fill()
  for (let ended = 0; ended < messages;) {
    now = due[0]!
    for (; due.length > 0 && due[0]! <= now; ended++) {
      due.shift()
      estimate.completed(1)
    }
    estimate.batchEnded(now, due.length > 0)
    fill()
  }
  return estimate
}

describe("ServiceTime", () => {
  for (const [service, roundTrip, depth] of [
    [300, 0.2, 1],
    [300, 20, 2],
    [100, 20, 2],
    [50, 80, 3],
    [10, 80, 9],
    [0, 20, 32],
    [0.2, 0.1, 32]
  ] as const) {
    it(`finds a depth of ${depth} where a message takes ${service} ms and a round trip ${roundTrip} ms`, () => {
      assert.strictEqual(saturate(service, roundTrip, 300).depth, depth)
    })
  }

  it("doubles with each round until the relay is busy", () => {
    const estimate = new ServiceTime(32)
    const depths = new Set<number>()
    for (let n = 1; n < 64; n++) depths.add(saturate(0, 20, n).depth)
    assert.deepEqual([...depths], [2, 4, 8, 16, 32])
    assert.strictEqual(estimate.depth, 1)
  })

  it("follows a relay that gets slower, and one that gets quicker again", () => {
    const estimate = saturate(0, 20, 200)
    assert.strictEqual(saturate(300, 20, 100, estimate).depth, 2)
    assert.strictEqual(saturate(0, 20, 300, estimate).depth, 32)
  })

  it("ignores samples in which the sender was slow", () => {
    const estimate = saturate(0, 20, 200)
    for (let n = 0; n < 20; n++) {
      const now = 1_000_000 + n * 5000
      estimate.begunAlone(now)
      estimate.answered(now + 20)
      estimate.handedOver(now)
      estimate.completed(1)
      estimate.batchEnded(now + 20, false)
    }
    assert.strictEqual(estimate.depth, 32)
  })

  it("measures whole transactions if one is in flight at a time", () => {
    const estimate = new ServiceTime(1)
    for (let n = 0; n < 20; n++) {
      estimate.begunAlone(n * 1000)
      estimate.answered(n * 1000 + 20)
      estimate.handedOver(n * 1000 + 40)
      estimate.completed(1)
      estimate.batchEnded(n * 1000 + 160, false)
    }
    assert.closeTo(estimate.pace!, 160, 1e-6)
    assert.strictEqual(estimate.depth, 1)
  })

  it("counts large content as several messages", () => {
    assert.deepEqual([0, 1000, 65_536, 655_360].map(ServiceTime.unitsOf), [1, 1, 1, 10])
  })
})
