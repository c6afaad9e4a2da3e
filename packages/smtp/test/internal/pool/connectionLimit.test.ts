import { assert, describe, it } from "@effect/vitest"
import { ConnectionLimit } from "../../../src/internal/pool/connectionLimit.ts"

const minute = 60_000

/** A limit that learnt at time 0 that three connections are allowed. */
const three = (): ConnectionLimit => {
  const limit = new ConnectionLimit()
  assert.isTrue(limit.refused(0, 3))
  return limit
}

describe("ConnectionLimit", () => {
  it("allows any number until a relay refuses one", () => {
    assert.strictEqual(new ConnectionLimit().allowed(0, 7, true), Number.POSITIVE_INFINITY)
  })

  it("is not learnt without an open session, or one a moment ago", () => {
    const limit = new ConnectionLimit()
    assert.isFalse(limit.refused(0, 0))
    limit.gone(1000)
    assert.isTrue(limit.refused(2000, 0))
    assert.isFalse(limit.refused(6000, 0))
  })

  it("tries one more after a minute, and ever less often where that is refused, down to once in five", () => {
    const limit = three()
    const tries: Array<number> = []
    for (let now = 0; now < 30 * minute; now += 1000) {
      if (limit.allowed(now, 3, false) <= 3) continue
      limit.attempted(now, 3)
      limit.refused(now, 3)
      tries.push(now / minute)
    }
    assert.deepEqual(tries, [1, 3, 7, 12, 17, 22, 27])
  })

  it("grows by one a minute where the relay allows more again", () => {
    const limit = three()
    for (const [now, open] of [
      [minute, 3],
      [2 * minute, 4]
    ] as const) {
      assert.strictEqual(limit.allowed(now - 1, open, false), open)
      assert.strictEqual(limit.allowed(now, open, false), open + 1)
      limit.attempted(now, open)
      assert.strictEqual(limit.allowed(now, open + 1, false), open)
      limit.opened(now, open + 1)
    }
  })

  it("is raised by sessions that open beside those that are refused", () => {
    const limit = new ConnectionLimit()
    limit.refused(0, 1)
    limit.opened(1, 2)
    limit.opened(2, 3)
    assert.strictEqual(limit.allowed(3, 3, false), 3)
  })

  it("is remembered for ten minutes beyond the last session", () => {
    const limit = three()
    limit.gone(5 * minute)
    assert.isAtMost(limit.allowed(15 * minute - 1, 0, true), 4)
    assert.strictEqual(limit.allowed(15 * minute, 0, true), Number.POSITIVE_INFINITY)
  })

  it("replaces a session that has gone only after a pause, because the relay may still count it", () => {
    const limit = three()
    limit.gone(1000)
    assert.isTrue(limit.refused(1010, 2))
    assert.strictEqual(limit.allowed(1050, 2, true), 2)
    assert.isAtMost(limit.changesIn(1050), 100)
    assert.strictEqual(limit.allowed(1200, 2, true), 3)
  })

  it("shrinks when a session learns that too many are open", () => {
    const limit = new ConnectionLimit()
    limit.exceeded(0, 4)
    assert.strictEqual(limit.allowed(1, 4, false), 4)
    limit.exceeded(2, 0)
    assert.strictEqual(limit.allowed(3, 0, true), 1)
  })

  it("pauses after failures, but not where messages wait and no session is open", () => {
    const limit = new ConnectionLimit()
    limit.failed(0)
    assert.strictEqual(limit.allowed(1, 2, false), 2)
    assert.strictEqual(limit.allowed(1, 0, true), Number.POSITIVE_INFINITY)
    assert.strictEqual(limit.allowed(5000, 2, false), Number.POSITIVE_INFINITY)
    limit.failed(5000)
    assert.strictEqual(limit.allowed(14_999, 2, false), 2)
  })

  it("backs off from sessions that end at once and carry nothing", () => {
    const limit = new ConnectionLimit()
    for (let n = 0; n < 20; n++) limit.retired(0, 10, false)
    assert.strictEqual(limit.allowed(4999, 0, true), 0)
    assert.strictEqual(limit.allowed(5000, 0, true), Number.POSITIVE_INFINITY)
    limit.retired(5000, 10, true)
    limit.retired(5000, 10, false)
    assert.strictEqual(limit.allowed(5000, 0, true), Number.POSITIVE_INFINITY)
  })
})
