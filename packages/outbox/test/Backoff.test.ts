/**
 * The waits between attempts, rule by rule.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as MailError from "mailrace/MailError"
import * as Backoff from "../src/Backoff.ts"
import { deferral, throttling, unreachable } from "./support/scriptedTransport.ts"

const minute = 60_000
const hour = 60 * minute

/** The waits after each of the first attempts. */
const waits = (error: MailError.MailError, attempts: number, backoff = Backoff.defaultBackoff) =>
  Effect.forEach(
    Array.from({ length: attempts }, (_, i) => i + 1),
    (attempt) => Backoff.delay(backoff, attempt, error)
  )

const greylisted = (text: string) => deferral({ code: 450, enhanced: "4.7.1", text })

describe("Backoff", () => {
  it.effect("waits 1, 5, 15 minutes, 1 hour and then 4 hours, up to a fifth longer and never the same", () =>
    Effect.gen(function* () {
      const wanted = [minute, 5 * minute, 15 * minute, hour, 4 * hour, 4 * hour, 4 * hour]
      const seen = new Set<number | undefined>()
      for (let i = 0; i < 20; i++) {
        const found = yield* waits(deferral(), wanted.length)
        found.forEach((wait, at) => {
          assert.isAtLeast(wait!, wanted[at]!)
          assert.isAtMost(wait!, wanted[at]! * 1.2)
        })
        seen.add(found[0])
      }
      assert.isAbove(seen.size, 10)
    })
  )

  it.effect("ends where its schedule ends, and replays any schedule by the number of attempts", () =>
    Effect.gen(function* () {
      const doubling = Schedule.exponential("10 minutes").pipe(
        Schedule.setInputType<MailError.MailError>(),
        Schedule.upTo({ times: 3 })
      )
      assert.deepStrictEqual(yield* waits(deferral(), 5, doubling), [
        10 * minute,
        20 * minute,
        40 * minute,
        undefined,
        undefined
      ])
      // A schedule that counts the time that has passed sees the time of its own waits.
      const within = Schedule.spaced("1 hour").pipe(
        Schedule.setInputType<MailError.MailError>(),
        Schedule.upTo({ duration: "150 minutes" })
      )
      assert.deepStrictEqual(yield* waits(deferral(), 4, within), [hour, hour, hour, undefined])
    })
  )

  it.effect("returns to a relay that greylists after 5 minutes, or at the time that the relay names", () =>
    Effect.gen(function* () {
      const first = (text: string) => Backoff.delay(Backoff.defaultBackoff, 1, greylisted(text))
      assert.strictEqual(yield* first("Greylisted, please try again"), 5 * minute)
      assert.strictEqual(yield* first("Recipient address rejected: Gray-listed, try again in 300 seconds"), 5 * minute)
      assert.strictEqual(yield* first("greylisting in action, come back in 00:01:30"), 1.5 * minute)
      assert.strictEqual(yield* first("Grey listed for 10 minutes"), 10 * minute)
      // From the second on it goes by the schedule, and not before it is told to.
      const [, second] = yield* waits(greylisted("greylisted"), 2)
      assert.isAtLeast(second!, 5 * minute)
      const [, third] = yield* waits(greylisted("greylisted, retry in 40 min"), 2)
      assert.strictEqual(third, 40 * minute)
      // Only a refusal for now can be greylisting.
      assert.isFalse(Backoff.isGreylisting({ code: 550, text: "greylisted" }))
    })
  )

  it.effect("waits a quarter of an hour at most for an unusable relay, because the message is not at fault", () =>
    Effect.gen(function* () {
      const silent = (phase: MailError.Phase) => MailError.make(new MailError.Timeout({ phase, limitMs: 30_000 }))
      for (const error of [unreachable, silent("connect"), silent("tls"), silent("auth")]) {
        const found = yield* waits(error, 8)
        assert.isBelow(found[0]!, 2 * minute)
        assert.deepStrictEqual(
          found.slice(3),
          [15, 15, 15, 15, 15].map((minutes) => minutes * minute)
        )
      }
      for (const phase of ["envelope", "finalReply", "session"] as const)
        assert.isAtLeast((yield* waits(silent(phase), 4))[3]!, hour)
    })
  )

  it.effect.prop(
    "never returns sooner than the relay asks, nor sooner than the schedule if the message is at fault",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 48 * hour })), Schema.Literals([1, 2, 3, 4, 5, 9])],
    ([asked, attempt]) =>
      Effect.map(Backoff.delay(Backoff.defaultBackoff, attempt, throttling(asked)), (wait) => {
        const least = [minute, 5 * minute, 15 * minute, hour, 4 * hour][Math.min(attempt, 5) - 1]!
        assert.isAtLeast(wait!, Math.max(asked, least))
        assert.isAtMost(wait!, Math.max(asked, least * 1.2))
      })
  )
})
