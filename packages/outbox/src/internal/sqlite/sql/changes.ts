/**
 * The statements that change many messages in SQLite. Each takes the rows as a JSON list of `seq`.
 */
import { stateNumber } from "../file/database.ts"
import { entryColumns } from "../rows/entry.ts"

const chosen = "seq IN (SELECT value FROM json_each(?))"

/**
 * True for a message that was never tried, was never claimed by a process that ended, and is due later: such a message
 * keeps its time.
 */
const keepsTime = "(? = 0 AND attempts = 0 AND watched = 0 AND due_at > ?)"

/** The rows that a retry may make due. */
export const retriable = `SELECT seq, tenant, size, state FROM outbox WHERE ${chosen}
  AND state NOT IN (${stateNumber.claimed}, ${stateNumber.accepted})
  AND NOT (state = ${stateNumber.due} AND ${keepsTime})
  AND EXISTS (SELECT 1 FROM outbox_body WHERE outbox_body.seq = outbox.seq)`

/** Makes rows due again. */
export const makeDue = `UPDATE outbox SET due_at = CASE WHEN ${keepsTime} THEN due_at ELSE min(due_at, ?) END,
    expires_at = CASE state WHEN ${stateNumber.due} THEN expires_at ELSE max(expires_at, ?) END,
    state = ${stateNumber.due}, retried_at = attempts, crashes = 0, settled_at = NULL, updated_at = ?
  WHERE ${chosen} RETURNING ${entryColumns}`

/** Withdraws waiting rows. */
export const makeCancelled = `UPDATE outbox SET state = ${stateNumber.cancelled}, settled_at = ?, updated_at = ?
  WHERE ${chosen} AND state = ${stateNumber.due} RETURNING ${entryColumns}`

/** Ends waiting rows whose expiry has passed. */
export const makeExpired = `UPDATE outbox SET state = ${stateNumber.expired}, settled_at = ?, updated_at = ?
  WHERE ${chosen} AND state = ${stateNumber.due} AND expires_at <= ?
  RETURNING seq, id, tenant, lane, message_id AS messageId, attempts, size`

/** The rows that are still in a state. */
export const still = `SELECT seq FROM outbox WHERE ${chosen} AND state = ?`

/** Deletes settled rows. */
export const deleteRows = `DELETE FROM outbox WHERE ${chosen} AND state > ${stateNumber.claimed} RETURNING seq, tenant, size, state`

export const deleteBodies = `DELETE FROM outbox_body WHERE ${chosen} RETURNING shared`

export const deleteAttempts = `DELETE FROM attempt WHERE ${chosen}`

/** Subtracts references to a shared content. */
export const uncount = "UPDATE outbox_shared SET refs = refs - ? WHERE ref = ?"
