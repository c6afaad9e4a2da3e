import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Times from "../../src/text/Times.ts"

const now = new Date(2026, 7, 1, 12, 0, 0).getTime()
const hour = 3_600_000

describe("Times", () => {
  it("reads spans and moments", () => {
    assert.deepStrictEqual(Times.parseSpan("90s"), Result.succeed(90_000))
    assert.deepStrictEqual(Times.parseSpan(" 1.5h "), Result.succeed(1.5 * hour))
    assert.deepStrictEqual(Times.parseSpan("2d"), Result.succeed(48 * hour))
    const at = (text: string, direction: "ago" | "ahead") =>
      Result.getOrThrow(Times.parseTime(text, now, direction)).getTime()
    assert.strictEqual(at("1h", "ago"), now - hour)
    assert.strictEqual(at("1h", "ahead"), now + hour)
    assert.strictEqual(at("2026-08-01", "ago"), now - 12 * hour)
    assert.strictEqual(at("2026-08-01T09:30", "ago"), now - 2.5 * hour)
    assert.strictEqual(at("2026-08-01 09:30:00", "ago"), now - 2.5 * hour)
    assert.strictEqual(at("2026-08-01T10:00:00Z", "ago"), Date.UTC(2026, 7, 1, 10))
    for (const text of ["", "soon", "1", "1y", "-1h", "2026-13-01", "08/01/2026"]) {
      assert.isTrue(Result.isFailure(Times.parseTime(text, now, "ago")), text)
    }
  })

  it("writes times in one unit", () => {
    const said = (ms: number) => Times.relative(new Date(now + ms), now)
    assert.deepStrictEqual([0, -12_000, 59_400, -119_000, 2 * hour - 1000, -50 * hour].map(said), [
      "now",
      "12 s ago",
      "in 59 s",
      "2 min ago",
      "in 2 h",
      "2 d ago"
    ])
    assert.strictEqual(Times.absolute(new Date(now)), "2026-08-01 12:00:00")
    assert.strictEqual(Times.clock(new Date(now + hour), now), "13:00")
    assert.strictEqual(Times.clock(new Date(now + 20 * hour), now), "2026-08-02 08:00")
  })
})
