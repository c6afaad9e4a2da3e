/**
 * The times of retries over hours and days.
 *
 * The times are a `Schedule`, but no schedule runs. A message's position in it is its number of attempts, which is stored, so that
 * a restart changes nothing. Each time, the schedule is replayed up to that number, with the clock at the time to which its own
 * waits would have led. Where it ends, the message is given up.
 *
 * The last error then refines the wait:
 * - never sooner than the relay asks for (`retryAfter`);
 * - *greylisted* (RFC 6647): the relay wants to see the message again after a few minutes, so the first wait is 5 minutes,
 *   or the wait that its words ask for;
 * - the relay or the transport could not be used (no connection, no login, no TLS): that says nothing about the message, so it
 *   waits 15 minutes at most and goes on soon after the relay is back.
 *
 * @example
 * ```ts
 * import * as Backoff from "@mailrace/outbox/Backoff"
 * import * as Outbox from "@mailrace/outbox/Outbox"
 *
 * export const run = Outbox.run({ backoff: Backoff.fromWaits(["30 seconds", "5 minutes", "1 hour"]) })
 * ```
 *
 * @since 0.1.0
 */

import * as Feedback from "@mailrace/flow/Feedback"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as MailError from "mailrace/MailError"
import type * as Reply from "mailrace/Reply"

/**
 * Waits between attempts; the input is the last attempt's error.
 *
 * @since 0.1.0
 */
export type Backoff = Schedule.Schedule<unknown, MailError.MailError>

/**
 * Waits from a list, the last one repeated forever. Each is drawn anew from [d, 1.2 d], so that messages that failed
 * together do not come back together.
 *
 * @since 0.1.0
 */
export const fromWaits = (waits: readonly [Duration.Input, ...Array<Duration.Input>]): Backoff =>
  Schedule.forever.pipe(
    Schedule.setInputType<MailError.MailError>(),
    Schedule.modifyDelay(({ attempt }) =>
      Effect.map(Random.next, (random) =>
        Duration.times(Duration.fromInputUnsafe(waits[Math.min(attempt, waits.length) - 1]!), 1 + 0.2 * random)
      )
    )
  )

/**
 * 1 minute, 5 minutes, 15 minutes, 1 hour, then every 4 hours.
 *
 * @since 0.1.0
 */
export const defaultBackoff: Backoff = fromWaits(["1 minute", "5 minutes", "15 minutes", "1 hour", "4 hours"])

/**
 * The wait after attempt number `attempt` (from 1) in milliseconds; `undefined` if the message is to be given up.
 *
 * @since 0.1.0
 */
export const delay = (
  backoff: Backoff,
  attempt: number,
  error: MailError.MailError
): Effect.Effect<number | undefined> =>
  Effect.map(wait(backoff, attempt, error), (wait) => (wait === undefined ? undefined : refine(wait, attempt, error)))

/**
 * True if the relay greylists: it asks every sender that it does not know to come back later.
 *
 * @since 0.1.0
 */
export const isGreylisting: (reply: Reply.Reply) => boolean = Feedback.isGreylisting

/**
 * True if the error is about the relay or the transport, and not about the message: `MailError.isAboutRelay`.
 *
 * @since 0.1.0
 */
export const isAboutRelay: (error: MailError.MailError) => boolean = MailError.isAboutRelay

const greylistWait = 5 * 60_000
const relayWait = 15 * 60_000

/**
 * The schedule's own wait after attempt number `attempt` in milliseconds; `undefined` where it ends.
 *
 * @since 0.1.0
 */
export const wait = (
  backoff: Backoff,
  attempt: number,
  error: MailError.MailError
): Effect.Effect<number | undefined> =>
  Effect.gen(function* () {
    const step = yield* Schedule.toStep(backoff)
    let now = yield* Clock.currentTimeMillis
    let wait: number | undefined
    for (let i = 0; i < attempt; i++) {
      wait = yield* Pull.matchEffect(step(now, error), {
        onSuccess: ([, duration]) => Effect.succeed<number | undefined>(Duration.toMillis(duration)),
        onFailure: Effect.failCause,
        onDone: () => Effect.undefined
      })
      if (wait === undefined) return undefined
      now += wait
    }
    return wait
  })

const refine = (wait: number, attempt: number, error: MailError.MailError): number => {
  const asked = error.retryAfter ?? 0
  const { reply } = error
  if (reply !== undefined && isGreylisting(reply)) {
    const said = saidWait(reply.text)
    if (attempt === 1) return Math.max(said ?? greylistWait, asked)
    return Math.max(wait, said ?? 0, asked)
  }
  return Math.max(MailError.isAboutRelay(error) ? Math.min(wait, relayWait) : wait, asked)
}

/** The wait that a relay names in words, as in `come back in 00:05:00` or `try again in 300 seconds`. */
const saidWait = (text: string): number | undefined => {
  const clock = /\b(\d{1,2}):(\d{2}):(\d{2})\b/.exec(text)
  if (clock !== null) return (Number(clock[1]) * 3600 + Number(clock[2]) * 60 + Number(clock[3])) * 1000
  const words = /\b(\d{1,5})\s*(s|sec|seconds?|m|min|minutes?)\b/i.exec(text)
  return words === null ? undefined : Number(words[1]) * (words[2]!.toLowerCase().startsWith("s") ? 1000 : 60_000)
}
