import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { type Reading, Timeline } from "../../src/results/Timeline.ts"

const reading = (atMs: number, accepted: number, more: Partial<Reading> = {}): Reading => ({
  atMs,
  counts: { accepted, rejected: 0, deferred: 0, unknown: 0, invalid: 0 },
  retries: 0,
  cpuMs: 0,
  rssBytes: 1,
  loopActiveMs: 0,
  open: 0,
  busy: 0,
  queued: 0,
  closedGates: 0,
  ...more
})

const receipt = (relay: string, envelopeMs: number | undefined, contentMs: number | undefined) => ({
  reply: { code: 250, text: "ok" },
  recipients: [],
  relay,
  envelopeMs,
  contentMs
})

const messages = Arbitrary.array(
  Arbitrary.map(Arbitrary.schema(Schema.Int), (value) => Math.abs(value) % 500),
  { minLength: 1 }
)

describe("Timeline", () => {
  it.prop("keeps every count and every time, however many intervals it has merged", [messages], ([accepted]) => {
    const timeline = new Timeline(8)
    let sum = 0
    let at = 0
    for (const count of accepted) {
      sum += count
      for (let index = 0; index < count; index++) timeline.record("total", count)
      timeline.sample(reading((at += timeline.lengthMs), sum))
    }
    assert.isBelow(timeline.intervals.length, 8)
    assert.strictEqual(
      timeline.intervals.reduce((total, { counts }) => total + counts.accepted, 0),
      sum
    )
    assert.strictEqual(
      timeline.intervals.reduce((total, { latency }) => total + (latency.get("total")?.count ?? 0), 0),
      timeline.latency("total")?.count ?? 0
    )
    let end = 0
    for (const { atMs, fromMs } of timeline.intervals) {
      assert.strictEqual(fromMs, end)
      end = atMs
    }
    assert.strictEqual(end, at)
  })

  it("stays within its bound over a week, and keeps the peaks", () => {
    const timeline = new Timeline()
    const week = 7 * 24 * 3_600_000
    let at = 0
    for (let sample = 0; at < week; sample++) {
      at += timeline.lengthMs
      timeline.sample(reading(at, sample, sample === 100 ? { rssBytes: 99, open: 7 } : {}))
    }
    assert.isAtMost(timeline.intervals.length, 240)
    assert.isAtLeast(timeline.lengthMs, 3_600_000)
    assert.strictEqual(Math.max(...timeline.intervals.map(({ rssBytes }) => rssBytes)), 99)
    assert.strictEqual(Math.max(...timeline.intervals.map(({ open }) => open)), 7)
  })

  it("adds a moment at the end to the interval before, because its rate would say nothing", () => {
    const timeline = new Timeline()
    timeline.sample(reading(125, 10))
    timeline.sample(reading(250, 20))
    timeline.sample(reading(251, 21))
    assert.deepStrictEqual(
      timeline.intervals.map(({ atMs, counts }) => [atMs, counts.accepted]),
      [
        [125, 10],
        [251, 11]
      ]
    )
  })

  it("takes the wait from what the envelope and the content leave of an attempt's time", () => {
    const timeline = new Timeline()
    timeline.accepted(receipt("a:25", 10, 20), 100)
    assert.strictEqual(timeline.latency("waiting")?.max, 70)
    assert.strictEqual(timeline.latency("envelope")?.max, 10)
    assert.strictEqual(timeline.latency("content")?.max, 20)
  })

  it("knows no phases of a transport that does not tell them, and no more than 50 relays and the others", () => {
    const timeline = new Timeline()
    timeline.accepted(receipt("untold", undefined, undefined), 100)
    assert.deepStrictEqual(timeline.relays, [])
    for (let index = 0; index < 60; index++) timeline.accepted(receipt(`${index}:25`, 1, 1), 2)
    assert.strictEqual(timeline.relays.length, 51)
    assert.strictEqual(timeline.relays.at(-1)?.relay, "others")
    assert.strictEqual(timeline.relays.at(-1)?.content.count, 10)
  })
})
