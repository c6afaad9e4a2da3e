/**
 * Decides whether a dispatcher may still rely on its ownership.
 *
 * An answer of the database confirms ownership for one lease, counted from before the question was sent. The lease limits
 * what a process can still send after it was stopped, or cut off without noticing.
 *
 * Within the lease, locks may be gone while the news is still on its way. For `exclusiveMs` that does no harm, because
 * no other dispatcher takes a bucket so soon after its lock was seen to be held; any number of messages may begin. After
 * that at most `worth` messages may begin, until the next answer.
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
  private exclusiveMs = 0
  /** The number of messages begun on it after it was exclusive. */
  private begun = 0
  private isAsking = false
  /** Asks for the next confirmation. */
  private ask: () => void = () => {}

  constructor(leaseMs: number) {
    this.leaseMs = leaseMs
  }

  /** Sets the function that asks for the next confirmation; `granted` or `revoke` is the answer. */
  onRenew(ask: () => void): void {
    this.ask = ask
  }

  /** Confirms ownership: a question that was sent at `since` was answered. */
  granted(since: Moment, exclusiveMs: number): void {
    this.since = since
    this.exclusiveMs = exclusiveMs
    this.begun = 0
    this.isAsking = false
  }

  /** Puts ownership in doubt. */
  revoke(): void {
    this.since = undefined
    this.isAsking = false
  }

  get isValid(): boolean {
    return this.isYoungerThan(this.leaseMs)
  }

  /** The number of messages that may still begin on it. */
  left(worth: number): number {
    if (!this.isValid) return 0
    return this.isYoungerThan(this.exclusiveMs) ? Infinity : Math.max(0, worth - this.begun)
  }

  /**
   * Records that messages begin. Asks for the next confirmation when most of this one is used, so that it comes in
   * time.
   */
  spend(count: number, worth: number): void {
    if (this.isYoungerThan(this.exclusiveMs)) return
    this.begun += count
    if (this.isAsking || this.begun < worth * usedBeforeNext) return
    this.isAsking = true
    this.ask()
  }

  // Checked several times a message.
  private isYoungerThan(ms: number): boolean {
    const { since } = this
    return since !== undefined && performance.now() - since.monotonic < ms && Date.now() - since.wall < ms
  }
}

/** The part of a confirmation after which the next is asked for. */
const usedBeforeNext = 0.7
