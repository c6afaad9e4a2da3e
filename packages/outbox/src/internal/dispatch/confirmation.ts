/**
 * Whether a dispatcher may still take its ownership for granted.
 *
 * An answer of the database confirms ownership for one lease, counted from before the question was sent, and at most for
 * `worth` messages that are begun on it. The time bounds what a process does that was stopped, or cut off without noticing;
 * the number bounds what it does when its locks are gone and the news is still on its way.
 *
 * Both the monotonic and the wall clock count: the first stands still while a machine is suspended, the second may be set.
 */

/** A moment on both clocks, in milliseconds. */
export interface Moment {
  readonly monotonic: number
  readonly wall: number
}

/** This moment. */
export const now = (): Moment => ({ monotonic: performance.now(), wall: Date.now() })

/** The last confirmation. */
export class Confirmation {
  private readonly leaseMs: number
  private since: Moment | undefined
  /** Messages begun on it. */
  private begun = 0
  private isAsking = false
  /** Asks for the next one. */
  private ask: () => void = () => {}

  constructor(leaseMs: number) {
    this.leaseMs = leaseMs
  }

  /** Sets how the next confirmation is asked for; `granted` or `revoke` is the answer. */
  askBy(ask: () => void): void {
    this.ask = ask
  }

  /** A question that was sent at `since` was answered: ownership stands. */
  granted(since: Moment): void {
    this.since = since
    this.begun = 0
    this.isAsking = false
  }

  /** Ownership is in doubt. */
  revoke(): void {
    this.since = undefined
    this.isAsking = false
  }

  get isValid(): boolean {
    // Asked several times a mail.
    const { leaseMs, since } = this
    return since !== undefined && performance.now() - since.monotonic < leaseMs && Date.now() - since.wall < leaseMs
  }

  /** How many messages may be begun on it, of `worth` in all. */
  left(worth: number): number {
    return this.isValid ? Math.max(0, worth - this.begun) : 0
  }

  /** Messages are begun. Asks for the next confirmation when most of this one is used, so that it is there in time. */
  spend(count: number, worth: number): void {
    this.begun += count
    if (this.isAsking || this.begun < worth * usedBeforeNext) return
    this.isAsking = true
    this.ask()
  }
}

/** The part of a confirmation after which the next is asked for. */
const usedBeforeNext = 0.7
