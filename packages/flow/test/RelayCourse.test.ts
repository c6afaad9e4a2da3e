/**
 * All gates together before a relay that gets slow, refuses all with 421, is dead and recovers, in virtual time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as RelayCourse from "./support/relayCourse.ts"

const { begins, endsAt } = RelayCourse

describe("a relay that is healthy, slow, refuses all, is dead and is healthy again", () => {
  it.each([10, 50, 300])("gets all messages, and its full rate 30 s after it is healthy (%d ms)", (ms) => {
    const { acceptedAt, failedAt, messages } = RelayCourse.run(ms, 20)
    const full = (20 / ms) * 1000
    const perSecond = (times: ReadonlyArray<number>, from: number, to: number) =>
      times.filter((at) => at >= from && at < to).length / ((to - from) / 1000)
    assert.strictEqual(acceptedAt.length, messages)
    assert.isAtLeast(perSecond(acceptedAt, 5_000, begins.slow), 0.95 * full, "healthy")
    assert.isAtLeast(perSecond(acceptedAt, begins.slow + 5_000, begins.storm), 0.095 * full, "slow")
    // What was on its way when the trouble began, and a probe now and then.
    assert.isAtMost(perSecond(failedAt, begins.storm + 5_000, begins.dead), 2, "refused")
    assert.isAtMost(perSecond(failedAt, begins.dead + 5_000, begins.healed), 1, "dead")
    assert.isAtLeast(perSecond(acceptedAt, begins.healed + 30_000, endsAt), 0.95 * full, "healthy again")
  })
})
