/**
 * Limits hold in every sliding window, whatever comes when, and over restarts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Limit from "../src/Limit.ts"
import * as RateLimit from "../src/RateLimit.ts"
import { SlidingCount } from "../src/SlidingCount.ts"
import * as WarmUp from "../src/WarmUp.ts"
import { random } from "./support/simulation.ts"

const limit = (text: string): Limit.Limit => Result.getOrThrow(Limit.parse(text))

/** The most that any half-open window holds of messages begun at these times. */
const mostIn = (windowMs: number, times: ReadonlyArray<number>): number => {
  let most = 0
  let first = 0
  times.forEach((time, last) => {
    while (times[first]! <= time - windowMs) first++
    most = Math.max(most, last - first + 1)
  })
  return most
}

/** When messages begin that always wait; each is late by up to `lateMs` after it was admitted. */
const begun = (rate: RateLimit.RateLimit, untilMs: number, lateMs: number, seed: number): ReadonlyArray<number> => {
  const chance = random(seed)
  const times: Array<number> = []
  const pending: Array<number> = []
  let now = 0
  while (now < untilMs) {
    const at = rate.availableAt(now, RateLimit.oneMessage)
    const next = Math.min(at, ...pending)
    now = Math.max(now, next)
    const due = pending.findIndex((time) => time <= now)
    if (due !== -1) {
      const begins = rate.beginsAt(now, RateLimit.oneMessage)
      if (begins > now) pending[due] = begins
      else {
        pending.splice(due, 1)
        rate.begin(now, RateLimit.oneMessage)
        times.push(now)
      }
      continue
    }
    rate.admit(now, RateLimit.oneMessage)
    pending.push(now + chance() * lateMs)
  }
  return times
}

describe("Limit", () => {
  it("reads numbers with units and windows", () => {
    assert.deepStrictEqual(limit("14/s"), { amount: 14, unit: "messages", windowMs: 1000 })
    assert.deepStrictEqual(limit(" 50000/d "), { amount: 50_000, unit: "messages", windowMs: 86_400_000 })
    assert.deepStrictEqual(limit("7"), { amount: 7, unit: "messages", windowMs: 1000 })
    assert.deepStrictEqual(limit("0.5/m"), { amount: 0.5, unit: "messages", windowMs: 60_000 })
    assert.deepStrictEqual(limit("100 recipients/min"), { amount: 100, unit: "recipients", windowMs: 60_000 })
    assert.deepStrictEqual(limit("1 byte/h"), { amount: 1, unit: "bytes", windowMs: 3_600_000 })
  })

  it.prop(
    "reads what it writes",
    [Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))],
    ([amount]) => {
      for (const unit of ["messages", "recipients", "bytes", "connections"] as const) {
        for (const windowMs of [1000, 60_000, 3_600_000, 86_400_000]) {
          const one = { amount, unit, windowMs }
          assert.deepStrictEqual(limit(Limit.format(one)), one)
        }
      }
    }
  )

  it.each(["", "fast", "14/x", "-1/s", "1e3/s", "/s", "5 apples/s", "14/s/s"])('says how to write "%s"', (text) => {
    assert.deepStrictEqual(
      Limit.parse(text),
      Result.fail(`"${text}" is not a rate; write it as 100/s, 6000/m, 5000/h or 50000/d`)
    )
  })

  it("says that a limit of 0 would send nothing", () => {
    assert.deepStrictEqual(Limit.parse("0/s"), Result.fail('"0/s" would send nothing; the number must be more than 0'))
  })

  it("refuses what cannot be counted: a part of a message an hour or a day, a number without end", () => {
    assert.deepStrictEqual(
      ["0.5/d", "0.99 recipients/h", `${"9".repeat(400)}/s`].map((text) => Limit.parse(text)),
      [
        Result.fail('"0.5/d" is less than 1; give a number from 1 for an hour or a day'),
        Result.fail('"0.99 recipients/h" is less than 1; give a number from 1 for an hour or a day'),
        Result.fail(`"${"9".repeat(400)}/s" cannot be counted; give a smaller number, or leave it out`)
      ]
    )
  })
})

describe("a limit of up to a minute", () => {
  const cells = ["5/s", "20/s", "200/s", "1000/s", "5000/s", "6/m", "90/m", "3000/m"].flatMap((text) =>
    [0, 5, 40, 300].map((lateMs) => [text, lateMs] as const)
  )
  it.each(cells)("of %s holds in every window where messages begin up to %d ms late, and is used", (text, lateMs) => {
    const one = limit(text)
    const untilMs = Math.max(5000, 3 * one.windowMs)
    const times = begun(new RateLimit.RateLimit([one]), untilMs, lateMs, 1)
    const most = one.windowMs === 60_000 ? one.amount * (61 / 60) : one.amount + Limit.burstOf(one)
    assert.isAtMost(mostIn(one.windowMs, times), Math.max(one.amount, most))
    assert.isAtLeast(times.length, Math.floor(0.95 * Limit.perSecond(one) * (untilMs / 1000)) - 1)
  })

  it("counts recipients and bytes, and lets a larger message through when nothing was sent for long", () => {
    const rate = new RateLimit.RateLimit([limit("10 recipients/s"), limit("1000 bytes/s")])
    rate.admit(0, { recipients: 50, bytes: 10 })
    assert.isAbove(rate.availableAt(0, { recipients: 1, bytes: 1 }), 4000)
    assert.isAbove(rate.availableAt(6000, { recipients: 1, bytes: 1 }), 5999)
    assert.strictEqual(rate.availableAt(60_000, { recipients: 500, bytes: 1e9 }), 60_000)
  })
})

describe("a limit of more than a minute", () => {
  it.each(["600/h", "5000/d", "7/d"])("of %s holds in every window, over restarts, and is used", (text) => {
    const one = limit(text)
    let rate = new RateLimit.RateLimit([one])
    const times: Array<number> = []
    const chance = random(7)
    let now = 1_000_000
    while (now < 1_000_000 + 3 * one.windowMs) {
      const at = rate.availableAt(now, RateLimit.oneMessage)
      if (at > now) {
        now = at
        continue
      }
      rate.admit(now, RateLimit.oneMessage)
      times.push(now)
      now += chance() * (one.windowMs / one.amount) * (chance() < 0.3 ? 3 : 0.1)
      if (chance() < 0.01) {
        const saved = rate.save(now)
        rate = new RateLimit.RateLimit([one, limit("9/s")])
        rate.restore(JSON.parse(JSON.stringify(saved)) as RateLimit.Saved)
      }
    }
    assert.isAtMost(mostIn(one.windowMs, times), one.amount * (61 / 60))
    assert.isAtLeast(times.length, Math.floor(2.9 * one.amount))
  })

  it("lets the whole amount go at once", () => {
    const count = new SlidingCount(50_000, 86_400_000)
    for (let i = 0; i < 50_000; i++) {
      assert.strictEqual(count.availableAt(5, 1), 5)
      count.take(5)
    }
    assert.strictEqual(count.count(5), 50_000)
  })
})

describe("a warm-up", () => {
  const day = 86_400_000
  const plan = Result.getOrThrow(WarmUp.parse("from=50/d,factor=1.5,to=100000/d", 10 * day + 5))

  it("grows by the day up to its end", () => {
    const rate = new RateLimit.RateLimit([], plan)
    const sent = [0, 1, 2, 3].map((number) => {
      let messages = 0
      const noon = (10.5 + 2 * number) * day
      while (rate.availableAt(noon, RateLimit.oneMessage) === noon) {
        rate.admit(noon, RateLimit.oneMessage)
        messages++
      }
      return messages
    })
    assert.deepStrictEqual(sent, [50, 113, 257, 578])
    assert.strictEqual(WarmUp.amountOn(plan, 400), 100_000)
  })

  it.each([
    ["from=50/d,factor=1.5", /^"to" is missing; write the warm-up as from=50\/d/],
    ["from=50/d,factor=0.9,to=100/d", /^factor=0.9 does not grow/],
    ["from=50/d,factor=2,to=10/d", /^it shrinks, from 50 to 10 a day/],
    ["from=50/h,factor=2,to=10/d", /^from=50\/h is not a number of messages a day/],
    ["from=0/d,factor=2,to=10/d", /^from=0\/d: "0\/d" would send nothing/],
    ["from=5/d,from=6/d,to=10/d", /^"from" is given twice/],
    ["from=5/d,slope=3,to=10/d", /^"slope=3" is not part of a warm-up/],
    ["from=5/d,to=10/d,since=tomorrow", /^since=tomorrow is not a date/]
  ])("refuses %s", (text, message) => {
    const parsed = WarmUp.parse(text, 0)
    assert.match(Result.isFailure(parsed) ? parsed.failure : "read", message)
  })
})
