/**
 * Opens the sessions of a pool, keeps them to as many as may be open, and counts them.
 *
 * One more than that may be open for a moment, so that a session that retires can finish what is on its way while its
 * replacement is opened; if others retire meanwhile, their replacements wait for it.
 */
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as Pipelining from "../Pipelining.ts"
import * as RelayMemory from "../RelayMemory.ts"
import * as SmtpOpening from "../SmtpOpening.ts"
import type { Settings } from "../SmtpOptions.ts"
import type { SmtpSession } from "../SmtpSession.ts"
import { Patience } from "./patience.ts"

/** Opens the sessions of a pool. */
export class SessionOpener {
  /** What has been learnt about the relay. */
  readonly memory = RelayMemory.make()
  readonly counts = { opened: 0, failed: 0, open: 0, peak: 0 }
  /** The mode of the last session opened. */
  mode: Pipelining.Mode | undefined
  private readonly settings: Settings
  private readonly room: Semaphore.Semaphore
  private readonly patience = new Patience(() => this.counts.open)

  constructor(settings: Settings) {
    this.settings = settings
    this.room = Semaphore.makeUnsafe(settings.maxConnections + 1)
  }

  /** Opens a session in one attempt. */
  readonly open: Effect.Effect<SmtpSession, MailError.MailError> = Effect.uninterruptibleMask((restore) =>
    Effect.andThen(
      restore(this.room.take(1)),
      Effect.onExit(restore(SmtpOpening.open(this.settings, this.memory)), (exit) => {
        const { counts } = this
        if (exit._tag === "Failure") {
          counts.failed++
          return Effect.asVoid(this.room.release(1))
        }
        counts.opened++
        counts.open++
        counts.peak = Math.max(counts.peak, counts.open)
        this.mode = exit.value.mode
        return Effect.void
      })
    )
  )

  /** Opens a session beside others, with patience for a relay that does not want more. */
  readonly openAnother: Effect.Effect<SmtpSession, MailError.MailError> = Effect.suspend(() =>
    this.patience.open(this.open)
  )

  /** A session takes no more messages; it had so many milliseconds. */
  retired(session: SmtpSession, ageMs: number): void {
    this.patience.retired(session, ageMs)
  }

  /** Closes a session and makes room for another. */
  close(session: SmtpSession): Effect.Effect<void> {
    return Effect.ensuring(
      session.close,
      Effect.suspend(() => {
        this.counts.open--
        this.patience.gone()
        return this.room.release(1)
      })
    )
  }
}
