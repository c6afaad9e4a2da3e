import { assert, describe, it } from "@effect/vitest"
import { AnswerTime } from "../src/internal/dispatch/answerTime.ts"

const after = (...answers: ReadonlyArray<number>): number => {
  const time = new AnswerTime()
  for (const ms of answers) time.learn(ms)
  return time.limit
}

const times = (count: number, ms: number) => Array.from({ length: count }, () => ms)

describe("AnswerTime", () => {
  it("waits 50 ms for a quick store, and a second at most for any", () => {
    assert.strictEqual(after(), 50)
    assert.strictEqual(after(...times(100, 2)), 50)
    assert.strictEqual(after(...times(100, 5000)), 1000)
  })

  it("learns how slow a store is, and forgets a single slow answer", () => {
    assert.approximately(after(...times(100, 200)), 200, 5)
    assert.isAbove(after(...times(50, 100), ...times(50, 300)), 300)
    assert.strictEqual(after(...times(100, 2), 3000), 1000)
    assert.strictEqual(after(...times(100, 2), 3000, ...times(60, 2)), 50)
  })
})
