/**
 * The parts that decide who goes next, each by itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { LaneScheduler } from "../src/internal/dispatch/laneScheduler.ts"
import * as OutboxId from "../src/internal/store/outboxId.ts"
import { choose } from "../src/internal/store/priorityChoice.ts"
import * as Lane from "../src/Lane.ts"
import type { ClaimedRow } from "../src/OutboxStore.ts"

const row = (lane: string, seq: number) => ({ lane, seq }) as ClaimedRow

describe("Lane", () => {
  it("spreads lanes over the buckets, always in the same way", () => {
    const counts = Array.from({ length: Lane.buckets }, () => 0)
    for (let i = 0; i < 102_400; i++) counts[Lane.bucket(`domain${i}.example`)]!++
    assert.isAtLeast(Math.min(...counts), 50)
    assert.isAtMost(Math.max(...counts), 160)
    // Rows are stored with it, and found in another bucket only by a search.
    assert.deepStrictEqual(["gmail.com", "example.org", ""].map(Lane.bucket), [146, 685, 1020])
  })

  it("is the domain of an address in lower case", () => {
    assert.strictEqual(Lane.ofAddress('"a@b"@Example.ORG'), "example.org")
  })
})

describe("OutboxId", () => {
  it("grows with time, and differs within a millisecond", () => {
    const ids = Array.from({ length: 5000 }, (_, i) => OutboxId.make(1_700_000_000_000 + Math.floor(i / 1000)))
    assert.strictEqual(new Set(ids).size, ids.length)
    for (const id of ids) assert.match(id, /^[0-9a-hjkmnp-tv-z]{20}$/)
    const times = ids.map((id) => id.slice(0, 10))
    assert.deepStrictEqual([...times].sort(), times)
  })
})

describe("priorityChoice", () => {
  it("gives each class its share, and bulk its turn even one at a time", () => {
    const classes = ["h", "n", "b"].map((name) => Array.from({ length: 500 }, () => name))
    const chosen = choose(classes, 210)
    const count = (name: string) => chosen.filter((one) => one === name).length
    assert.isAtMost(Math.abs(count("h") - 160), 2)
    assert.isAtMost(Math.abs(count("n") - 40), 2)
    assert.isAtMost(Math.abs(count("b") - 10), 2)
    const single = Array.from({ length: 3000 }, () => choose(classes, 1)[0])
    assert.isAbove(single.filter((one) => one === "b").length, 20)
    assert.deepStrictEqual(choose([[], ["n"], []], 5), ["n"])
  })
})

describe("LaneBook", () => {
  const claims = Schema.Array(Schema.Literals(["a", "b", "c", "d"]))

  it.prop("gives out every queued message once, one from each lane in turn", [claims], ([lanes]) => {
    const book = new LaneScheduler(1000, 500)
    const quotas = ["a", "b", "c", "d"].map((lane) => ({ bucket: 0, lane, limit: 1000 }))
    book.add(
      quotas,
      lanes.map((lane, seq) => row(lane, seq)),
      []
    )
    const given: Array<ClaimedRow> = []
    for (let begun = book.take(3, 0); begun.length > 0; begun = book.take(3, 0))
      given.push(...begun.map((one) => one.row))
    assert.strictEqual(given.length, lanes.length)
    assert.strictEqual(new Set(given.map(({ seq }) => seq)).size, lanes.length)
    // No lane is ahead of another that still has some by more than one.
    const left = new Map(quotas.map(({ lane }) => [lane, lanes.filter((one) => one === lane).length]))
    const taken = new Map(quotas.map(({ lane }) => [lane, 0]))
    for (const { lane } of given) {
      taken.set(lane, taken.get(lane)! + 1)
      left.set(lane, left.get(lane)! - 1)
      for (const [other, count] of left) if (count > 0) assert.isAtMost(taken.get(lane)! - taken.get(other)!, 1)
    }
    assert.strictEqual(book.queued, 0)
  })

  it("shares a claim among lanes, and gives a lone lane all of it", () => {
    const book = new LaneScheduler(10, 500)
    book.addDue({ bucket: 1, lane: "a" })
    assert.deepStrictEqual(
      book.quotas(250, 0, () => Infinity),
      [{ bucket: 1, lane: "a", limit: 250 }]
    )
    for (const lane of ["b", "c", "d"]) book.addDue({ bucket: 1, lane })
    assert.deepStrictEqual(
      book.quotas(250, 0, (lane) => (lane === "b" ? 0 : Infinity)).map(({ lane, limit }) => [lane, limit]),
      [
        ["a", 83],
        ["c", 83],
        ["d", 83]
      ]
    )
    assert.deepStrictEqual(
      book.quotas(0, 0, () => Infinity),
      []
    )
  })

  it("gives back the queued messages of a lane whose gate closes, and of no other lane", () => {
    const book = new LaneScheduler(10, 500)
    book.add(
      [{ bucket: 0, lane: "a", limit: 9 }],
      [1, 2, 3].map((seq) => row("a", seq)),
      []
    )
    book.add([{ bucket: 0, lane: "b", limit: 9 }], [row("b", 9)], [])
    const [first] = book.take(1, 0)
    const back = book.end(first!, { _tag: "Complaint", about: "lane", askedMs: 0 }, 0)
    assert.deepStrictEqual(
      back.map(({ seq }) => seq),
      [2, 3]
    )
    assert.deepStrictEqual(
      book.take(5, 0).map((one) => one.row.seq),
      [9]
    )
    assert.strictEqual(book.opensAt(0), 1000)
  })

  it("takes deferrals in a row for a complaint, until one goes through", () => {
    const book = new LaneScheduler(10, 500)
    const give = () => book.add([{ bucket: 0, lane: "a", limit: 9 }], [row("a", 1)], [])
    const deferred = (times: number) => {
      for (let i = 0; i < times; i++) {
        if (book.queued < 2) give()
        book.end(book.take(1, 0)[0]!, { _tag: "Deferral" }, 0)
      }
      return book.isClosed("a", 0)
    }
    give()
    assert.isFalse(deferred(4))
    give()
    book.end(book.take(1, 0)[0]!, { _tag: "Success" }, 0)
    assert.isFalse(deferred(4))
    assert.isTrue(deferred(1))
    assert.isFalse(book.isClosed("b", 0))
  })

  it("forgets a lane that had trouble and has no more attempts", () => {
    const book = new LaneScheduler(10, 500)
    book.add([{ bucket: 0, lane: "a", limit: 9 }], [row("a", 1)], [])
    book.end(book.take(1, 0)[0]!, { _tag: "Complaint", about: "lane", askedMs: 5000 }, 0)
    book.forget(64_999)
    assert.isTrue(book.isClosed("a", 4999))
    book.forget(65_000)
    assert.isFalse(book.isClosed("a", 4999))
  })
})
