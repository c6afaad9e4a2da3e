/**
 * The statements that accept messages into SQLite.
 */

/**
 * The bytes that a row keeps free for its outcome: `settled_at`, and a relay, a code and a reply of usual length. Without
 * them, settling 300,000 messages of 10,000 lanes changed 1.75 times as many pages of the table.
 */
const room = 64

/** The room that a claim leaves: its own numbers may need a few bytes. */
export const roomAfterClaim = room - 4

/** Stores a row; changes nothing if its id or its idempotency key is taken. */
export const insert = `INSERT INTO outbox (id, tenant, idem_key, lane, bucket, priority, state, attempts, retried_at, epoch, due_at,
    expires_at, recipient, stored_message_id, size, created_at, updated_at, trace, room)
  VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, zeroblob(${room})) ON CONFLICT DO NOTHING`

/** Stores the body of a row. */
export const insertBody = "INSERT INTO outbox_body (seq, format, envelope, shared, payload) VALUES (?, ?, ?, ?, ?)"

/** The message that holds an idempotency key. */
export const findKey = "SELECT id, message_id FROM outbox WHERE tenant = ? AND idem_key = ?"

/** The reference of a shared content. */
export const findShared = "SELECT ref FROM outbox_shared WHERE hash = ?"

/** Stores a shared content that nothing refers to yet. */
export const insertShared = "INSERT INTO outbox_shared (hash, format, payload, refs) VALUES (?, ?, ?, 0) RETURNING ref"

/** Adds the references of a batch. */
export const countShared = "UPDATE outbox_shared SET refs = refs + ? WHERE ref = ?"

/** The waiting messages of all tenants. */
export const pending =
  "SELECT coalesce(sum(mails), 0) AS mails, coalesce(sum(bytes), 0) AS bytes FROM outbox_tally WHERE state <= 1"

/** The waiting messages of one tenant. */
export const pendingOfTenant = `SELECT coalesce(sum(mails), 0) AS mails, coalesce(sum(bytes), 0) AS bytes FROM outbox_tally
  WHERE state <= 1 AND tenant = ?`
