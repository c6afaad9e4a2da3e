/**
 * The options and the results of enqueueing.
 */
import type { Sendable } from "mailrace/Mailer"
import type { EnqueueOptions } from "../../EnqueueOptions.ts"
import type { OutboxError } from "../../OutboxError.ts"

/** A message that is on the disk. */
export interface Receipt {
  readonly _tag: "Receipt"
  readonly id: string
  readonly messageId: string
  /** True if the outbox already held a message with this idempotency key; nothing was stored then. */
  readonly duplicate: boolean
}

/** A message of a stream that could not be stored; the others are not affected. */
export interface Refusal {
  readonly _tag: "Refusal"
  /** The message's index in the stream, from 0. */
  readonly index: number
  readonly error: OutboxError
}

/** Options for a stream of messages: the same for all, or computed for each. */
export type EnqueueAllOptions = EnqueueOptions | ((mail: Sendable, index: number) => EnqueueOptions)
