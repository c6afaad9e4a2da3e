/**
 * What is claimed from which lanes, where they are more than a claim has mails.
 */
import { assert, describe, it } from "@effect/vitest"
import { LaneScheduler } from "../src/internal/dispatch/laneScheduler.ts"
import type { ClaimedRow, LaneQuota } from "../src/OutboxStore.ts"

const everything = () => Infinity

/** A scheduler that knows lanes, found in the order of their names; their first mails were enqueued the other way round. */
const knowing = (lanes: number): LaneScheduler => {
  const book = new LaneScheduler(10, 500)
  for (let i = 0; i < lanes; i++) book.addFound({ bucket: i % 7, lane: `lane ${i}`, first: lanes - i })
  book.lineUp(true)
  return book
}

/** Gives each lane at most `each` of what it was asked for, and sends all of it. */
const bring = (book: LaneScheduler, quotas: ReadonlyArray<LaneQuota>, each: number): void => {
  const rows = quotas.flatMap(({ lane, limit }) =>
    Array.from({ length: Math.min(each, limit) }, () => ({ lane }) as ClaimedRow)
  )
  book.add(quotas, rows, [])
  for (const begun of book.take(rows.length, 0)) book.end(begun, { _tag: "Success" }, 0)
}

const sum = (quotas: ReadonlyArray<LaneQuota>) => quotas.reduce((sum, { limit }) => sum + limit, 0)

describe("many lanes", () => {
  it("are asked in the order of their first messages, and fill a claim", () => {
    const quotas = knowing(1000).quotas(250, 0, everything)
    assert.isAtLeast(sum(quotas), 200)
    assert.isAtMost(sum(quotas), 250)
    assert.deepStrictEqual(
      quotas.map(({ lane }) => lane),
      Array.from({ length: quotas.length }, (_, i) => `lane ${999 - i}`)
    )
  })

  it("with one mail each are asked in such number that they still fill it", () => {
    const book = knowing(2000)
    bring(book, book.quotas(250, 0, everything), 1)
    const quotas = book.quotas(250, 0, everything)
    assert.deepStrictEqual([quotas.length, sum(quotas)], [250, 250])
  })

  it("with many messages each are asked for a few at a time, each lane once a round", () => {
    const book = knowing(1000)
    const asked: Array<string> = []
    for (let claim = 0; claim < 6; claim++) {
      const quotas = book.quotas(250, 0, everything)
      asked.push(...quotas.map(({ lane }) => lane))
      bring(book, quotas, Infinity)
    }
    assert.strictEqual(new Set(asked).size, asked.length)
    assert.isTrue(book.quotas(250, 0, everything).every(({ limit }) => limit >= 2 && limit <= 4))
  })

  for (const [pace, ms, expected] of [
    ["quickly", 5, 16],
    ["slowly", 1000, 4]
  ] as const)
    it(`with many messages each that go ${pace} are asked for ${expected} at a time`, () => {
      const book = knowing(1000)
      let now = 0
      for (; now < 120 * ms; now += ms) bring(book, book.quotas(250, now, everything), Infinity)
      const quotas = book.quotas(250, now, everything)
      assert.deepStrictEqual([...new Set(quotas.map(({ limit }) => limit))], [expected])
    })

  it("that have only one mail each after all are asked in greater number again", () => {
    const book = knowing(3000)
    for (let claim = 0; claim < 6; claim++) bring(book, book.quotas(250, 0, everything), Infinity)
    bring(book, book.quotas(250, 0, everything), 1)
    assert.lengthOf(book.quotas(250, 0, everything), 250)
  })

  it("are lined up when many are found, when a round is over, or when nothing else is known", () => {
    const book = new LaneScheduler(10, 500)
    const lanesOf = () => book.quotas(250, 0, everything).map(({ lane }) => lane)
    book.addFound({ bucket: 0, lane: "only", first: 9 })
    book.lineUp(false)
    assert.deepStrictEqual(lanesOf(), ["only"])
    book.addFound({ bucket: 0, lane: "next", first: 1 })
    book.lineUp(false)
    assert.deepStrictEqual(lanesOf(), ["only"])
    assert.strictEqual(book.dueLanes, 2)
    book.lineUp(true)
    assert.deepStrictEqual(lanesOf(), ["only", "next"])
  })
})

describe("the gates", () => {
  it("name the lanes that are slowed down, and those that are closed", () => {
    const book = new LaneScheduler(10, 500)
    const quotas = ["busy.example", "fine.example"].map((lane) => ({ bucket: 0, lane, limit: 4 }))
    const rows = quotas.flatMap(({ lane, limit }) => Array.from({ length: limit }, () => ({ lane }) as ClaimedRow))
    book.add(quotas, rows, [])
    assert.deepStrictEqual(book.gates(0), {
      inFlight: 0,
      window: Infinity,
      perSecond: Infinity,
      phase: "open",
      circuit: "closed",
      lanes: []
    })
    const begun = book.take(8, 0)
    const complaint = { _tag: "Complaint", about: "lane", askedMs: 0 } as const
    book.end(
      begun.find(({ row }) => row.lane === "busy.example")!,
      complaint,
      0
    )
    const slowed = { lane: "busy.example", window: 2, perSecond: Infinity, phase: "open" as const }
    assert.deepStrictEqual(book.gates(0).lanes, [slowed])
    assert.strictEqual(book.gates(0).inFlight, 7)
  })
})

describe("a lane whose relay complains", () => {
  it("is waited for only while it has due messages, and until its gate opens", () => {
    const book = new LaneScheduler(10, 500)
    book.addDue({ bucket: 0, lane: "slow" })
    book.add([{ bucket: 0, lane: "slow", limit: 2 }], [{ lane: "slow" }, { lane: "slow" }] as Array<ClaimedRow>, [])
    const [first] = book.take(1, 0)
    assert.isUndefined(book.opensAt(0))
    assert.lengthOf(book.end(first!, { _tag: "Complaint", about: "lane", askedMs: 5000 }, 0), 1)
    assert.deepStrictEqual([book.opensAt(1), book.quotas(250, 1, everything)], [5000, []])
    assert.isUndefined(book.opensAt(5000))
    assert.lengthOf(book.quotas(250, 5000, everything), 1)
  })
})
