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

const rowOf = (lane: string, length = 500) => ({ lane, content: "x".repeat(length) }) as ClaimedRow

/** Gives each lane at most `each` of what it was asked for, and sends all of it. */
const bring = (book: LaneScheduler, quotas: ReadonlyArray<LaneQuota>, each: number): void => {
  const rows = quotas.flatMap(({ lane, limit }) => Array.from({ length: Math.min(each, limit) }, () => rowOf(lane)))
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

  it("that turn out to have only one message each are asked in greater number again", () => {
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

  it("are lined up a claim's worth at a time while more are being found and no other is left", () => {
    const book = new LaneScheduler(10, 500)
    const add = (from: number, to: number) => {
      for (let i = from; i < to; i++) book.addFound({ bucket: 0, lane: `lane ${i}`, first: i })
    }
    add(600, 1000)
    book.lineUp(false)
    add(0, 600)
    book.lineUp(false)
    book.lineUp(true)
    const asked: Array<number | undefined> = []
    while (asked.length < 1000) {
      const quotas = book.quotas(250, 0, everything)
      asked.push(...quotas.map(({ first }) => first))
      bring(book, quotas, 0)
    }
    const order = [...range(600, 850), ...range(0, 600), ...range(850, 1000)]
    assert.deepStrictEqual(asked, order)
  })

  it("are claimed from in larger numbers as long as the messages are small", () => {
    const book = knowing(1000)
    const claim = (length: number) => {
      const quotas = book.quotas(book.claimSize.most, 0, everything)
      const rows = quotas.flatMap(({ lane, limit }) => Array.from({ length: limit }, () => rowOf(lane, length)))
      book.add(quotas, rows, [])
      return book.claimSize.most
    }
    assert.deepStrictEqual([book.claimSize.most, claim(500), claim(50_000), claim(500)], [250, 500, 250, 500])
    const few = knowing(10)
    bring(few, few.quotas(250, 0, everything), Infinity)
    assert.strictEqual(few.claimSize.most, 250)
  })

  it("get their turns beside one that never runs out of messages", () => {
    const book = knowing(2000)
    book.addDue({ bucket: 0, lane: "endless" })
    const left = new Map(Array.from({ length: 2000 }, (_, i) => [`lane ${i}`, 10]))
    let fromEndless = 0
    let inARow = 0
    let last = ""
    for (let waiting = 20_000, now = 0; waiting > 0; now += 10) {
      const { least, most, ready } = book.claimSize
      if (book.isLow && ready - book.queued >= least) {
        const quotas = book.quotas(Math.min(most, ready - book.queued), now, everything)
        const rows = quotas.flatMap(({ lane, limit }) => {
          const count = Math.min(limit, left.get(lane) ?? Infinity)
          if (left.has(lane)) left.set(lane, left.get(lane)! - count)
          return Array.from({ length: count }, () => rowOf(lane))
        })
        book.add(quotas, rows, [])
      }
      for (const begun of book.take(10, now)) {
        if (begun.row.lane === "endless") fromEndless++
        else waiting--
        if (begun.row.lane === last) inARow++
        last = begun.row.lane
        book.end(begun, { _tag: "Success" }, now)
      }
    }
    // It is asked as often as they are, for 16 messages at most.
    assert.isAbove(fromEndless, 0)
    assert.isAtMost(fromEndless, 10 + 16)
    assert.strictEqual(inARow, 0)
  })
})

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describe("the gates", () => {
  it("name the lanes that are slowed down, and those that are closed", () => {
    const book = new LaneScheduler(10, 500)
    const quotas = ["busy.example", "fine.example"].map((lane) => ({ bucket: 0, lane, limit: 4 }))
    const rows = quotas.flatMap(({ lane, limit }) => Array.from({ length: limit }, () => rowOf(lane)))
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
    book.add([{ bucket: 0, lane: "slow", limit: 2 }], [rowOf("slow"), rowOf("slow")], [])
    const [first] = book.take(1, 0)
    assert.isUndefined(book.opensAt(0))
    assert.lengthOf(book.end(first!, { _tag: "Complaint", about: "lane", askedMs: 5000 }, 0), 1)
    assert.deepStrictEqual([book.opensAt(1), book.quotas(250, 1, everything)], [5000, []])
    assert.isUndefined(book.opensAt(5000))
    assert.lengthOf(book.quotas(250, 5000, everything), 1)
  })
})
