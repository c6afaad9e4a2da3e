/**
 * Limits how many messages are begun in a period, as nodemailer's `rateLimit` and `rateDelta` do.
 */

/** The most messages begun in each period. */
export interface Rate {
  readonly limit: number
  readonly periodMs: number
}

/** Counts the messages of one period after the other. A period begins with its first message. */
export class RateLimit {
  private readonly rate: Rate
  private readonly onRoom: () => void
  private begun = 0
  private timer: NodeJS.Timeout | undefined

  /** `onRoom` is called at the end of each period. */
  constructor(rate: Rate, onRoom: () => void) {
    this.rate = rate
    this.onRoom = onRoom
  }

  /** True if another message may begin now. */
  get hasRoom(): boolean {
    return this.begun < this.rate.limit
  }

  /** Counts a message that begins. */
  begin(): void {
    this.begun++
    this.timer ??= setTimeout(() => {
      this.begun = 0
      this.timer = undefined
      this.onRoom()
    }, this.rate.periodMs)
    // Messages may wait for the end of a period without room, and then keep the process alive.
    if (this.hasRoom) this.timer.unref()
    else this.timer.ref()
  }

  /** Ends the period, because no message waits or will. */
  stop(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }
}
