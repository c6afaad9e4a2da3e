/**
 * A mail in the outbox as its owner sees it: where it stands, what happened to it so far, and how to choose some of many.
 *
 * @since 0.1.0
 */

/**
 * Where a mail stands.
 *
 * - `due`: waits for its time; with attempts behind it, it was deferred.
 * - `claimed`: on its way.
 * - `accepted`: a relay took responsibility for at least one recipient, and none is owed an attempt.
 * - `rejected`: refused for good.
 * - `expired`: its time was over before a relay took it.
 * - `dead`: given up; its attempts are used up, or it cannot be read, or it took its process down again and again.
 * - `cancelled`: withdrawn by its owner.
 *
 * @since 0.1.0
 */
export type State = "due" | "claimed" | "accepted" | "rejected" | "expired" | "dead" | "cancelled"

/**
 * All states. Stored rows hold a state's place in this list: it only ever grows at its end.
 *
 * @since 0.1.0
 */
export const states: ReadonlyArray<State> = ["due", "claimed", "accepted", "rejected", "expired", "dead", "cancelled"]

/**
 * Who goes first within a lane. Of mails that wait, `high` gets 16 shares, `normal` 4 and `bulk` 1; none starves.
 *
 * @since 0.1.0
 */
export type Priority = "high" | "normal" | "bulk"

/**
 * All priorities. Stored rows hold a priority's place in this list.
 *
 * @since 0.1.0
 */
export const priorities: ReadonlyArray<Priority> = ["high", "normal", "bulk"]

/**
 * What a relay said about one of several recipients, over all attempts.
 *
 * @since 0.1.0
 */
export interface Recipient {
  readonly address: string
  readonly outcome: "accepted" | "rejected" | "deferred" | "unknown"
  /** The relay's words. */
  readonly reply: string | undefined
}

/**
 * A mail's row.
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
  /** Each recipient's outcome, once there was an attempt and there are several; empty otherwise. */
  readonly recipients: ReadonlyArray<Recipient>
  readonly messageId: string
  /** Attempts that came to an end, and the one that it is claimed for. */
  readonly attempts: number
  /** How often a process ended while this mail was on its way, since an attempt last came to an end. */
  readonly crashes: number
  /** When the next attempt is due, or was when it began. */
  readonly dueAt: Date
  /** When the mail is given up. */
  readonly expiresAt: Date
  readonly createdAt: Date
  readonly updatedAt: Date
  /** When it was accepted, rejected, expired, given up or cancelled. */
  readonly settledAt: Date | undefined
  /** Bytes of its payload, without what it shares with others. */
  readonly size: number
  /** The relay of the last attempt as `host:port`. */
  readonly lastRelay: string | undefined
  /** The reply code of the last attempt. */
  readonly lastCode: number | undefined
  readonly lastEnhanced: string | undefined
  /** The relay's words at the last attempt, or what went wrong before it could speak. */
  readonly lastReply: string | undefined
}

/**
 * One attempt that is over.
 *
 * @since 0.1.0
 */
export interface Attempt {
  /** From 1. */
  readonly number: number
  readonly at: Date
  /** What it came to: `accepted`, or the tag of the error's reason. */
  readonly outcome: string
  readonly relay: string | undefined
  readonly code: number | undefined
  readonly enhanced: string | undefined
  readonly reply: string | undefined
}

/**
 * Which mails; all conditions hold together, and none means every mail.
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
  /** Whether an attempt was made, or a process ended while the mail was on its way. */
  readonly attempted?: boolean | undefined
  /** Due at or after; what is over keeps the time at which it was due last. */
  readonly dueSince?: Date | undefined
  /** Due before. */
  readonly dueUntil?: Date | undefined
  /** Created at or after. */
  readonly since?: Date | undefined
  /** Created before. */
  readonly until?: Date | undefined
}

/**
 * How many mails are in each state.
 *
 * @since 0.1.0
 */
export type StateCounts = { readonly [S in State]: number }

/**
 * A lane that has mails waiting.
 *
 * @since 0.1.0
 */
export interface LaneStats {
  readonly lane: string
  /** Mails waiting, due now or later. */
  readonly waiting: number
  /** When the first of them is or was due. */
  readonly oldestDueAt: Date | undefined
  readonly paused: boolean
}

/**
 * A process that sends from the outbox.
 *
 * @since 0.1.0
 */
export interface DispatcherStats {
  /** Its host, its process id and, over PostgreSQL, a random part, as in `mail-1/4711/0af3c2d1`. */
  readonly name: string
  readonly since: Date
  /** Buckets of lanes that it owns, of 1,024 (see `Lane`). */
  readonly buckets: number
  /** Mails that it had claimed and not settled when it last said so. */
  readonly inFlight: number
  /** When it last said that it is there, by the database's clock; `undefined` in SQLite, whose lock tells it at once. */
  readonly lastBeatAt: Date | undefined
}

/**
 * How the outbox stands.
 *
 * @since 0.1.0
 */
export interface Stats {
  /** How many mails are in each state. */
  readonly states: StateCounts
  /** Bytes of payload of those that are due or claimed. */
  readonly pendingBytes: number
  /** When the longest waiting mail was due; later than now when none is due yet. */
  readonly oldestDueAt: Date | undefined
  /** Mails accepted in the last minute, a second. */
  readonly acceptedPerSecond: number
  /** Lanes with waiting mails, and paused ones, the fullest first. */
  readonly lanes: ReadonlyArray<LaneStats>
  /** The processes that send from it now, those that are there longest first. */
  readonly dispatchers: ReadonlyArray<DispatcherStats>
}
