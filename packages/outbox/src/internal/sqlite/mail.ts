/**
 * A mail as the SQLite thread hands it out: a list of values, which neither SQLite nor the thread's port has to name
 * twenty times for each mail, and which is given its names where it is used.
 */
import type { ClaimedRow } from "../../OutboxStore.ts"
import type { PackedContents } from "../store/packedContents.ts"
import type { Content, Shared } from "../store/storedContent.ts"

/** A mail's values, in the order of `columns`. */
export type SqliteMail = [
  format: number,
  /** Only on the side of SQLite, where it is as it was stored; it travels in `SqliteMails.contents`. */
  stored: Content | null,
  size: number,
  seq: number,
  id: string,
  tenant: string,
  lane: string,
  messageId: string,
  attempts: number,
  expiresAt: number,
  priority: number,
  recipient: string,
  key: string | null,
  retriedAt: number,
  watched: number,
  createdAt: number,
  trace: string | null,
  recipients: string | null,
  envelope: string | null,
  shared: string | null
]

/** The values as columns of `outbox AS o` and `outbox_body AS b`; `attempts` is the expression for that one. */
export const columns = (attempts: string) => `coalesce(b.format, 0), b.payload, o.size, o.seq, o.id, o.tenant,
  o.lane, o.message_id, ${attempts}, o.expires_at, o.priority, o.recipient, o.idem_key, o.retried_at, o.watched,
  o.created_at, o.trace, o.recipients, b.envelope, b.shared`

/** Mails and their contents, unpacked; the content of one whose body was purged is empty. */
export interface SqliteMails {
  readonly mails: ReadonlyArray<SqliteMail>
  readonly contents: PackedContents
}

/** The references of a mail's shared contents. */
export const referencesOf = (mail: SqliteMail): ReadonlyArray<number> => {
  const shared = mail.at(-1) as string | null
  return shared === null ? none : shared.split(",").map(Number)
}

/** A mail as everybody but the thread knows it. */
export const toClaimedRow = (
  mail: SqliteMail,
  content: Content,
  shared: ReadonlyArray<Shared>,
  epoch: number
): ClaimedRow => {
  const [, , , seq, id, tenant, lane, messageId, attempts, expiresAt, priority, recipient, ...rest] = mail
  const [key, retriedAt, watched, createdAt, trace, recipients, envelope] = rest
  return {
    seq,
    id,
    tenant,
    lane,
    priority,
    recipient,
    messageId,
    key: key ?? undefined,
    attempts,
    retriedAt,
    isWatched: watched > 0,
    epoch,
    expiresAt,
    createdAt,
    trace: trace ?? undefined,
    recipients: recipients ?? undefined,
    envelope: envelope ?? undefined,
    content,
    shared
  }
}

const none: ReadonlyArray<number> = []
