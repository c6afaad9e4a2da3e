/**
 * Replies of a server that does not answer as it should: twice, late and out of turn, or at great length.
 */
import type * as Fault from "../Fault.ts"
import type { Quirks } from "./options.ts"

/** How long a reply that is to be late is held back at most, when no other comes that it could follow. */
const lateReplyMs = 100

/** Changes the replies of one connection. */
export class ReplyTwist {
  readonly #quirks: Quirks
  readonly #onLate: (text: string) => void
  #late: string | undefined
  #timer: NodeJS.Timeout | undefined

  /** `onLate` is given a reply that was held back and has nothing to follow. */
  constructor(quirks: Quirks, onLate: (text: string) => void) {
    this.#quirks = quirks
    this.#onLate = onLate
  }

  /** The bytes sent in place of a reply. */
  apply(phase: Fault.Phase, text: string): string {
    const { doubleReply, lateReply, replyPadding } = this.#quirks
    const padded = replyPadding === undefined ? text : pad(text, replyPadding)
    if (phase === lateReply && this.#late === undefined) {
      this.#late = padded
      this.#timer = setTimeout(() => this.#onLate(this.#release()), lateReplyMs)
      return ""
    }
    return (phase === doubleReply ? padded + padded : padded) + this.#release()
  }

  /** Forgets what is held back. */
  stop(): void {
    this.#release()
  }

  #release(): string {
    const late = this.#late ?? ""
    this.#late = undefined
    clearTimeout(this.#timer)
    return late
  }
}

/** A reply with further lines before its last, of about `bytes` bytes (RFC 5321 §4.2.1). */
const pad = (text: string, bytes: number): string => {
  const line = `${text.slice(0, 3)}-${"x".repeat(200)}\r\n`
  return line.repeat(Math.ceil(bytes / line.length)) + text
}
