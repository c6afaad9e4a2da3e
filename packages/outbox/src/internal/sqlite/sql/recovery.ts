/**
 * The statements that put claimed messages back after a crash.
 */
import { stateNumber } from "../file/database.ts"

/** Rows put back in one transaction, so that other processes get their turn. */
export const batch = 10_000

/** Claimed rows. They are read by `seq` and not by bucket, as the index has it, or each batch would write most pages of the table. */
export const lost = `SELECT seq, tenant, size, crashes + (watched = 2) FROM outbox WHERE seq IN (
  SELECT seq FROM outbox INDEXED BY outbox_claimed WHERE state = ${stateNumber.claimed} ORDER BY seq LIMIT ${batch})`

/** Makes many rows due again. */
export const bulk = `UPDATE outbox SET state = ${stateNumber.due}, attempts = attempts - 1, crashes = crashes + (watched = 2),
  watched = 1, updated_at = ? WHERE seq IN (SELECT value FROM json_each(?))`

/** Makes one suspect row due again at a time of its own. */
export const apart = `UPDATE outbox SET state = ${stateNumber.due}, attempts = attempts - 1, crashes = ?, watched = 1,
  due_at = max(due_at, ?), updated_at = ? WHERE seq = ?`

/** Gives a row up. */
export const giveUp = `UPDATE outbox SET state = ${stateNumber.dead}, attempts = attempts - 1, watched = 0, crashes = ?,
    settled_at = ?, updated_at = ?, last_reply = ? WHERE seq = ?
  RETURNING seq, id, tenant, lane, message_id AS messageId, attempts`
