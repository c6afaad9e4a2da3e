/**
 * A message in the outbox as its owner sees it: its state, its history, and the filters that select messages.
 *
 * @since 0.1.0
 */

/**
 * The state of a message.
 *
 * - `due`: waits for its time; if it has attempts, it was deferred.
 * - `claimed`: on its way.
 * - `accepted`: a relay took responsibility for at least one recipient, and no recipient is owed another attempt.
 * - `rejected`: refused for good.
 * - `expired`: its time ran out before a relay took it.
 * - `dead`: given up, because its attempts are used up, it cannot be read, or processes died on it again and again.
 * - `cancelled`: withdrawn by its owner.
 *
 * @since 0.1.0
 */
export type State = "due" | "claimed" | "accepted" | "rejected" | "expired" | "dead" | "cancelled"

/**
 * All states. Stored rows hold a state's index in this list, so it only ever grows at its end.
 *
 * @since 0.1.0
 */
export const states: ReadonlyArray<State> = ["due", "claimed", "accepted", "rejected", "expired", "dead", "cancelled"]

/**
 * The priority of a message within its lane. Of the waiting messages, `high` gets 16 shares, `normal` 4 and `bulk` 1;
 * none starves.
 *
 * @since 0.1.0
 */
export type Priority = "high" | "normal" | "bulk"

/**
 * All priorities. Stored rows hold a priority's index in this list.
 *
 * @since 0.1.0
 */
export const priorities: ReadonlyArray<Priority> = ["high", "normal", "bulk"]

/**
 * The outcome of one of several recipients, over all attempts.
 *
 * @since 0.1.0
 */
export interface Recipient {
  readonly address: string
  readonly outcome: "accepted" | "rejected" | "deferred" | "unknown"
  /** The text of the relay's reply. */
  readonly reply: string | undefined
}

/**
 * A message's row.
 *
 * @since 0.1.0
 */
export interface Entry {
  readonly id: string
  readonly state: State
  readonly tenant: string | undefined
  readonly idempotencyKey: string | undefined
  readonly lane: string
  readonly priority: Priority
  /** The address of the first recipient. */
  readonly recipient: string
  /** Each recipient's outcome, once there was an attempt and the message has several recipients; empty otherwise. */
  readonly recipients: ReadonlyArray<Recipient>
  readonly messageId: string
  /** The attempts that have ended, and the one that it is claimed for. */
  readonly attempts: number
  /** The number of processes that ended while this message was on its way, since an attempt last ended. */
  readonly crashes: number
  /** The time of the next attempt; of a message on its way, the time at which its attempt was due. */
  readonly dueAt: Date
  /** The time at which the message is given up. */
  readonly expiresAt: Date
  readonly createdAt: Date
  readonly updatedAt: Date
  /** The time at which it was accepted, rejected, expired, given up or cancelled. */
  readonly settledAt: Date | undefined
  /** The size of its payload in bytes, without the contents that it shares with other messages. */
  readonly size: number
  /** The relay of the last attempt as `host:port`. */
  readonly lastRelay: string | undefined
  /** The reply code of the last attempt. */
  readonly lastCode: number | undefined
  readonly lastEnhanced: string | undefined
  /** The relay's reply to the last attempt, or the error that came before a reply. */
  readonly lastReply: string | undefined
  /** The trace in which it was enqueued, which shows its attempts too: 32 hexadecimal digits. */
  readonly traceId: string | undefined
}

/**
 * One attempt that has ended.
 *
 * @since 0.1.0
 */
export interface Attempt {
  /** From 1. */
  readonly number: number
  readonly at: Date
  /** The outcome: `accepted`, or the tag of the error's reason. */
  readonly outcome: string
  readonly relay: string | undefined
  readonly code: number | undefined
  readonly enhanced: string | undefined
  readonly reply: string | undefined
}

/**
 * Selects messages. All conditions must hold; an empty filter selects every message.
 *
 * @since 0.1.0
 */
export interface Filter {
  readonly ids?: ReadonlyArray<string> | undefined
  readonly states?: ReadonlyArray<State> | undefined
  readonly tenant?: string | undefined
  readonly lane?: string | undefined
  /** The first recipient's address, letter for letter. */
  readonly recipient?: string | undefined
  /** True for messages with an attempt, or with a process that ended while they were on their way. */
  readonly attempted?: boolean | undefined
  /** Due at or after this time; a settled message keeps its last due time. */
  readonly dueSince?: Date | undefined
  /** Due before this time. */
  readonly dueUntil?: Date | undefined
  /** Created at or after this time. */
  readonly since?: Date | undefined
  /** Created before this time. */
  readonly until?: Date | undefined
}

/**
 * The number of messages in each state.
 *
 * @since 0.1.0
 */
export type StateCounts = { readonly [S in State]: number }

/**
 * A lane with waiting messages.
 *
 * @since 0.1.0
 */
export interface LaneStats {
  readonly lane: string
  /** The number of waiting messages, due now or later. */
  readonly waiting: number
  /** The due time of the first of them. */
  readonly oldestDueAt: Date | undefined
  readonly paused: boolean
}

/**
 * A process that sends from the outbox.
 *
 * @since 0.1.0
 */
export interface DispatcherStats {
  /** The host, the process id and, with PostgreSQL, a random part, as in `mail-1/4711/0af3c2d1`. */
  readonly name: string
  readonly since: Date
  /** The number of buckets that it owns, of 1,024 (see `Lane`). */
  readonly buckets: number
  /** The number of messages claimed and not settled at its last report. */
  readonly inFlight: number
  /**
   * The time of its last report, by the database's clock; `undefined` in SQLite, whose lock shows at once whether it
   * is alive.
   */
  readonly lastBeatAt: Date | undefined
}

/**
 * Why messages wait, as a dispatcher reported it within the last half minute.
 *
 * @since 0.2.0
 */
export interface StoredWait {
  /** The limit or the window that holds them back: `tenant`, `lane`, `circuit`, `rate` or `pace`. */
  readonly gate: string
  /** The tenant or lane; `undefined` for the relay's own. */
  readonly key: string | undefined
  readonly since: Date
  /** When the next one may go; `undefined` if that depends on the relay. */
  readonly until: Date | undefined
  /** The relay's words, where it asked for the wait. */
  readonly reply: string | undefined
}

/**
 * The state of the outbox as a whole.
 *
 * @since 0.1.0
 */
export interface Stats {
  /** The number of messages in each state. */
  readonly states: StateCounts
  /** Bytes of payload of those that are due or claimed. */
  readonly pendingBytes: number
  /** The due time of the message that waits longest; later than now if nothing is due yet. */
  readonly oldestDueAt: Date | undefined
  /** Messages accepted in the last minute, a second. */
  readonly acceptedPerSecond: number
  /** Lanes with waiting messages, and paused ones, the fullest first. */
  readonly lanes: ReadonlyArray<LaneStats>
  /** The processes that send from it now, the longest-running first. */
  readonly dispatchers: ReadonlyArray<DispatcherStats>
  /** Why due messages wait, the longest wait first; absent if the store cannot keep it. */
  readonly waits?: ReadonlyArray<StoredWait> | undefined
}
