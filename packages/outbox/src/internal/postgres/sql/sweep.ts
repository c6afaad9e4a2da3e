/**
 * The statements of housekeeping in PostgreSQL.
 */
import { changing, uncountingUses } from "./browse.ts"

/** Rows changed by one statement. */
export const batch = 1000

/** Ends waiting rows whose expiry has passed. */
export const expiring = changing(
  "state = 0 AND expires_at <= $2::float8::bigint",
  "state = 4, settled_at = $2::float8::bigint, updated_at = $2::float8::bigint"
)

export const droppingBodies = `
WITH bodies AS (
  DELETE FROM mailrace_body WHERE seq = ANY ($1::float8[]::bigint[]) RETURNING shared
)
${uncountingUses("bodies")}`

/** Adds up the tallies, which every change appends to. */
export const addingUp = `
WITH taken AS (DELETE FROM mailrace_tally RETURNING tenant, state, mails, bytes)
INSERT INTO mailrace_tally (tenant, state, mails, bytes)
SELECT tenant, state, sum(mails), sum(bytes) FROM taken GROUP BY tenant, state
HAVING sum(mails) <> 0 OR sum(bytes) <> 0`

/** Adds up the uses of shared contents, which every change appends to. */
export const addingUpUses = `
WITH taken AS (DELETE FROM mailrace_shared_use RETURNING ref, uses),
  sums AS (SELECT ref, sum(uses) AS uses FROM taken GROUP BY ref)
UPDATE mailrace_shared AS s SET refs = s.refs + sums.uses FROM sums WHERE s.ref = sums.ref`

/** Takes the lock of housekeeping until the transaction ends, unless another dispatcher has it. */
export const tryLock = "SELECT pg_try_advisory_xact_lock(hashtext('mailrace sweep ' || current_schema())) AS taken"

/** Deletes shared contents that nothing refers to and that were last used before a given time. */
export const deleteUnused = "DELETE FROM mailrace_shared WHERE refs <= 0 AND used_at < $1::float8::bigint"

/** The size of tables with their indexes. */
export const occupancy =
  "SELECT sum(pg_total_relation_size(name::regclass))::float8 AS total FROM unnest($1::text[]) AS name"

/** Waiting rows whose expiry has passed. */
export const overdue = `SELECT seq::float8 AS seq FROM mailrace_outbox o WHERE state = 0 AND expires_at <= $1::float8::bigint
  ORDER BY o.expires_at, o.seq LIMIT ${batch}`

/** The progress of a walk. */
export const progress = "SELECT value FROM mailrace_meta WHERE name = $1::text"

/** Rows of one state that were settled after a row and before a time. */
export const settledBetween = (
  state: number
): string => `SELECT seq::float8 AS seq, settled_at::float8 AS settled_at FROM mailrace_outbox o
  WHERE state > 1 AND state = ${state} AND (settled_at, seq) > ($1::float8::bigint, $2::float8::bigint)
    AND settled_at <= $3::float8::bigint ORDER BY o.settled_at, o.seq LIMIT ${batch}`

/** Stores the progress of a walk. */
export const setProgress = `INSERT INTO mailrace_meta (name, value) VALUES ($1::text, $2::text)
  ON CONFLICT (name) DO UPDATE SET value = excluded.value`

/** Rows that were settled before a time. */
export const settledUntil = `SELECT seq::float8 AS seq FROM mailrace_outbox WHERE state > 1 AND state IN (2, 3, 4, 5, 6)
  AND settled_at <= $1::float8::bigint LIMIT ${batch}`
