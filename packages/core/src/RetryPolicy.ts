/**
 * The times of the retries within one call: a `Schedule`, which composes like any other.
 *
 * The default waits 100 ms, 200 ms, 400 ms, each drawn anew from [d, 2d] so that messages that failed together do not
 * come back together, and gives up after 3 retries. A schedule decides only the times. `Mailer` checks with any schedule
 * that the reason is retryable at all (`MailError.isRetryable`).
 *
 * **Gotchas**
 *
 * These are the quick retries of one process. For waits of minutes and hours, and for messages that must survive a crash, use
 * the outbox (`@mailrace/outbox`).
 *
 * @example
 * ```ts
 * import * as Mailer from "mailrace/Mailer"
 * import * as RetryPolicy from "mailrace/RetryPolicy"
 *
 * // Five retries after 1, 2, 4, 8 and 16 seconds, each wait with up to as much jitter.
 * export const sendAll = Mailer.sendAll({ retry: RetryPolicy.make({ base: "1 second", times: 5 }) })
 * ```
 *
 * @since 0.1.0
 */

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as MailError from "./MailError.ts"

/**
 * The times of the retries; the input is the last attempt's error.
 *
 * @since 0.1.0
 */
export type RetryPolicy = Schedule.Schedule<unknown, MailError.MailError>

/**
 * The options of `make`.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The first wait before jitter. Defaults to 100 milliseconds. */
  readonly base?: Duration.Input | undefined
  /** The factor by which each wait grows, at least 1. Defaults to 2. */
  readonly factor?: number | undefined
  /** The number of retries after the first attempt, from 0. Defaults to 3. */
  readonly times?: number | undefined
  /**
   * The longest wait that a relay may ask for (`retryAfter`). A message that is asked to wait longer is given up at once,
   * because such waits are the outbox's work. Defaults to 30 seconds.
   */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * Exponential waits, each drawn from [d, 2d], never shorter than the relay asks for.
 *
 * @since 0.1.0
 */
export const make = (options?: Options): RetryPolicy => {
  const maxRetryAfter = Duration.toMillis(options?.maxRetryAfter ?? "30 seconds")
  return Schedule.exponential(options?.base ?? "100 millis", options?.factor ?? 2).pipe(
    Schedule.setInputType<MailError.MailError>(),
    Schedule.upTo({ times: options?.times ?? 3 }),
    Schedule.while(({ input }) => (input.retryAfter ?? 0) <= maxRetryAfter),
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.map(Random.next, (random) =>
        Duration.max(Duration.times(duration, 1 + random), Duration.millis(input.retryAfter ?? 0))
      )
    )
  )
}

/**
 * 100 ms doubling, each wait in [d, 2d], 3 retries.
 *
 * @since 0.1.0
 */
export const defaultPolicy: RetryPolicy = make()

/**
 * No retry: the first error is the end.
 *
 * @since 0.1.0
 */
export const none: RetryPolicy = make({ times: 0 })
