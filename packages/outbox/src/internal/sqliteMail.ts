/**
 * A mail as the SQLite thread hands it out: a list of values, which neither SQLite nor the thread's port has to name
 * twenty times for each mail, and which is given its names where it is used.
 */
import type { ClaimedRow } from "../OutboxStore.ts"
import type { Content, Shared } from "./storedContent.ts"

/** A mail's values, in the order of `columns`. `content` is unpacked in its place, and empty when it was purged. */
export type SqliteMail = [
  format: number,
  content: Content,
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
export const columns = (
  attempts: string
) => `coalesce(b.format, 0), coalesce(b.payload, ''), o.size, o.seq, o.id, o.tenant,
  o.lane, o.message_id, ${attempts}, o.expires_at, o.priority, o.recipient, o.idem_key, o.retried_at, o.watched,
  o.created_at, o.trace, o.recipients, b.envelope, b.shared`

/** The references of a mail's shared contents. */
export const referencesOf = (mail: SqliteMail): ReadonlyArray<number> => {
  const shared = mail.at(-1) as string | null
  return shared === null ? none : shared.split(",").map(Number)
}

/** A mail as everybody but the thread knows it. */
export const toClaimedRow = (mail: SqliteMail, epoch: number, shared: ReadonlyArray<Shared>): ClaimedRow => {
  const [, content, , seq, id, tenant, lane, messageId, attempts, expiresAt, priority, recipient, ...rest] = mail
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
