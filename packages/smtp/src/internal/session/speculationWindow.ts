/**
 * How far a connection may currently run ahead of the replies.
 *
 * - Trust is earned. The first transaction of a connection, and the first after a pause, waits for its 354: then a
 *   connection that the peer has closed meanwhile costs no outcome, and a peer that answers twice is caught before
 *   anything is counted wrongly.
 * - Trust grows. One chunk goes ahead at first and one more with each that was answered, so that the number doubles each round
 *   trip, and a relay that falls silent or hangs up costs the outcome of few messages.
 * - Trust is bounded. A refusal halves how many transactions may be on their way, because content that follows a refused
 *   envelope is sent in vain; from then on four acceptances add one.
 * - In `overlap` an envelope goes early only in the same write as the content before it. Sent after it on its own it would
 *   save a round trip, but a relay that answers in two small segments and leaves Nagle's algorithm on then waits for an
 *   ACK that this side delays: 40 ms a message, seen with Postfix's smtp-sink.
 */
import type * as Composed from "mailrace/Composed"

/** The limits of the window. */
export interface Options {
  /** How many transactions may be on their way in `speculative`. */
  readonly depth: number
  /** The largest content in bytes that runs ahead of its envelope's replies. */
  readonly maxSpeculativeSize: number
  /** The pause in milliseconds after which the next transaction waits for its 354 again. */
  readonly pauseMs: number
  /** The time in milliseconds, on any scale that does not jump. */
  readonly now: () => number
}

/** A message that comes at most this many milliseconds after the end of the one before came without a pause. */
const promptMs = 100

export class SpeculationWindow {
  /** How many messages in a row came without a pause; more than are on their way together. */
  prompt = 0
  private readonly options: Options
  private isTrusted = false
  private lastEndAt = Number.NEGATIVE_INFINITY
  /** The chunks in flight that the relay's answers so far allow. */
  private shown = 1
  /** The chunks in flight that its refusals allow. */
  private window: number

  constructor(options: Options) {
    this.options = options
    this.window = options.depth
  }

  /** A transaction begins while no other is on its way. */
  beginAlone(): void {
    const idleMs = this.options.now() - this.lastEndAt
    if (idleMs > this.options.pauseMs) this.isTrusted = false
    this.prompt = idleMs > promptMs ? 0 : this.prompt + 1
  }

  /** True if a transaction may begin in `speculative` behind so many. */
  canStart(underway: number): boolean {
    return this.isTrusted && underway < this.window && underway < this.shown
  }

  /** True if content may go together with its envelope in `speculative`. */
  canSendAhead(content: Composed.Content): content is Uint8Array {
    return this.isTrusted && content instanceof Uint8Array && content.length <= this.options.maxSpeculativeSize
  }

  /** A transaction has completed. */
  onCompleted(isAccepted: boolean, usedBdat: boolean): void {
    this.lastEndAt = this.options.now()
    this.isTrusted = true
    if (usedBdat && this.shown < this.options.depth) this.shown++
    this.window = isAccepted ? Math.min(this.options.depth, this.window + 0.25) : Math.max(1, this.window / 2)
  }
}
