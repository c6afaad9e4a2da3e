/**
 * The statements that read and change messages in PostgreSQL.
 */
import { claimedColumns } from "./dispatch.ts"

/** The number of messages whose keys one statement reads. */
export const keysAtOnce = 20_000

/** The columns of an `EntryRow`, from a row `o`. */
export const entryColumns = `o.seq::float8 AS seq, o.id, o.state::int4 AS state, o.tenant, o.idem_key, o.lane,
  o.priority::int4 AS priority, o.recipient, o.recipients, o.message_id, o.attempts, o.crashes, o.watched::int4 AS watched, o.due_at::float8 AS due_at,
  o.expires_at::float8 AS expires_at, o.created_at::float8 AS created_at, o.updated_at::float8 AS updated_at,
  o.settled_at::float8 AS settled_at, o.size, o.last_relay, o.last_code, o.last_enhanced, o.last_reply, o.trace`

/** Changes the rows that meet a condition, corrects the tallies, and returns the changed rows. */
export const changing = (from: string, assignments: string): string => `
WITH chosen AS (
  SELECT seq, state FROM mailrace_outbox o WHERE seq = ANY ($1::float8[]::bigint[]) AND ${from} FOR UPDATE
), changed AS (
  UPDATE mailrace_outbox o SET ${assignments} FROM chosen WHERE o.seq = chosen.seq
  RETURNING o.*, chosen.state AS before
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, before, -count(*), -sum(size) FROM changed WHERE before <> state GROUP BY tenant, before
  UNION ALL
  SELECT tenant, state, count(*), sum(size) FROM changed WHERE before <> state GROUP BY tenant, state
)
SELECT ${entryColumns} FROM changed o ORDER BY o.seq`

/**
 * True for a message that was never tried, was never claimed by a process that ended, and is due later: such a message
 * keeps its time.
 */
export const keepsTime = "($4::int4 = 0 AND o.attempts = 0 AND o.watched = 0 AND o.due_at > $2::float8::bigint)"

/** Makes rows due again. */
export const retrying = changing(
  `state NOT IN (1, 2) AND NOT (state = 0 AND ${keepsTime})
   AND EXISTS (SELECT 1 FROM mailrace_body b WHERE b.seq = o.seq)`,
  `state = 0, due_at = CASE WHEN ${keepsTime} THEN o.due_at ELSE least(o.due_at, $2::float8::bigint) END, retried_at = o.attempts,
   crashes = 0, expires_at = CASE WHEN o.state = 0 THEN o.expires_at ELSE greatest(o.expires_at, $3::float8::bigint) END,
   settled_at = NULL, updated_at = $2::float8::bigint`
)

/** Withdraws waiting rows. */
export const cancelling = changing(
  "state = 0",
  "state = 6, settled_at = $2::float8::bigint, updated_at = $2::float8::bigint"
)

/** Records that deleted bodies no longer refer to their shared contents. */
export const uncountingUses = (bodies: string): string => `
INSERT INTO mailrace_shared_use (ref, uses)
SELECT part.ref::bigint, -count(*) FROM ${bodies} CROSS JOIN unnest(string_to_array(shared, ',')) AS part (ref)
GROUP BY part.ref`

/** Deletes settled rows with their bodies and attempts. */
export const purging = `
WITH gone AS (
  DELETE FROM mailrace_outbox o WHERE seq = ANY ($1::float8[]::bigint[]) AND state > 1 RETURNING o.*
), bodies AS (
  DELETE FROM mailrace_body WHERE seq IN (SELECT seq FROM gone) RETURNING shared
), uses AS (${uncountingUses("bodies")}
), attempts AS (
  DELETE FROM mailrace_attempt WHERE seq IN (SELECT seq FROM gone)
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, state, -count(*), -sum(size) FROM gone GROUP BY tenant, state
)
SELECT ${entryColumns} FROM gone o ORDER BY o.seq`

/** A row by its id. */
export const byId = `SELECT ${entryColumns} FROM mailrace_outbox o WHERE o.id = $1::text`

/** The attempts of a message, oldest first. */
export const attempts = `SELECT attempt_no, at::float8 AS at, outcome, relay, code, enhanced, reply FROM mailrace_attempt
  WHERE seq = (SELECT seq FROM mailrace_outbox WHERE id = $1::text) ORDER BY attempt_no`

/** A row with its body by its id. */
export const payload = `SELECT ${claimedColumns} FROM mailrace_outbox o JOIN mailrace_body b ON b.seq = o.seq WHERE o.id = $1::text`

/** The number and size of the messages in each state. */
export const tallies = `SELECT state::int4 AS state, sum(mails)::float8 AS mails, sum(bytes)::float8 AS bytes FROM mailrace_tally
  GROUP BY state`

/** The waiting messages of each lane. As in SQLite, they are grouped by bucket first. */
export const lanes = `SELECT lane, sum(waiting)::float8 AS waiting, min(oldest)::float8 AS oldest FROM (
    SELECT lane, count(*) AS waiting, min(due_at) AS oldest FROM mailrace_outbox WHERE state = 0
    GROUP BY bucket, lane) AS place
  GROUP BY lane ORDER BY sum(waiting) DESC, lane`

export const paused = "SELECT lane FROM mailrace_lane ORDER BY lane"

/** The dispatchers that own buckets or were alive lately. */
export const dispatchers = `SELECT d.id AS name, d.since::float8 AS since, count(b.bucket)::int4 AS buckets, d.in_flight AS "inFlight",
    d.beat_at::float8 AS "beatAt"
  FROM mailrace_dispatcher AS d LEFT JOIN mailrace_bucket AS b ON b.owner = d.id GROUP BY d.id
  HAVING count(b.bucket) > 0 OR d.beat_at + d.lease >= extract(epoch FROM clock_timestamp()) * 1000
  ORDER BY d.since, d.id`

/** The messages accepted since a time. */
export const acceptedLately = `SELECT count(*)::float8 AS accepted FROM mailrace_outbox
  WHERE state = 2 AND state > 1 AND settled_at > $1::float8::bigint`

/** Pauses a lane. */
export const pause =
  "INSERT INTO mailrace_lane (lane, paused_at) VALUES ($1::text, $2::float8::bigint) ON CONFLICT DO NOTHING"

export const resume = "DELETE FROM mailrace_lane WHERE lane = $1::text"

/** The idempotency keys of a run of rows; `NULL` for one that does not begin with the prefix. */
export const keys = `SELECT seq::float8 AS seq, CASE WHEN starts_with(idem_key, $2::text) THEN idem_key END AS idem_key,
    state::int4 AS state, recipients FROM mailrace_outbox o
  WHERE seq > $1::float8::bigint ORDER BY o.seq LIMIT ${keysAtOnce}`

/** Rows by their `seq`, in the order of the list. */
export const chosen = `SELECT ${entryColumns} FROM unnest($1::float8[]) WITH ORDINALITY AS s (seq, place)
  JOIN mailrace_outbox o ON o.seq = s.seq::bigint ORDER BY s.place`
