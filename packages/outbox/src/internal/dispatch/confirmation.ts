/**
 * Decides whether a dispatcher may still rely on its ownership.
 *
 * An answer of the database confirms ownership for one lease, counted from before the question was sent, and for at
 * most `worth` messages that begin on it. The time limits what a process does that was stopped, or cut off without
 * noticing; the number limits what it does when its locks are gone and the news is still on its way.
 *
 * Both the monotonic and the wall clock count: the first stands still while a machine is suspended, the second may be
 * set.
 */

/** A time on both clocks, in milliseconds. */
export interface Moment {
  readonly monotonic: number
  readonly wall: number
}

/** The current time on both clocks. */
export const now = (): Moment => ({ monotonic: performance.now(), wall: Date.now() })

/** The last confirmation. */
export class Confirmation {
  private readonly leaseMs: number
  private since: Moment | undefined
  /** The number of messages begun on it. */
  private begun = 0
  private isAsking = false
  /** Asks for the next confirmation. */
  private ask: () => void = () => {}

  constructor(leaseMs: number) {
    this.leaseMs = leaseMs
  }

  /** Sets the function that asks for the next confirmation; `granted` or `revoke` is the answer. */
  askBy(ask: () => void): void {
    this.ask = ask
  }

  /** Confirms ownership: a question that was sent at `since` was answered. */
  granted(since: Moment): void {
    this.since = since
    this.begun = 0
    this.isAsking = false
  }

  /** Puts ownership in doubt. */
  revoke(): void {
    this.since = undefined
    this.isAsking = false
  }

  get isValid(): boolean {
    // Checked several times a message.
    const { leaseMs, since } = this
    return since !== undefined && performance.now() - since.monotonic < leaseMs && Date.now() - since.wall < leaseMs
  }

  /** The number of messages that may still begin on it, of `worth` in all. */
  left(worth: number): number {
    return this.isValid ? Math.max(0, worth - this.begun) : 0
  }

  /**
   * Records that messages begin. Asks for the next confirmation when most of this one is used, so that it comes in
   * time.
   */
  spend(count: number, worth: number): void {
    this.begun += count
    if (this.isAsking || this.begun < worth * usedBeforeNext) return
    this.isAsking = true
    this.ask()
  }
}

/** The part of a confirmation after which the next is asked for. */
const usedBeforeNext = 0.7
