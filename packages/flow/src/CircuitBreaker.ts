/**
 * A circuit breaker: leaves a relay alone that fails again and again, and tries it with one message now and then.
 *
 * - **closed**: messages go. Several failures in a row of the relay itself open the circuit.
 * - **open**: nothing goes, for 1 s at first and twice as long after each failed trial, up to 10 s.
 * - **half-open**: one real message goes, and after 15 s without an end a second one, so that a relay that hung is noticed to be
 *   back before a connect timeout is over. The success of one closes the circuit, its failure opens it again.
 *
 * Failures are those of the relay (connecting, TLS, login, greeting), never those of a message. Effect has a circuit
 * breaker over a store (`effect/persistence/CircuitBreaker`); this one answers without an effect when it opens, which the
 * dispatcher asks before it claims.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 *
 * @since 0.1.0
 */

/**
 * The state of a circuit.
 *
 * @since 0.1.0
 */
export type State = "closed" | "open" | "halfOpen"

const failuresToOpen = 5
const shortestOpenMs = 1_000
const longestOpenMs = 10_000
/** As long as a router waits, which may stand before the circuit: the trial that it joins to one must not wait here. */
const trialMs = 15_000

/**
 * The circuit of one relay.
 *
 * @since 0.1.0
 */
export class CircuitBreaker {
  private current: State = "closed"
  private failures = 0
  private openUntil = Number.NEGATIVE_INFINITY
  private openMs = 0
  private trialAt = Number.NEGATIVE_INFINITY

  /** The state; an open circuit whose time is over is half-open. */
  state(now: number): State {
    return this.current === "open" && now >= this.openUntil ? "halfOpen" : this.current
  }

  /** The earliest time, from `now` on, at which a message may go; sooner if a trial that is under way succeeds. */
  availableAt(now: number): number {
    if (this.current === "closed") return now
    return Math.max(now, this.current === "open" ? this.openUntil : this.trialAt + trialMs)
  }

  /** A message goes. */
  begin(now: number): void {
    if (this.current === "closed") return
    if (this.current === "open" && now >= this.openUntil) this.current = "halfOpen"
    if (this.current === "halfOpen") this.trialAt = now
  }

  /** The relay answered, whatever it said about the message. Returns true if that closed the circuit. */
  succeeded(): boolean {
    const wasClosed = this.current === "closed"
    this.current = "closed"
    this.failures = 0
    this.openMs = 0
    return !wasClosed
  }

  /** The relay failed. Returns true if that opened the circuit. */
  failed(now: number): boolean {
    this.failures++
    if (this.current === "open") return false
    if (this.current === "closed" && this.failures < failuresToOpen) return false
    this.current = "open"
    this.openMs = Math.min(longestOpenMs, Math.max(shortestOpenMs, 2 * this.openMs))
    this.openUntil = now + this.openMs
    return true
  }

  /** A trial ended without telling anything, as by an interrupt: the next message is one. */
  abandoned(): void {
    if (this.current === "halfOpen") this.current = "open"
  }
}
