/**
 * Limits on bytes in the dispatcher: nothing is queued beyond what a window leaves, and large messages get their turn.
 */
import { assert, describe, it } from "@effect/vitest"
import { FlowControl } from "@mailrace/flow/FlowControl"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { weightOf } from "../src/internal/dispatch/byteQuota.ts"
import { LaneScheduler } from "../src/internal/dispatch/laneScheduler.ts"
import type { ClaimedRow } from "../src/OutboxStore.ts"

const everything = () => Infinity

interface Stored {
  readonly lane: string
  readonly bytes: number
}

const row = ({ bytes, lane }: Stored, seq: number) =>
  ({ lane, tenant: "", seq, content: "x".repeat(bytes), envelope: "{}", shared: [] }) as unknown as ClaimedRow

/** Dispatches stored messages in virtual time, a claim every 50 ms; gives what was sent when, and the most bytes queued. */
const dispatch = (options: FlowOptions.Options, stored: ReadonlyArray<Stored>, untilMs: number, stepMs = 10) => {
  const flow = new FlowControl(Result.getOrThrow(FlowOptions.resolve(options, 0)), 10)
  const scheduler = new LaneScheduler(10, 500, flow)
  const waiting = new Map<string, Array<ClaimedRow>>()
  stored.forEach((one, seq) => waiting.set(one.lane, [...(waiting.get(one.lane) ?? []), row(one, seq)]))
  for (const lane of waiting.keys()) scheduler.addDue({ bucket: 0, lane })
  const sent: Array<{ readonly lane: string; readonly bytes: number; readonly at: number }> = []
  let queued = 0
  let mostQueued = 0
  let claims = 0
  for (let now = 0; now < untilMs; now += stepMs) {
    if (now % 50 === 0 && scheduler.isLow) {
      const quotas = scheduler.quotas(250, now, everything)
      const rows = quotas.flatMap(({ lane, limit }) => waiting.get(lane)!.splice(0, limit))
      claims += quotas.length > 0 ? 1 : 0
      const over = scheduler.add(quotas, rows, [])
      for (const one of over.toReversed()) waiting.get(one.lane)!.unshift(one)
      for (const one of rows) if (!over.includes(one)) queued += weightOf(one)
      mostQueued = Math.max(mostQueued, queued)
    }
    for (const begun of scheduler.take(10 - scheduler.sending, now)) {
      queued -= weightOf(begun.row)
      sent.push({ lane: begun.row.lane, bytes: weightOf(begun.row), at: now })
      scheduler.end(begun, { _tag: "Success" }, now, { _tag: "Success" })
    }
  }
  return { claims, mostQueued, sent, bytes: sent.reduce((sum, { bytes }) => sum + bytes, 0) }
}

const messages = (count: number, lane: string, bytes: number): ReadonlyArray<Stored> =>
  Array.from({ length: count }, () => ({ lane, bytes }))

describe("a limit on bytes in the dispatcher", () => {
  it("by the hour lets its remainder through, and nothing more is queued or claimed", () => {
    const run = dispatch({ rate: ["10000 bytes/h"] }, messages(100, "a.test", 900), 20_000)
    assert.strictEqual(run.bytes, 11 * 900)
    assert.isAtMost(run.mostQueued, 10_166)
    assert.isAtMost(run.claims, 12)
  })

  it("by the second is used up, and a claim covers a second at most", () => {
    const run = dispatch({ rate: ["100000 bytes/s"] }, messages(3000, "a.test", 1000), 10_000)
    assert.isAtLeast(run.bytes, 0.93 * 1_000_000)
    assert.isAtMost(run.bytes, 1_005_000)
    assert.isAtMost(run.mostQueued, 105_000)
  })

  it("of one lane delays no other", () => {
    const stored = [...messages(50, "held.test", 1000), ...messages(50, "free.test", 1000)]
    const run = dispatch({ lanes: { "held.test": { rate: ["5000 bytes/h"] } } }, stored, 5_000)
    assert.strictEqual(run.sent.filter(({ lane }) => lane === "free.test").length, 50)
    assert.strictEqual(run.sent.filter(({ lane }) => lane === "held.test").length, 5)
    assert.isAtMost(run.claims, 20)
  })

  it("lets a message larger than the limit through alone, and small ones do not hold it up forever", () => {
    const stored = [
      ...messages(5, "small.test", 1000),
      ...messages(1, "large.test", 250_000),
      ...messages(2000, "small.test", 1000)
    ]
    const run = dispatch({ rate: ["50000 bytes/s"] }, stored, 30_000)
    const large = run.sent.find(({ lane }) => lane === "large.test")
    assert.isBelow(large?.at ?? Infinity, 10_000)
    assert.isAtMost(run.bytes, 30 * 50_000 + 250_000)
    assert.isAtLeast(run.bytes, 0.85 * 30 * 50_000)
  })

  it.prop(
    "queues no more than a window leaves, whatever comes",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9000 })))],
    ([sizes]) => {
      const stored = sizes.map((bytes, i) => ({ lane: `lane${i % 3}.test`, bytes }))
      const run = dispatch({ rate: ["20000 bytes/h"] }, stored, 5_000, 50)
      assert.isAtMost(run.bytes, 20_333)
      assert.isAtMost(run.mostQueued, 20_333)
      if (sizes.reduce((sum, bytes) => sum + bytes, 0) <= 20_000) assert.strictEqual(run.sent.length, sizes.length)
    }
  )

  it("weighs shared contents, and attachments as they go over the wire", () => {
    const parts = [
      { hash: "a", content: "x".repeat(10) },
      { hash: "b", content: new Uint8Array(300) }
    ]
    const composed = row({ lane: "a", bytes: 5 }, 1)
    assert.strictEqual(weightOf({ ...composed, shared: parts }), 415)
    assert.isAbove(weightOf({ ...composed, envelope: undefined }), weightOf(composed))
  })
})
