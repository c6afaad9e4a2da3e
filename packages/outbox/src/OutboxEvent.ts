/**
 * Changes of a message's state, as this process makes them.
 *
 * @since 0.1.0
 */

/**
 * The kind of change. `Deferred` is an attempt that failed temporarily; `Returned` is a claim that was given back
 * before its attempt began.
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
 * A change of a message's state. It is emitted after the change is committed.
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
  /** The due time of the next attempt, for `Enqueued`, `Deferred`, `Returned` and `Retried`. */
  readonly dueAt?: Date | undefined
  /** The tag of the error's reason, for `Deferred`, `Rejected`, `Dead`. */
  readonly reason?: string | undefined
  /** The relay's reply, or the error that came before a reply. */
  readonly reply?: string | undefined
}
