/**
 * The pace against relays with a hidden limit, in virtual time.
 */
import { assert, describe, it } from "@effect/vitest"
import { PaceController } from "../src/PaceController.ts"
import * as Simulation from "./support/simulation.ts"

type Limiter = (now: number) => boolean

/** Limiters as relays have them, for a limit of `n` a second. */
const limiters: Readonly<Record<string, (n: number) => Limiter>> = {
  "a bucket of a second": (n) => Simulation.limiter(n, n),
  "a bucket of a tenth of a second": (n) => Simulation.limiter(n, Math.max(1, n / 10)),
  "a bucket of five messages": (n) => Simulation.limiter(n, 5),
  "a bucket of ten seconds": (n) => Simulation.limiter(n, 10 * n),
  "a count by the second": (n) => Simulation.fixedWindowLimiter(n)
}

const seeds = process.env["MAILRACE_LONG"] === "1" ? Array.from({ length: 20 }, (_, i) => i + 1) : [1, 2]

/** Fixed concurrency, as the comparison. */
const uncontrolled = (): Simulation.Controller => {
  let next = 0
  return { availableAt: (now) => now, begin: () => next++, succeeded: () => {}, complained: () => {} }
}

const deferredOf = (ended: ReadonlyArray<Simulation.Ended>) => ended.filter(({ isAccepted }) => !isAccepted).length

describe("a hidden limit", () => {
  const cells = Object.keys(limiters).flatMap((kind) =>
    [5, 50, 500].flatMap((limit) => [1, 50, 300].map((serviceMs) => [limit, serviceMs, kind] as const))
  )
  it.each(cells)(
    "of %d/s at %d ms, kept by %s, is found within 20 s, then used with few deferrals",
    (n, serviceMs, kind) => {
      for (const seed of seeds) {
        const accepts = limiters[kind]!(n)
        const relay = { answer: (now: number) => ({ isAccepted: accepts(now), serviceMs }) }
        const ended = Simulation.run(new PaceController(), relay, { untilMs: 140_000, window: 320, seed })
        const later = ended.filter(({ begunAt }) => begunAt >= 20_000)
        const deferred = deferredOf(later)
        // A relay that saves up ten seconds, or forgets each second, shows its limit late or by fits and starts.
        const isErratic = kind === "a bucket of ten seconds" || kind === "a count by the second"
        const [least, most] = isErratic ? [0.88, 0.045] : [0.9, 0.02]
        assert.isAtLeast((later.length - deferred) / 120 / n, least, `goodput, seed ${seed}`)
        assert.isAtMost(deferred / later.length, most, `deferred, seed ${seed}`)
      }
    }
  )

  it("costs at most half of the deferrals of a fixed concurrency, and a quarter in the median", () => {
    const shares: Array<number> = []
    for (const limit of [20, 200]) {
      for (const window of [10, 50]) {
        for (const seed of [1, 2, 3, 4, 5]) {
          const run = (controller: Simulation.Controller) => {
            const accepts = Simulation.limiter(limit, limit)
            const relay = { answer: (now: number) => ({ isAccepted: accepts(now), serviceMs: 50 }) }
            const ended = Simulation.run(controller, relay, { untilMs: 60_000, window, seed })
            return deferredOf(ended) / ended.length
          }
          const fixed = run(uncontrolled())
          const paced = run(new PaceController())
          assert.isAtMost(paced, fixed / 2, `${limit}/s, ${window} at once, seed ${seed}`)
          if (fixed > 0) shares.push(paced / fixed)
        }
      }
    }
    assert.isAtMost(shares.sort((a, b) => a - b)[shares.length >> 1]!, 0.25)
  })

  it("that is lowered to a tenth is kept again within 20 s, and one that is lifted is used within two minutes", () => {
    const before = Simulation.limiter(200, 200)
    const lowered = Simulation.limiter(20, 20)
    const answer = (now: number) => ({
      isAccepted: now < 60_000 ? before(now) : now < 120_000 ? lowered(now) : true,
      serviceMs: 50
    })
    const ended = Simulation.run(new PaceController(), { answer }, { untilMs: 280_000, window: 50, seed: 1 })
    const between = (from: number, to: number) => ended.filter(({ begunAt }) => begunAt >= from && begunAt < to)
    assert.isAtMost(deferredOf(between(80_000, 120_000)) / between(80_000, 120_000).length, 0.03)
    assert.isAtLeast(between(250_000, 280_000).length / 30, 900)
  })
})

describe("a relay that gets slow, refuses all, is dead and recovers", () => {
  it.each([10, 50, 300])(
    "is asked little while it takes nothing, and at its full rate 30 s after it is healthy (%d ms)",
    (ms) => {
      for (const seed of seeds) {
        const answer = (now: number) => ({
          isAccepted: now < 50_000 || now >= 110_000,
          serviceMs: now >= 20_000 && now < 50_000 ? 10 * ms : ms
        })
        const ended = Simulation.run(new PaceController(), { answer }, { untilMs: 150_000, window: 20, seed })
        const accepted = (from: number, to: number) =>
          ended.filter(({ at, isAccepted }) => isAccepted && at >= from && at < to).length / ((to - from) / 1000)
        assert.isAtLeast(accepted(25_000, 50_000), 0.95 * (20 / ms) * 100, "slow")
        assert.isAtMost(deferredOf(ended), 200, "while it refuses")
        assert.isAtLeast(accepted(140_000, 150_000), 0.95 * accepted(5_000, 20_000), "healthy again")
      }
    }
  )
})
