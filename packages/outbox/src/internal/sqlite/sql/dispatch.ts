/**
 * The statements of the dispatcher in SQLite.
 */
import { stateNumber } from "../file/database.ts"

/** The row that a settlement is for, if it is still claimed by the same epoch and attempt. */
export const fence = "SELECT tenant, size, state FROM outbox WHERE seq = ? AND epoch = ? AND attempts = ?"

/** Records an outcome in the row. */
export const settleRow = `UPDATE outbox SET state = ?, due_at = coalesce(?, due_at), settled_at = ?, updated_at = ?, last_relay = ?,
    last_code = ?, last_enhanced = ?, last_reply = ?, recipients = coalesce(?, recipients), watched = 0, crashes = 0, room = NULL
  WHERE seq = ?`

/** Records an attempt that did not end in acceptance. */
export const insertAttempt = `INSERT INTO attempt (seq, attempt_no, at, outcome, relay, code, enhanced, reply)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

/** Makes a claimed row due again and uncounts the attempt. */
export const releaseRow = `UPDATE outbox SET state = ${stateNumber.due}, attempts = attempts - 1, watched = min(watched, 1)
  WHERE seq = ? AND epoch = ? AND attempts = ? AND state = ${stateNumber.claimed} RETURNING tenant, size`

/** Records which process dispatches. */
export const setDispatcher =
  "INSERT INTO outbox_meta VALUES ('dispatcher', ?) ON CONFLICT DO UPDATE SET value = excluded.value"

/** Begins an epoch. */
export const nextEpoch = `INSERT INTO outbox_meta VALUES ('epoch', '1')
  ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER) AS epoch`

/** The number of claimed messages. */
export const claimedMails = `SELECT coalesce(sum(mails), 0) AS mails FROM outbox_tally WHERE state = ${stateNumber.claimed}`

/** Marks a watched row before its attempt begins. */
export const markBegun = "UPDATE outbox SET watched = 2 WHERE seq = ? AND epoch = ? AND attempts = ?"

/** Rows that were claimed before a time. */
export const reclaimable = `SELECT seq, epoch, attempts FROM outbox WHERE state = ${stateNumber.claimed} AND updated_at < ?`

/** The process that took the lock last. */
export const dispatcher = "SELECT value FROM outbox_meta WHERE name = 'dispatcher'"
