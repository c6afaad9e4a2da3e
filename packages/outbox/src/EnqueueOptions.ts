/**
 * Options for enqueueing one message.
 *
 * @since 0.1.0
 */

import type { Priority } from "./OutboxEntry.ts"

/**
 * Options for enqueueing one message.
 *
 * @since 0.1.0
 */
export interface EnqueueOptions {
  /**
   * Identifies the message for its tenant: enqueueing it again returns the stored message. The key is kept as long as
   * the row.
   */
  readonly idempotencyKey?: string | undefined
  /** The tenant whose caps count the message. Defaults to the message's own `tenant`. */
  readonly tenant?: string | undefined
  readonly lane?: string | undefined
  /** Defaults to `normal`. */
  readonly priority?: Priority | undefined
  /** The earliest time of the first attempt. Defaults to now. */
  readonly sendAt?: Date | undefined
  /** The time after which the outbox gives the message up. Defaults to `expiry` after `sendAt`. */
  readonly expiresAt?: Date | undefined
  /**
   * True if the message is a template of itself: the dispatcher fills in its `{{fields}}` (see `Template`) from its
   * `data`. The outbox then stores the template once for all its messages, and only the data for each. `to` may hold
   * no fields. Defaults to false.
   */
  readonly render?: boolean | undefined
}
