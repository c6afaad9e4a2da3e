/**
 * Opens the sessions of a pool, keeps them to as many as may be open, and counts them.
 *
 * One more than that may be open for a moment, so that a session that retires can finish what is on its way while its
 * replacement is opened; if others retire meanwhile, their replacements wait for it.
 */
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as Pipelining from "../../Pipelining.ts"
import * as RelayMemory from "../../RelayMemory.ts"
import * as SmtpOpening from "../../SmtpOpening.ts"
import type { Settings } from "../../SmtpOptions.ts"
import type { SmtpSession } from "../../SmtpSession.ts"

/** Opens the sessions of a pool. */
export class SessionOpener {
  /** Facts about the relay that sessions share. */
  readonly memory: RelayMemory.RelayMemory
  readonly counts = { opened: 0, failed: 0, open: 0, peak: 0 }
  private readonly settings: Settings
  private readonly isBusy: () => boolean
  private last: SmtpSession | undefined
  private readonly room: Semaphore.Semaphore

  /**
   * `isBusy` tells whether there are more messages than sessions; `onStepDown` is called when the relay steps down to
   * `envelope`.
   */
  constructor(settings: Settings, isBusy: () => boolean, onStepDown: (why: string) => void) {
    this.settings = settings
    this.isBusy = isBusy
    this.memory = RelayMemory.make(onStepDown)
    this.room = Semaphore.makeUnsafe(settings.maxConnections + 1)
  }

  /** The fastest mode in which sessions are used; that of the last one opened, where none has passed a self-test. */
  get mode(): Pipelining.Mode | undefined {
    const { hasPassedTest, steppedDown } = this.memory.pipelining
    return hasPassedTest && steppedDown === undefined ? "speculative" : this.last?.mode
  }

  /** Opens a session in one attempt. */
  readonly open: Effect.Effect<SmtpSession, MailError.MailError> = Effect.uninterruptibleMask((restore) =>
    Effect.andThen(
      restore(this.room.take(1)),
      Effect.onExit(restore(SmtpOpening.open(this.settings, this.memory, this.isBusy)), (exit) => {
        const { counts } = this
        if (exit._tag === "Failure") {
          counts.failed++
          return Effect.asVoid(this.room.release(1))
        }
        counts.opened++
        counts.open++
        counts.peak = Math.max(counts.peak, counts.open)
        this.last = exit.value
        return Effect.void
      })
    )
  )

  /** Closes a session and makes room for another. */
  close(session: SmtpSession): Effect.Effect<void> {
    return Effect.ensuring(
      session.close,
      Effect.suspend(() => {
        this.counts.open--
        return this.room.release(1)
      })
    )
  }
}
