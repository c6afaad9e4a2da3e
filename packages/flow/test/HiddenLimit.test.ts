/**
 * All gates together before relays with a hidden limit, in virtual time. `PaceController.test.ts` has the pace by itself, before
 * more kinds of limiters.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Feedback from "../src/Feedback.ts"
import { type Admission, FlowControl } from "../src/FlowControl.ts"
import * as FlowOptions from "../src/FlowOptions.ts"
import * as Simulation from "./support/simulation.ts"

/** The gates of a relay as the sender's controller. There are always messages of so many lanes, which take turns. */
const allGates = (concurrency: number, lanes: number): Simulation.Controller => {
  const facts = Array.from({ length: lanes }, (_, n) => ({
    tenant: "",
    lane: `lane${n}.test`,
    cost: { recipients: 1, bytes: 1000 }
  }))
  const settings = Result.getOrThrow(FlowOptions.resolve({ adaptive: true, circuit: true }, 0))
  const control = new FlowControl(settings, concurrency)
  const admissions = new Map<number, Admission>()
  let next = 0
  const end = (number: number, feedback: Feedback.Feedback, now: number): void => {
    control.end(admissions.get(number)!, feedback, now)
    admissions.delete(number)
  }
  const inTurn = () => facts.map((_, turn) => facts[(next + turn) % facts.length]!)
  return {
    availableAt: (now) => {
      let at = Number.POSITIVE_INFINITY
      for (const one of inTurn()) {
        at = Math.min(at, control.availableAt(one, now))
        if (at <= now) break
      }
      return at
    },
    begin: (now) => {
      const admission = control.admit(
        inTurn().find((one) => control.availableAt(one, now) <= now)!,
        now
      )
      control.begin(admission, now)
      admissions.set(next, admission)
      return next++
    },
    succeeded: (number, now) => end(number, Feedback.success, now),
    complained: (number, now) => end(number, { _tag: "Complaint", about: "rate", askedMs: 0 }, now)
  }
}

/** Fixed concurrency, as the comparison. */
const uncontrolled = (): Simulation.Controller => {
  let next = 0
  return { availableAt: (now) => now, begin: () => next++, succeeded: () => {}, complained: () => {} }
}

const deferredShare = (ended: ReadonlyArray<Simulation.Ended>): number =>
  ended.filter(({ isAccepted }) => !isAccepted).length / ended.length

describe("a relay with a hidden limit, behind all gates", () => {
  const cells = [5, 50, 500].flatMap((limit) =>
    [1, 50, 300].flatMap((serviceMs) => [1, 7].map((lanes) => [limit, serviceMs, lanes] as const))
  )
  it.each(cells)(
    "of %d/s at %d ms, by messages of %d lanes, is found within 20 s, then used with few deferrals",
    (limit, serviceMs, lanes) => {
      const accepts = Simulation.limiter(limit, Math.max(1, limit / 10))
      const relay = { answer: (now: number) => ({ isAccepted: accepts(now), serviceMs }) }
      const ended = Simulation.run(allGates(320, lanes), relay, { untilMs: 140_000, window: 320, seed: 1 })
      const later = ended.filter(({ begunAt }) => begunAt >= 20_000)
      assert.isAtLeast((later.length * (1 - deferredShare(later))) / 120 / limit, 0.9, "goodput")
      assert.isAtMost(deferredShare(later), 0.02, "deferred")
    }
  )

  it("defers at most half of what a fixed concurrency does, and a quarter in the median", () => {
    const shares: Array<number> = []
    for (const limit of [20, 200]) {
      for (const window of [10, 50]) {
        for (const seed of [1, 2, 3, 4, 5]) {
          const deferred = (controller: Simulation.Controller): number => {
            const accepts = Simulation.limiter(limit, limit)
            const relay = { answer: (now: number) => ({ isAccepted: accepts(now), serviceMs: 50 }) }
            return deferredShare(Simulation.run(controller, relay, { untilMs: 60_000, window, seed }))
          }
          const fixed = deferred(uncontrolled())
          const followed = deferred(allGates(window, 7))
          assert.isAtMost(followed, fixed / 2, `${limit}/s, ${window} at once, seed ${seed}`)
          // Ten at once for 50 ms each are no more than 200 a second.
          if (fixed > 0) shares.push(followed / fixed)
        }
      }
    }
    assert.isAtMost(shares.sort((a, b) => a - b)[shares.length >> 1]!, 0.25)
  })
})
