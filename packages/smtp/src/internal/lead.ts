/**
 * How far a connection may run ahead of the replies at the moment.
 *
 * - Trust is earned. The first transaction of a connection, and the first after a pause, waits for its 354: then a
 *   connection that the peer has closed meanwhile costs no outcome, and a peer that answers twice is caught before
 *   anything is counted wrongly.
 * - Trust is bounded. A refusal halves how many transactions may be on their way, because content that follows a refused
 *   envelope is sent in vain; four acceptances add one.
 * - In `overlap` an envelope goes early only in the same write as the content before it. Sent after it on its own it would
 *   save a round trip, but a relay that answers in two small segments and leaves Nagle's algorithm on then waits for an
 *   ACK that this side delays: 40 ms a message, seen with Postfix's smtp-sink.
 */
import type * as Composed from "mailrace/Composed"
import type * as Pipelining from "../Pipelining.ts"

/** What bounds the lead. */
export interface Options {
  readonly mode: Pipelining.Mode
  /** How many transactions may be on their way in `speculative`. */
  readonly depth: number
  /** The largest content in bytes that runs ahead of its envelope's replies. */
  readonly maxSpeculativeSize: number
  /** After how many milliseconds without traffic the next transaction goes carefully again. */
  readonly pauseMs: number
  /** The time in milliseconds, on any scale that does not jump. */
  readonly now: () => number
}

/** How far a connection may run ahead of the replies at the moment. */
export class Lead {
  private readonly options: Options
  private isTrusted = false
  private lastEndAt = 0
  private window: number

  constructor(options: Options) {
    this.options = options
    this.window = options.depth
  }

  /** Whether a transaction may begin behind so many; `canJoin` when its envelope would share a write with content. */
  mayBegin(underway: number, canJoin: boolean): boolean {
    const { mode, now, pauseMs } = this.options
    if (underway === 0) {
      if (this.isTrusted && now() - this.lastEndAt > pauseMs) this.isTrusted = false
      return true
    }
    return mode === "overlap"
      ? canJoin && underway < 2
      : mode === "speculative" && this.isTrusted && underway < this.window
  }

  /** Whether content may go together with its envelope. */
  covers(content: Composed.Content): content is Uint8Array {
    return (
      this.isTrusted &&
      this.options.mode === "speculative" &&
      content instanceof Uint8Array &&
      content.length <= this.options.maxSpeculativeSize
    )
  }

  /** A transaction was completed. */
  learn(isAccepted: boolean): void {
    this.lastEndAt = this.options.now()
    this.isTrusted = true
    this.window = isAccepted ? Math.min(this.options.depth, this.window + 0.25) : Math.max(1, this.window / 2)
  }
}
