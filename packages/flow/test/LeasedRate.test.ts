/**
 * Several processes hold one limit, in virtual time: each leases from a ledger, sends late by a few milliseconds, and may die.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as FlowOptions from "../src/FlowOptions.ts"
import { LeasedRate } from "../src/LeasedRate.ts"
import * as Limit from "../src/Limit.ts"
import { random } from "./support/simulation.ts"

const ratesOf = (...rate: ReadonlyArray<string>): FlowOptions.ReadRates =>
  Result.getOrThrow(FlowOptions.resolve({ rate }, 0)).relay

interface Process {
  readonly rate: LeasedRate
  /** When it dies, in milliseconds. */
  readonly diesAt: number
}

/** Runs processes that always have messages; gives the times of all of them. */
const run = (rates: FlowOptions.ReadRates, deaths: ReadonlyArray<number>, untilMs: number): ReadonlyArray<number> => {
  const chance = random(3)
  const processes = deaths.map((diesAt): Process => ({ rate: new LeasedRate(rates), diesAt }))
  let ledger: string | undefined
  const times: Array<number> = []
  for (let now = 0; now < untilMs; now++) {
    for (const { diesAt, rate } of processes) {
      if (now >= diesAt) continue
      if (now % 50 === 0 || chance() < 0.01) {
        const count = rate.wanted(now)
        if (count > 0) {
          const lease = rate.lease(ledger, now, count)
          ledger = lease.ledger
          // The answer comes later than the store's clock was read.
          rate.grant(lease.times.map((time) => time + 2))
        }
      }
      while (rate.availableAt(now) <= now) {
        rate.admit()
        times.push(now + chance() * 10)
      }
    }
  }
  return times.sort((a, b) => a - b)
}

const mostIn = (windowMs: number, times: ReadonlyArray<number>): number => {
  let most = 0
  let first = 0
  times.forEach((time, last) => {
    while (times[first]! <= time - windowMs) first++
    most = Math.max(most, last - first + 1)
  })
  return most
}

describe("a limit that processes share", () => {
  const never = Number.POSITIVE_INFINITY

  it.each(["5/s", "14/s", "100/s", "1000/s"])(
    "of %s holds in every window for three, one of which dies, and is used",
    (text) => {
      const limit = Result.getOrThrow(Limit.parse(text))
      const times = run(ratesOf(text), [never, 7_000, never], 20_000)
      assert.isAtMost(mostIn(1000, times), limit.amount + Limit.burstOf(limit))
      assert.isAtLeast(times.length / 20, 0.95 * limit.amount)
    }
  )

  it("of 3000/h holds for three that come and go, and no message of it is counted twice", () => {
    const times = run(ratesOf("3000/h"), [never, 300, never, 900], 60_000)
    assert.isAtMost(times.length, 3000 * (61 / 60))
    assert.isAtLeast(times.length, 2500)
  })

  it("of 300/h is used wholly by two that send slowly", () => {
    const processes = [1, 2].map(() => new LeasedRate(ratesOf("300/h")))
    let ledger: string | undefined
    let sent = 0
    for (let now = 0; now < 300_000; now += 50) {
      for (const [index, rate] of processes.entries()) {
        const count = rate.wanted(now)
        if (count > 0) {
          const lease = rate.lease(ledger, now, count)
          rate.hold(lease.opensAt)
          if (lease.isChanged) {
            ledger = lease.ledger
            rate.take(lease)
          }
        }
        // One has a message every 350 ms, the other every 1.2 seconds.
        const everyMs = index === 0 ? 350 : 1200
        if (now % everyMs === 0 && rate.availableAt(now) <= now) {
          rate.admit(now)
          sent++
        }
      }
    }
    assert.isAtMost(sent, 305)
    assert.isAtLeast(sent, 295)
  })

  it("leases nothing for a process that has nothing to send", () => {
    const rate = new LeasedRate(ratesOf("14/s"))
    assert.strictEqual(rate.wanted(0), 0)
    assert.strictEqual(rate.countUntil(0, 1000), 0)
    assert.isAtLeast(rate.wanted(0), 1)
  })
})

describe("a limit on recipients that processes share", () => {
  /** Processes with messages of so many recipients, each as soon as it may; gives when how many recipients were sent. */
  const runRecipients = (
    rates: FlowOptions.ReadRates,
    queues: ReadonlyArray<Array<number>>,
    untilMs: number,
    stepMs = 1
  ) => {
    const processes = queues.map((queue) => ({ queue, rate: new LeasedRate(rates) }))
    let ledger: string | undefined
    const sent: Array<{ readonly at: number; readonly recipients: number }> = []
    for (let now = 0; now < untilMs; now += stepMs) {
      for (const { queue, rate } of processes) {
        const count = now % 50 === 0 ? rate.wanted(now) : 0
        if (count > 0) {
          const lease = rate.lease(ledger, now, count)
          rate.hold(lease.opensAt, lease.recipientsOpenAt)
          if (lease.isChanged) {
            ledger = lease.ledger
            rate.take(lease)
          }
        }
        while (queue.length > 0 && rate.availableAt(now, { recipients: queue[0]!, bytes: 0 }) <= now) {
          const recipients = queue.shift()!
          rate.admit(now, { recipients, bytes: 0 })
          sent.push({ at: now, recipients })
        }
      }
    }
    return { sent, left: queues.flat().length }
  }

  const sum = (sent: ReadonlyArray<{ readonly recipients: number }>) =>
    sent.reduce((sum, { recipients }) => sum + recipients, 0)

  it.each([
    ["one each", [1], 0.95],
    ["the same number each", [5], 0.95],
    ["one to forty", [1, 40, 1, 7, 1, 1, 20], 0.7]
  ])("holds and is used by three whose messages have %s", (_, sizes, used) => {
    const queues = [0, 1, 2].map((shift) =>
      Array.from({ length: 20_000 }, (_, i) => sizes[(i + shift) % sizes.length]!)
    )
    const limit = 200
    const { sent } = runRecipients(ratesOf(`${limit} recipients/s`), queues, 20_000)
    assert.isAtLeast(sum(sent) / 20, used * limit)
    for (let from = 0; from < 19_000; from += 137) {
      const inWindow = sum(sent.filter(({ at }) => at >= from && at < from + 1000))
      assert.isAtMost(inWindow, limit * 1.05)
    }
  })

  it("holds over the hour for three, and is used", () => {
    const queues = [1, 3, 50].map((recipients) => Array.from({ length: 2000 }, () => recipients))
    const { sent } = runRecipients(ratesOf("1000 recipients/h"), queues, 60_000)
    assert.isAtMost(sum(sent), 1000 * (61 / 60))
    assert.isAtLeast(sum(sent), 900)
  })

  it("holds beside one on messages, and both are used as far as the other lets them", () => {
    const few = runRecipients(
      ratesOf("20/s", "1000 recipients/s"),
      [Array.from({ length: 2000 }, () => 5)],
      20_000
    ).sent
    assert.approximately(few.length / 20, 20, 1.5)
    const many = runRecipients(
      ratesOf("200/s", "100 recipients/s"),
      [Array.from({ length: 2000 }, () => 5)],
      20_000
    ).sent
    assert.approximately(sum(many) / 20, 100, 10)
  })

  it("lets a message with more recipients than the limit go when nothing was sent for a while", () => {
    const { left, sent } = runRecipients(ratesOf("100 recipients/h"), [[150, 1]], 3_900_000, 50)
    assert.deepStrictEqual([left, sent[0]!.at < 1000, sent[1]!.at > 3_500_000], [0, true, true])
  })
})

describe("a limit on bytes that processes share", () => {
  /** Processes with messages of these sizes, each as soon as it may; gives the bytes sent and the messages left. */
  const runBytes = (rates: FlowOptions.ReadRates, queues: ReadonlyArray<Array<number>>, untilMs: number) => {
    const processes = queues.map((queue) => ({ queue, rate: new LeasedRate(rates) }))
    let ledger: string | undefined
    let sent = 0
    for (let now = 0; now < untilMs; now += 5) {
      for (const { queue, rate } of processes) {
        const count = now % 50 === 0 ? rate.wanted(now) : 0
        if (count > 0) {
          const lease = rate.lease(ledger, now, count)
          if (lease.times.length > 0) {
            ledger = lease.ledger
            rate.grant(lease.times, lease.bytes)
          }
        }
        while (queue.length > 0 && rate.availableAt(now, { recipients: 1, bytes: queue[0]! }) <= now) {
          const bytes = queue.shift()!
          rate.admit(now, { recipients: 1, bytes })
          sent += bytes
        }
      }
    }
    return { sent, left: queues.flat().length }
  }

  it("holds over the hour for three, and what is leased and not used goes back", () => {
    const queues = [100, 700, 5000].map((bytes) => Array.from({ length: 2000 }, () => bytes))
    const { sent } = runBytes(ratesOf("400000 bytes/h"), queues, 60_000)
    assert.isAtMost(sent, 400_000 * (61 / 60))
    assert.isAtLeast(sent, 380_000)
  })

  it("sends all that fits, large and small", () => {
    const queues = [Array.from({ length: 50 }, (_, i) => (i % 10 === 0 ? 30_000 : 200))]
    assert.deepStrictEqual(runBytes(ratesOf("200000 bytes/d"), queues, 60_000), { sent: 159_000, left: 0 })
  })

  it("counts what a message turns out to have beyond its estimate", () => {
    const rate = new LeasedRate(ratesOf("10000 bytes/h"))
    let ledger: string | undefined
    let sent = 0
    for (let now = 0; now < 30_000; now += 50) {
      const count = rate.wanted(now)
      if (count > 0) {
        const lease = rate.lease(ledger, now, count)
        if (lease.times.length > 0) ledger = lease.ledger
        rate.grant(lease.times, lease.bytes)
      }
      if (rate.availableAt(now, { recipients: 1, bytes: 500 }) > now) continue
      rate.admit(now, { recipients: 1, bytes: 500 })
      rate.correct({ recipients: 0, bytes: 500 })
      sent += 1000
    }
    assert.isAtLeast(sent, 9_000)
    assert.isAtMost(sent, 11_000)
  })

  for (const [limit, bytes] of [
    ["100/h", 0],
    ["100000 bytes/h", 1000],
    ["100 recipients/h", 0]
  ] as const)
    it(`gives nothing back to ${limit} that no window reaches any more, as after hours without the ledger`, () => {
      const lease = (rate: LeasedRate, ledger: string | undefined, now: number) => {
        rate.availableAt(now, { recipients: 1, bytes })
        return rate.lease(ledger, now, rate.wanted(now))
      }
      const idle = new LeasedRate(ratesOf(limit))
      const first = lease(idle, undefined, 0)
      assert.isTrue(first.isChanged)
      idle.take(first)
      const now = 10_800_000
      const busy = new LeasedRate(ratesOf(limit))
      let { ledger } = first
      for (let taken = 0; taken < 1000; taken++) {
        const more = lease(busy, ledger, now)
        if (more.times.length === 0 && more.recipients.length === 0) break
        busy.take(more)
        while (busy.availableAt(now, { recipients: 1, bytes }) <= now) busy.admit(now, { recipients: 1, bytes })
        ledger = more.ledger
      }
      const late = lease(idle, ledger, now)
      assert.deepStrictEqual([late.times, late.recipients], [[], []])
    })
})
