import { assert, describe, it } from "@effect/vitest"
import type * as Delivery from "mailrace/Delivery"
import * as MailError from "mailrace/MailError"
import type { EndedMail } from "mailrace/TraceSampling"
import { TailRule } from "../../src/internal/tailRule.ts"

const info = (index: number, durationMs: number): Delivery.Info => ({
  id: String(index),
  index,
  messageId: undefined,
  recipients: [],
  relay: undefined,
  attempts: 1,
  size: 1,
  durationMs
})

const lost = MailError.make(new MailError.OutcomeUnknown({ problem: "the connection was lost" }))
const closed = MailError.make(new MailError.ConnectionLost({ phase: "envelope", problem: "the relay closed it" }))

/** A rule, the mails that it wrote, and ways to end further ones. */
const watching = () => {
  const rule = new TailRule()
  const written: Array<{ readonly index: number } & Readonly<Record<string, unknown>>> = []
  const end = (delivery: Delivery.Delivery, endedAt: number, relay: string | undefined) => {
    const write: EndedMail["write"] = (attributes) => {
      written.push({ index: delivery.index, ...attributes })
      return String(delivery.index)
    }
    return rule.end({ delivery, relay, endedAt, write })
  }
  return {
    rule,
    written,
    failed: (index: number, endedAt = 0, relay = "a:25", error = lost, durationMs = 1) =>
      end({ ...info(index, durationMs), _tag: "Unknown", error }, endedAt, relay),
    accepted: (index: number, durationMs: number, endedAt = 0) =>
      end(
        {
          ...info(index, durationMs),
          _tag: "Accepted",
          messageId: "<1@a>",
          relay: "a:25",
          reply: { code: 250, text: "ok" }
        },
        endedAt,
        "a:25"
      ),
    failures: () => written.filter((mail) => mail["mailrace.trace.kept"] === "failure"),
    slow: () => written.filter((mail) => mail["mailrace.trace.kept"] === "slow")
  }
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

describe("TailRule", () => {
  it("writes the first 50 failures of a kind at once, then one in a hundred, and counts the others", () => {
    const { failed, failures } = watching()
    const traces = range(1050).map((index) => failed(index))
    assert.deepStrictEqual(
      failures().map(({ index }) => index),
      [...range(50), ...range(10).map((n) => 50 + n * 100 + 99)]
    )
    assert.strictEqual(traces[3], "3")
    assert.isUndefined(traces[60])
    assert.deepStrictEqual(
      failures()
        .slice(49, 52)
        .map((mail) => mail["mailrace.trace.left_out"]),
      [0, 99, 99]
    )
  })

  it("counts each reason at each relay for itself, and anew in each window", () => {
    const { failed, failures } = watching()
    for (const index of range(60)) failed(index, 0, "a:25")
    for (const index of range(60)) failed(index, 1, "b:25")
    for (const index of range(60)) failed(index, 2, "a:25", closed)
    assert.strictEqual(failures().length, 150)
    for (const index of range(60)) failed(index, 10_000, "a:25")
    assert.strictEqual(failures().length, 200)
    // What the window before left out is not forgotten.
    assert.strictEqual(failures()[150]?.["mailrace.trace.left_out"], 10)
  })

  it("writes the ten slowest of a window when it ends, accepted or not", () => {
    const { accepted, failed, rule, slow, written } = watching()
    for (const index of range(100)) accepted(index, (index * 37) % 100)
    assert.deepStrictEqual(written, [])
    for (const index of range(60)) failed(1000 + index, 5, "a:25", lost, index === 55 ? 1000 : 0)
    accepted(200, 1, 10_000)
    const slowest = range(100)
      .sort((a, b) => ((b * 37) % 100) - ((a * 37) % 100))
      .slice(0, 9)
    assert.deepStrictEqual(new Set(slow().map(({ index }) => index)), new Set([...slowest, 1055]))
    rule.flush()
    assert.strictEqual(slow().at(-1)?.index, 200)
  })

  it("writes the slowest also when no further mail comes", () => {
    const { accepted, rule, slow } = watching()
    accepted(1, 5)
    rule.flushAt(9_999)
    assert.strictEqual(slow().length, 0)
    rule.flushAt(10_000)
    assert.strictEqual(slow().length, 1)
    rule.flushAt(20_000)
    rule.flush()
    assert.strictEqual(slow().length, 1)
  })

  it("begins a new window when the clock is set back", () => {
    const { accepted, slow } = watching()
    accepted(1, 5, 1e12)
    accepted(2, 5, 1000)
    assert.deepStrictEqual(
      slow().map(({ index }) => index),
      [1]
    )
  })

  it("writes every failure where fewer than one in a hundred messages fail, however many come in a window", () => {
    const { accepted, failed, failures } = watching()
    for (const index of range(100_000)) {
      if (index % 500 === 499) failed(index)
      else accepted(index, 1)
    }
    assert.strictEqual(failures().length, 200)
    assert.isTrue(failures().every((mail) => mail["mailrace.trace.left_out"] === 0))
    // What is left of one window is not spent in the next.
    for (const index of range(200)) failed(index, 10_000)
    assert.strictEqual(failures().length, 200 + 50 + 1)
  })

  it("writes about one in a hundred when everything fails, and of endless kinds no more than of 201", () => {
    const { failed, failures } = watching()
    for (const index of range(100_000)) failed(index)
    assert.strictEqual(failures().length, 50 + 999)
    const many = watching()
    for (const index of range(100_000)) many.failed(index, 0, `${index}:25`)
    assert.isBelow(many.failures().length, 200 + 50 + 1000)
  })
})
