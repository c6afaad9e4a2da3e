/**
 * The statements that read messages from SQLite and pause lanes.
 */
import { stateNumber } from "../file/database.ts"
import { entryColumns } from "../rows/entry.ts"

/** A row by its id. */
export const byId = `SELECT ${entryColumns} FROM outbox WHERE id = ?`

/** The idempotency keys of a run of rows. */
export const keys = "SELECT seq, idem_key, state, recipients FROM outbox WHERE seq > ? ORDER BY seq LIMIT +?"

/** Rows by their `seq`. The cross join keeps the order of the list. */
export const chosen = `SELECT ${entryColumns} FROM (SELECT value FROM json_each(?)) AS chosen CROSS JOIN outbox ON seq = chosen.value`

/** The attempts of a message, oldest first. */
export const attempts = `SELECT attempt_no, at, outcome, relay, code, enhanced, reply FROM attempt
  WHERE seq = (SELECT seq FROM outbox WHERE id = ?) ORDER BY attempt_no`

/** The number and size of the messages in each state. */
export const tallies = "SELECT state, sum(mails) AS mails, sum(bytes) AS bytes FROM outbox_tally GROUP BY state"

/**
 * The waiting messages of each lane. They are grouped by bucket first, as the index has them; messages of earlier versions may
 * lie in another bucket of the same lane.
 */
export const lanes = `SELECT lane, sum(waiting) AS waiting, min(oldest) AS oldest FROM (
    SELECT lane, count(*) AS waiting, min(due_at) AS oldest FROM outbox WHERE state = 0 GROUP BY bucket, lane)
  GROUP BY lane ORDER BY waiting DESC, lane`

export const paused = "SELECT lane FROM outbox_lane ORDER BY lane"

/** The messages accepted since a time. */
export const acceptedLately = `SELECT count(*) AS n FROM outbox WHERE state = ${stateNumber.accepted} AND state > 1 AND settled_at > ?`

export const pause = "INSERT INTO outbox_lane VALUES (?, ?) ON CONFLICT DO NOTHING"

export const resume = "DELETE FROM outbox_lane WHERE lane = ?"
