/**
 * Limits how many messages start in any span of time.
 *
 * Messages are spread evenly, each in its own slot; an unused slot is not saved up. Timers have a resolution of a
 * millisecond and may fire late, so a message may miss its slot a little either way. The slots are longer than the rate
 * alone requires, by the most that such misses could add to any one second. Retries are not counted.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"

/** Messages a second, more than 0. */
export type Rate = number

/** Reads `100/s`, `6000/m`, `5000/h`, or `100` (a second). */
export const parse = (text: string): Result.Result<Rate, string> => {
  const parts = /^(\d+(?:\.\d+)?)(?:\/(s|sec|m|min|h))?$/.exec(text.trim())
  const rate = parts === null ? 0 : Number(parts[1]) / secondsIn[parts[2] ?? "s"]!
  return rate > 0 ? Result.succeed(rate) : Result.fail(`"${text}" is not a rate; write it as 100/s, 6000/m or 5000/h`)
}

/** Reads the value of `--rate`. */
export const read = (text: string): Effect.Effect<Rate, CommandError> =>
  Effect.fromResult(Result.mapError(parse(text), (problem) => new CommandError({ problem: `--rate: ${problem}` })))

/** Lets elements through at the rate. */
export const pace =
  (rate: Rate) =>
  <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
    Stream.unwrap(
      Effect.map(Clock.Clock, (clock) => {
        const nowMs = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
        const intervalMs = (1000 + 2 * slackMs) / rate
        let due = nowMs()
        const pass = (): void => {
          due = Math.max(due, nowMs() - slackMs) + intervalMs
        }
        return Stream.mapEffect(stream, (element) => {
          const wait = due - nowMs()
          return Effect.map(wait > slackMs ? Effect.sleep(wait) : Effect.void, () => {
            pass()
            return element
          })
        })
      })
    )

/** The same without a stream: each run of the effect takes the next slot and waits for it. */
export const slots = (rate: Rate): Effect.Effect<void> => {
  const intervalMs = (1000 + 2 * slackMs) / rate
  let due = Number.NEGATIVE_INFINITY
  return Effect.clockWith((clock) => {
    const now = Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
    const at = Math.max(due, now - slackMs)
    due = at + intervalMs
    return at - now > slackMs ? Effect.sleep(at - now) : Effect.void
  })
}

const secondsIn: { readonly [unit: string]: number } = { s: 1, sec: 1, m: 60, min: 60, h: 3600 }

/** How far a message may miss its slot, either way, in milliseconds. */
const slackMs = 4
