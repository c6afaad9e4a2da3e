/**
 * What the ends of its messages say about a relay: how many it is given at once.
 *
 * - **unproven**: nobody knows yet if it answers. It gets two messages at once, so that a relay that hangs holds up two.
 * - **proven**: its last message ended with an answer. It gets as many as its transport keeps busy.
 * - **down**: it failed. It gets none for 1 s, and for twice as long after each failed trial, up to 15 s, or up to 60 s if it
 *   asks for that or the fault does not mend itself.
 * - **trial**: its rest is over. It gets one real message, whose end decides.
 *
 * A failure says little of a relay that answered others meanwhile: one lost connection among fifty puts no relay to rest.
 * Answers are therefore counted, and a message remembers the count at its beginning.
 *
 * Pure: no clock, no fibers.
 */

/** What the relay is known to do. */
export type Health = "unproven" | "proven" | "down" | "trial"

/** The end of a message at a relay. */
export type End =
  /** The relay answered, whatever it said about the message. */
  | "answered"
  /** The connection broke, or the relay fell silent, on a message that it had begun to take. */
  | "disturbed"
  /** The relay could not be reached, refused the session, or asks to stay away. */
  | "failed"
  /** Nothing was learned, as at an interrupt. */
  | "unknown"

const unprovenLimit = 2
const shortestRestMs = 1_000
const longestRestMs = 15_000
const longestAskedMs = 60_000

/** The health of one relay. */
export class RelayHealth {
  health: Health = "unproven"
  /** The number of messages that the relay answered. */
  answers = 0
  /** How long the relay rests, in milliseconds, while it is down. */
  restMs = 0

  /** The number of messages that the relay may have at once, of at most `most`. */
  limit(most: number): number {
    switch (this.health) {
      case "proven":
        return most
      case "unproven":
        return Math.min(unprovenLimit, most)
      case "trial":
        return 1
      case "down":
        return 0
    }
  }

  /**
   * A message ended that began at `answersBefore` answers; `askedMs` is how long the relay asks to be left alone. Returns
   * true if that put the relay to rest, from now for `restMs`.
   */
  ended(end: End, answersBefore: number, askedMs = 0): boolean {
    switch (end) {
      case "unknown":
        return false
      case "answered":
        this.answers++
        this.health = "proven"
        this.restMs = 0
        return false
      case "disturbed":
        if (this.health === "proven" || this.answers > answersBefore) {
          if (this.health === "proven") this.health = "unproven"
          return false
        }
        return this.rest(askedMs)
      case "failed":
        if (this.health === "proven" && this.answers > answersBefore) {
          this.health = "unproven"
          return false
        }
        return this.rest(askedMs)
    }
  }

  /** The rest is over. */
  rested(): void {
    if (this.health === "down") this.health = "trial"
  }

  private rest(askedMs: number): boolean {
    // Messages that fail together are one failure.
    if (this.health === "down") return false
    const next = Math.min(longestRestMs, Math.max(shortestRestMs, 2 * this.restMs))
    this.health = "down"
    this.restMs = Math.max(next, Math.min(askedMs, longestAskedMs))
    return true
  }
}
