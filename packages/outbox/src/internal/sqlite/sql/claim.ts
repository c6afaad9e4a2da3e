/**
 * The statements that claim messages from SQLite and read their bodies.
 */
import { stateNumber } from "../file/database.ts"
import { columns } from "../rows/mail.ts"
import { roomAfterClaim } from "./accept.ts"

/** Rows by their `seq`, with the values that a claim gives them. The cross join keeps the order of the list. */
export const chosen = `SELECT ${columns("o.attempts + 1")} FROM json_each(?) AS chosen CROSS JOIN outbox AS o ON o.seq = chosen.value
  LEFT JOIN outbox_body AS b ON b.seq = o.seq`

/** A message by its id. */
export const byId = `SELECT ${columns("o.attempts")} FROM outbox AS o JOIN outbox_body AS b ON b.seq = o.seq WHERE o.id = ?`

/** A shared content. */
export const part = "SELECT hash, format, payload AS data FROM outbox_shared WHERE ref = ?"

/** Marks rows as claimed in an epoch. */
export const markClaimed = `UPDATE outbox SET state = ${stateNumber.claimed}, attempts = attempts + 1, epoch = ?, updated_at = ?,
    room = CASE WHEN room IS NOT NULL THEN zeroblob(${roomAfterClaim}) END
  WHERE seq IN (SELECT value FROM json_each(?))`

/** Ends rows whose expiry has passed. */
export const markExpired = `UPDATE outbox SET state = ${stateNumber.expired}, epoch = ?, updated_at = ?, settled_at = ?
  WHERE seq IN (SELECT value FROM json_each(?))`
