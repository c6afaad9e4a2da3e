/**
 * The statements for ledgers of limits.
 */

/** A ledger, if it exists, and the server's time. */
export const read = `SELECT coalesce(r.version, 0)::float8 AS version, r.ledger,
    (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now
  FROM (SELECT 1) AS one LEFT JOIN mailrace_rate AS r ON r.name = $1::text`

/** Creates a ledger, unless it exists. */
export const create = `INSERT INTO mailrace_rate (name, version, ledger) VALUES ($1::text, 1, $2::text)
  ON CONFLICT DO NOTHING RETURNING version::float8 AS version`

/** Writes a ledger that has not changed since it was read. */
export const change = `UPDATE mailrace_rate SET version = version + 1, ledger = $3::text
  WHERE name = $1::text AND version = $2::float8::bigint RETURNING version::float8 AS version`
