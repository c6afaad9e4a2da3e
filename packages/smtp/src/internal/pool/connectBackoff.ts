/**
 * How a relay is asked for connections that does not want them.
 *
 * A relay that refuses one more connection (421 at the greeting, "too many connections") is not asked again until one of
 * the open ones has gone or a while has passed, longer each time. Its refusal costs no message as long as another session
 * is open, or was a moment ago: the relay may not have noticed yet that it has gone. A relay that ends sessions as soon as
 * they are open, before there is a message for them, is asked ever more slowly.
 */
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import type { SmtpSession } from "../../SmtpSession.ts"

/** How long a relay that wants no more connections is left alone when none of the open ones goes, in milliseconds. */
const refusalPauseMs = 5_000

/** The longest that such a pause grows to by doubling, in milliseconds. */
const longestPauseMs = 300_000

/** The same where none is open any more, in milliseconds; also the first pause after sessions that ended at once. */
const shortPauseMs = 100

/** A session that ends within so many milliseconds and was given nothing was not worth opening. */
const shortLivedMs = 1_000

/** How a relay is asked for connections that does not want them. */
export class ConnectBackoff {
  /** How many sessions are open now. */
  private readonly countOpen: () => number
  /** Who waits for a session to go before asking again. */
  private readonly waiting = new Set<() => void>()
  private goneAt = Number.NEGATIVE_INFINITY
  /** How many sessions in a row were not worth opening. */
  private shortLived = 0

  constructor(countOpen: () => number) {
    this.countOpen = countOpen
  }

  /** Opens a session by repeated attempts for as long as the relay may want it later. */
  open(attempt: Effect.Effect<SmtpSession, MailError.MailError>): Effect.Effect<SmtpSession, MailError.MailError> {
    return Effect.suspend(() => {
      const asked = this.ask(attempt, refusalPauseMs)
      return this.shortLived < 2
        ? asked
        : Effect.delay(asked, Math.min(shortPauseMs * 2 ** (this.shortLived - 2), refusalPauseMs))
    })
  }

  /** A session takes no more messages; it had so many milliseconds. */
  retired(session: SmtpSession, ageMs: number): void {
    const wasUsed = session.messages > 0 || session.ending === undefined
    this.shortLived = wasUsed || ageMs > shortLivedMs ? 0 : this.shortLived + 1
  }

  /** A session has closed, so that the relay has room for another. */
  gone(): void {
    this.goneAt = performance.now()
    for (const wake of this.waiting) wake()
  }

  private ask(
    attempt: Effect.Effect<SmtpSession, MailError.MailError>,
    pauseMs: number
  ): Effect.Effect<SmtpSession, MailError.MailError> {
    return Effect.catchIf(
      attempt,
      (error) => isConnectionLimit(error) && (this.countOpen() > 0 || performance.now() - this.goneAt < refusalPauseMs),
      () =>
        Effect.andThen(
          this.untilOneGoes(this.countOpen() > 0 ? pauseMs : shortPauseMs),
          this.ask(attempt, Math.min(2 * pauseMs, longestPauseMs))
        )
    )
  }

  private untilOneGoes(pauseMs: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const stop = (): void => {
        clearTimeout(timer)
        this.waiting.delete(wake)
      }
      const wake = (): void => {
        stop()
        resume(Effect.void)
      }
      const timer = setTimeout(wake, pauseMs)
      this.waiting.add(wake)
      return Effect.sync(stop)
    })
  }
}

/** Whether the relay refused because this client has enough connections, by its reply to the connection itself. */
const isConnectionLimit = ({ reason }: MailError.MailError): boolean =>
  reason._tag === "Throttled" ||
  (reason._tag === "ConnectFailed" &&
    reason.kind === "greeting" &&
    reason.reply !== undefined &&
    reason.reply.code < 500)
