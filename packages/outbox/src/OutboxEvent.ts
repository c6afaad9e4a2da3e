/**
 * Changes of a mail's state, as they happen in this process.
 *
 * @since 0.1.0
 */

/**
 * What happened. `Deferred` is an attempt that failed for now; `Returned` a claim given back before it was begun.
 *
 * @since 0.1.0
 */
export type Change =
  | "Enqueued"
  | "Claimed"
  | "Returned"
  | "Accepted"
  | "Deferred"
  | "Rejected"
  | "Expired"
  | "Dead"
  | "Cancelled"
  | "Retried"

/**
 * A mail changed its state. Told after the change is committed.
 *
 * @since 0.1.0
 */
export interface OutboxEvent {
  readonly _tag: Change
  readonly id: string
  readonly messageId: string
  readonly tenant: string | undefined
  readonly lane: string
  /** Attempts so far, as in `Entry`. */
  readonly attempts: number
  readonly at: Date
  /** When the next attempt is due: for `Enqueued`, `Deferred`, `Returned` and `Retried`. */
  readonly dueAt?: Date | undefined
  /** The tag of the error's reason, for `Deferred`, `Rejected`, `Dead`. */
  readonly reason?: string | undefined
  /** The relay's words, or what went wrong before it could speak. */
  readonly reply?: string | undefined
}
