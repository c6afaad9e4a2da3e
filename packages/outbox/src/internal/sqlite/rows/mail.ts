/**
 * A message as the SQLite thread returns it: a list of values, so that neither SQLite nor the thread's port has to
 * name twenty values for each message.
 */
import type { ClaimedRow } from "../../../OutboxStore.ts"
import type { PackedContents } from "../../store/packedContents.ts"
import type { Content, Shared } from "../../store/storedContent.ts"

/** The values of a message, in the order of `columns`. */
export type SqliteMail = [
  format: number,
  /** The stored content, only inside the thread; it travels in `SqliteMails.contents`. */
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

/** Messages and their unpacked contents; the content of a message without a body is empty. */
export interface SqliteMails {
  readonly mails: ReadonlyArray<SqliteMail>
  readonly contents: PackedContents
}

/** The references of a message's shared contents. */
export const referencesOf = (mail: SqliteMail): ReadonlyArray<number> => {
  const shared = mail.at(-1) as string | null
  return shared === null ? none : shared.split(",").map(Number)
}

/** The message in the form that the rest of the outbox uses. */
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
