/**
 * The error of the outbox.
 *
 * There is one error, `OutboxError`. Its `reason` says in one sentence what went wrong (`message`) and what to try (`remedy`).
 * `isRetryable` is true if the same call may succeed later without help: the dispatcher then waits and goes on, and for other
 * errors it ends. A message that cannot be *sent* is not an `OutboxError`; its outcome is in its row.
 *
 * @since 0.1.0
 */

import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

const TypeId = "~mailrace/OutboxError"

/** A better remedy than the reason's own, from the code that found the problem. */
const hint = Schema.optional(Schema.String)

/**
 * The cap on pending messages is reached (`maxPending`, `maxPendingBytes`, per tenant or for the whole outbox).
 * Retryable.
 *
 * @since 0.1.0
 */
export class Busy extends Schema.TaggedError<Busy>("mailrace/OutboxError/Busy")("Busy", {
  /** The owner of the cap: a tenant, or the whole outbox. */
  scope: Schema.Literals(["outbox", "tenant"]),
  tenant: Schema.optional(Schema.String),
  /** The unit of the cap. */
  unit: Schema.Literals(["mails", "bytes"]),
  limit: Schema.Finite
}) {
  readonly isRetryable = true
  override get message() {
    const whose = this.scope === "tenant" ? `the tenant "${this.tenant}"` : "the outbox"
    return `${whose} already holds its limit of ${this.limit} pending ${this.unit}`
  }
  get remedy() {
    return "enqueue again after some have been sent, or raise the cap (`maxPending`, `maxPendingBytes`)"
  }
}

/**
 * The message cannot be stored, or could never be sent. Never retryable.
 *
 * @since 0.1.0
 */
export class InvalidMail extends Schema.TaggedError<InvalidMail>("mailrace/OutboxError/InvalidMail")("InvalidMail", {
  /** The field at fault, as in `to` or `attachments[0].path`. */
  field: Schema.String,
  problem: Schema.String
}) {
  readonly isRetryable = false
  override get message() {
    return `${this.field}: ${this.problem}`
  }
  get remedy() {
    return `correct the field "${this.field}" and enqueue the mail again`
  }
}

/**
 * An option of the outbox has an invalid value. Never retryable.
 *
 * @since 0.1.0
 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>("mailrace/OutboxError/InvalidOption")(
  "InvalidOption",
  {
    option: Schema.String,
    problem: Schema.String
  }
) {
  readonly isRetryable = false
  override get message() {
    return `the option \`${this.option}\` ${this.problem}`
  }
  get remedy() {
    return `correct the option \`${this.option}\``
  }
}

/**
 * The disk that holds the outbox is full; nothing of this call was stored. Retryable.
 *
 * @since 0.1.0
 */
export class DiskFull extends Schema.TaggedError<DiskFull>("mailrace/OutboxError/DiskFull")("DiskFull", {
  store: Schema.String
}) {
  readonly isRetryable = true
  override get message() {
    return `the disk that holds ${this.store} is full`
  }
  get remedy() {
    return "free space on that disk; the stored messages are safe"
  }
}

/**
 * The file or its folder may not be written, or the database is read-only. Never retryable.
 *
 * @since 0.1.0
 */
export class ReadOnly extends Schema.TaggedError<ReadOnly>("mailrace/OutboxError/ReadOnly")("ReadOnly", {
  store: Schema.String,
  /** The database's own text. */
  problem: Schema.optional(Schema.String),
  hint
}) {
  readonly isRetryable = false
  override get message() {
    return `${this.store} cannot be written${this.problem === undefined ? "" : `: ${this.problem}`}`
  }
  get remedy() {
    return (
      this.hint ??
      "give this user write permission on the file and on its folder (SQLite keeps -wal and -shm beside it)"
    )
  }
}

/**
 * The file is damaged or is not an outbox. Never retryable.
 *
 * @since 0.1.0
 */
export class Corrupt extends Schema.TaggedError<Corrupt>("mailrace/OutboxError/Corrupt")("Corrupt", {
  store: Schema.String,
  problem: Schema.String,
  hint
}) {
  readonly isRetryable = false
  override get message() {
    return `${this.store} cannot be read as an outbox: ${this.problem}`
  }
  get remedy() {
    if (this.hint !== undefined) return this.hint
    return "check the path; if it is the right file, restore it from a backup or salvage it with `sqlite3 FILE .recover`"
  }
}

/**
 * Another process holds a lock longer than `busyTimeout`, or than the server's `lock_timeout`. Retryable.
 *
 * @since 0.1.0
 */
export class Locked extends Schema.TaggedError<Locked>("mailrace/OutboxError/Locked")("Locked", {
  store: Schema.String,
  /** The time for which the call waited for the lock, in milliseconds; 0 if the server keeps the time. */
  waitedMs: Schema.Finite,
  /** The database's own words. */
  problem: Schema.optional(Schema.String),
  hint
}) {
  readonly isRetryable = true
  override get message() {
    return this.problem === undefined
      ? `another process has kept ${this.store} locked for more than ${this.waitedMs} ms`
      : `${this.store} is locked: ${this.problem}`
  }
  get remedy() {
    if (this.hint !== undefined) return this.hint
    return "look for a long transaction on it (a backup, an open sqlite3 shell) and end it"
  }
}

/**
 * A later version of Mailrace made the tables. Never retryable.
 *
 * @since 0.1.0
 */
export class NewerSchema extends Schema.TaggedError<NewerSchema>("mailrace/OutboxError/NewerSchema")("NewerSchema", {
  store: Schema.String,
  found: Schema.Int,
  known: Schema.Int
}) {
  readonly isRetryable = false
  override get message() {
    return `${this.store} has schema version ${this.found}, this version of Mailrace knows up to ${this.known}`
  }
  get remedy() {
    return "upgrade Mailrace on this machine; nothing was changed"
  }
}

/**
 * The file cannot be used where it is: it has several names (hard links), is mounted without its folder, lies on a network
 * file system, or was moved, replaced or removed while it was open. Never retryable.
 *
 * @since 0.1.0
 */
export class Misplaced extends Schema.TaggedError<Misplaced>("mailrace/OutboxError/Misplaced")("Misplaced", {
  store: Schema.String,
  problem: Schema.String,
  hint: Schema.String
}) {
  readonly isRetryable = false
  override get message() {
    return `${this.store} cannot be used where it is: ${this.problem}`
  }
  get remedy() {
    return this.hint
  }
}

/**
 * Another process already sends from this file. Never retryable.
 *
 * @since 0.1.0
 */
export class AlreadyDispatching extends Schema.TaggedError<AlreadyDispatching>(
  "mailrace/OutboxError/AlreadyDispatching"
)("AlreadyDispatching", {
  store: Schema.String,
  pid: Schema.optional(Schema.Int),
  host: Schema.optional(Schema.String),
  since: Schema.optional(Schema.String)
}) {
  readonly isRetryable = false
  override get message() {
    const who = this.pid === undefined ? "another process" : `process ${this.pid} on ${this.host}`
    return `${who} already sends from ${this.store}${this.since === undefined ? "" : ` (since ${this.since})`}`
  }
  get remedy() {
    return "leave the sending to that process, or stop it first; enqueue, list and retry work from here"
  }
}

/**
 * Processes with an earlier version of Mailrace, which shares the work in another way, send from these tables. Nothing was
 * changed. Never retryable.
 *
 * @since 0.1.0
 */
export class EarlierDispatchers extends Schema.TaggedError<EarlierDispatchers>(
  "mailrace/OutboxError/EarlierDispatchers"
)("EarlierDispatchers", {
  store: Schema.String,
  /** Each as `process PID on HOST`. */
  dispatchers: Schema.Array(Schema.String)
}) {
  readonly isRetryable = false
  override get message() {
    return `an earlier version of Mailrace still sends from ${this.store}: ${this.dispatchers.join(", ")}`
  }
  get remedy() {
    return "stop these processes, then start this one again: it brings the tables up to date and keeps the waiting messages"
  }
}

/**
 * The store cannot be reached: no such folder, the database is down, the connection was cut.
 *
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>("mailrace/OutboxError/Unavailable")("Unavailable", {
  store: Schema.String,
  problem: Schema.String,
  isRetryable: Schema.Boolean,
  hint
}) {
  override get message() {
    return `${this.store} is not available: ${this.problem}`
  }
  get remedy() {
    if (this.hint !== undefined) return this.hint
    return this.isRetryable
      ? "check that the database runs and can be reached; accepted messages are safe"
      : "check the path or the connection's settings"
  }
}

/**
 * The store was silent for too long while the outbox closed, so that nobody knows whether it has stored the message. Never
 * retryable: a second message may be one too many.
 *
 * @since 0.2.0
 */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>("mailrace/OutboxError/OutcomeUnknown")(
  "OutcomeUnknown",
  {
    store: Schema.String,
    /** The time for which the outbox waited, in milliseconds. */
    waitedMs: Schema.Finite
  }
) {
  readonly isRetryable = false
  override get message() {
    return `${this.store} did not answer within ${this.waitedMs} ms while the outbox closed, and whether the message is stored is not known`
  }
  get remedy() {
    return "look for the message when the store answers again (`Outbox.list`), or enqueue it with the `key` that it had, which never stores it twice"
  }
}

/**
 * Every reason for which the outbox can fail.
 *
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  Busy,
  InvalidMail,
  InvalidOption,
  DiskFull,
  ReadOnly,
  Corrupt,
  Locked,
  NewerSchema,
  Misplaced,
  AlreadyDispatching,
  EarlierDispatchers,
  OutcomeUnknown,
  Unavailable
])

/**
 * Every reason for which the outbox can fail.
 *
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The one error of the outbox; `reason` says what happened.
 *
 * @since 0.1.0
 */
export class OutboxError extends Schema.TaggedError<OutboxError>("mailrace/OutboxError")("OutboxError", {
  reason: Reason
}) {
  readonly [TypeId] = TypeId

  /** True if the same call may succeed later without help. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }

  /** The problem, in one sentence. */
  override get message(): string {
    return `${this.reason._tag}: ${this.reason.message}`
  }

  /** The remedy, as an imperative without a full stop. */
  get remedy(): string {
    return this.reason.remedy
  }
}

/**
 * True for an `OutboxError`.
 *
 * @since 0.1.0
 */
export const isOutboxError = (u: unknown): u is OutboxError => Predicate.hasProperty(u, TypeId)

/**
 * Makes an error from its reason.
 *
 * @since 0.1.0
 */
export const make = (reason: Reason): OutboxError => new OutboxError({ reason })

/**
 * Makes the error of a message that cannot be stored: `field` names the field at fault, `problem` describes the
 * fault.
 *
 * @since 0.1.0
 */
export const invalid = (field: string, problem: string): OutboxError => make(new InvalidMail({ field, problem }))
