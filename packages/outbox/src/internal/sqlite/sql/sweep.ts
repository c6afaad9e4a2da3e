/**
 * The statements of housekeeping in SQLite.
 */
import { stateNumber } from "../file/database.ts"

/** Rows changed in one transaction. */
export const batch = 1000

/** Waiting rows whose expiry has passed. */
export const overdue = `SELECT seq FROM outbox WHERE state = ${stateNumber.due} AND expires_at <= ? ORDER BY expires_at LIMIT ${batch}`

/** Rows of one state that were settled at one time. With `settledSince` it makes up one walk; see `SqlitePages`. */
export const settledAt = `SELECT seq, settled_at FROM outbox WHERE state > 1 AND state = ? AND settled_at = ? AND seq > ?
  ORDER BY seq LIMIT +?`

/** Rows of one state that were settled in a range of time. */
export const settledSince = `SELECT seq, settled_at FROM outbox WHERE state > 1 AND state = ? AND settled_at > ? AND settled_at <= ?
  ORDER BY settled_at, seq LIMIT +?`

/** Rows that were settled before a time. */
export const settledUntil = `SELECT seq FROM outbox WHERE state > 1 AND state IN (2, 3, 4, 5, 6) AND settled_at <= ? LIMIT ${batch}`

/** Shared contents that nothing refers to. */
export const unused = `SELECT ref FROM outbox_shared WHERE refs <= 0 LIMIT ${batch}`

/** The progress of a walk. */
export const progress = "SELECT value FROM outbox_meta WHERE name = ?"

/** Stores the progress of a walk. */
export const setProgress = "INSERT INTO outbox_meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"

/** Deletes shared contents that nothing refers to. */
export const deleteUnused = "DELETE FROM outbox_shared WHERE refs <= 0 AND ref IN (SELECT value FROM json_each(?))"
