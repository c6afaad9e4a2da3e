/**
 * How one mail is enqueued.
 *
 * @since 0.1.0
 */

import type { Priority } from "./OutboxEntry.ts"

/**
 * How one mail is enqueued.
 *
 * @since 0.1.0
 */
export interface EnqueueOptions {
  /** Names the mail for its tenant: enqueued again, it is known and not stored twice. Kept as long as the row. */
  readonly idempotencyKey?: string | undefined
  /** Whose caps it counts against. Defaults to the mail's own `tenant`. */
  readonly tenant?: string | undefined
  readonly lane?: string | undefined
  /** Defaults to `normal`. */
  readonly priority?: Priority | undefined
  /** Not to be sent before. Defaults to now. */
  readonly sendAt?: Date | undefined
  /** Not to be tried after. Defaults to `expiry` after `sendAt`. */
  readonly expiresAt?: Date | undefined
  /**
   * Whether the mail is a template of itself: its `{{fields}}` (see `Template`) are filled in from its `data` when it is
   * sent. Mails of one template then store it once and their data each. Its `to` holds no fields. Defaults to false.
   */
  readonly render?: boolean | undefined
}
