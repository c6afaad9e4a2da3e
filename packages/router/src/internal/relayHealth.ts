/**
 * Judges a relay by the ends of its messages: how many it is given at once.
 *
 * - **unproven**: nobody knows yet if it answers. It gets two messages at once, so that a relay that hangs holds up two.
 * - **proven**: its last message ended with an answer. It gets as many as its transport keeps busy.
 * - **down**: it failed. It gets none for 1 s, and for twice as long after each failed trial, up to 15 s, or up to 60 s if it
 *   asks for that or the fault does not mend itself. The time that the failure took counts.
 * - **trial**: its rest is over. It gets one real message, whose end decides, and after 15 s without an end a second one: a
 *   relay that hung is noticed to be back long before a connect timeout is over.
 *
 * The transport of a relay may have a circuit of its own (`@mailrace/flow`). While that is open it says until when, which is then
 * the rest: it is no failure, and makes the next rest no longer.
 *
 * A failure says little of a relay that answered others meanwhile: one lost connection among fifty puts no relay to rest.
 * Answers are therefore counted, and a message remembers the count at its beginning.
 *
 * Pure: no clock, no fibers.
 */

/** The state of the relay, as far as it has shown. */
export type Health = "unproven" | "proven" | "down" | "trial"

/** How an attempt at a relay ended. */
export type AttemptEnd =
  /** The relay answered, whatever it said about the message. */
  | "answered"
  /** The connection broke, or the relay fell silent, on a message that it had begun to take. */
  | "disturbed"
  /** The relay could not be reached, refused the session, or asks to stay away. */
  | "failed"
  /** Nothing was tried, because the circuit before the relay is open and says until when. */
  | "held"
  /** Nothing was learned, as at an interrupt. */
  | "unknown"

const unprovenLimit = 2
const trialLimit = 2
const shortestRestMs = 1_000
const longestRestMs = 15_000
const longestAskedMs = 60_000
const leastRestMs = 100

/** After this many milliseconds without an end, a trial is joined by another. */
export const trialMs = 15_000

/** The health of one relay. */
export class RelayHealth {
  health: Health = "unproven"
  /** The number of messages that the relay answered. */
  answers = 0
  /** How long the relay rests, in milliseconds, while it is down. */
  restMs = 0
  /** The last rest before the time of the failure was counted. */
  private backoffMs = 0
  /** The number of trials so far. */
  trials = 0
  /** The trial has lasted for so long that a second message may join it. */
  private hasLasted = false
  /** The messages on their way that began before the trial. */
  private earlier = 0

  /** The number of messages that the relay may have at once, of at most `most`. */
  limit(most: number): number {
    switch (this.health) {
      case "proven":
        return most
      case "unproven":
        return Math.min(unprovenLimit, most)
      case "trial":
        return Math.min(trialLimit, 1 + this.earlier + (this.hasLasted ? 1 : 0), most)
      case "down":
        return 0
    }
  }

  /**
   * A message ended that began at `answersBefore` answers and `trialsBefore` trials; `askedMs` is how long the relay asks to be
   * left alone, `tookMs` how long the message took. Returns true if that put the relay to rest, from now for `restMs`.
   */
  ended(end: AttemptEnd, answersBefore: number, askedMs = 0, tookMs = 0, trialsBefore = this.trials): boolean {
    const isEarlier = this.health === "trial" && trialsBefore < this.trials
    if (isEarlier) this.earlier = Math.max(0, this.earlier - 1)
    switch (end) {
      case "unknown":
        return false
      case "answered":
        this.answers++
        this.health = "proven"
        this.restMs = 0
        this.backoffMs = 0
        return false
      case "disturbed":
        if (this.health === "proven" || this.answers > answersBefore) {
          if (this.health === "proven") this.health = "unproven"
          return false
        }
        return this.rest(isEarlier, askedMs, tookMs)
      case "held":
        if (this.health === "down" || isEarlier) return false
        this.health = "down"
        this.restMs = Math.max(leastRestMs, Math.min(askedMs, longestAskedMs))
        return true
      case "failed":
        if (this.health === "proven" && this.answers > answersBefore) {
          this.health = "unproven"
          return false
        }
        return this.rest(isEarlier, askedMs, tookMs)
    }
  }

  /** The rest is over, with this many messages still on their way. Returns the number of the trial. */
  rested(inFlight = 0): number {
    if (this.health !== "down") return 0
    this.health = "trial"
    this.hasLasted = false
    this.earlier = inFlight
    return ++this.trials
  }

  /** The trial of that number has lasted for `trialMs`. */
  trialLasted(trial: number): void {
    if (this.health === "trial" && this.trials === trial) this.hasLasted = true
  }

  private rest(isEarlier: boolean, askedMs: number, tookMs: number): boolean {
    // Messages that fail together are one failure, and one that began before a trial says nothing of it.
    if (this.health === "down" || isEarlier) return false
    this.health = "down"
    this.backoffMs = Math.min(longestRestMs, Math.max(shortestRestMs, 2 * this.backoffMs))
    this.restMs = Math.max(leastRestMs, this.backoffMs - tookMs, Math.min(askedMs, longestAskedMs))
    return true
  }
}
