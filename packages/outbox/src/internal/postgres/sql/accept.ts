/**
 * The statements that accept messages into PostgreSQL.
 */

/** Stores rows with their bodies, and counts them. It skips a row whose id or idempotency key is taken. */
export const insertion = `
WITH input AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int4[], $6::int4[], $7::float8[],
    $8::float8[], $9::text[], $10::text[], $11::int4[], $12::float8[], $13::text[], $14::int4[], $15::text[],
    $16::text[], $17::bytea[]) WITH ORDINALITY AS t (id, tenant, idem_key, lane, bucket, priority, due_at, expires_at,
    recipient, message_id, size, created_at, trace, format, envelope, shared, payload, place)
), stored AS (
  INSERT INTO mailrace_outbox (id, tenant, idem_key, lane, bucket, priority, state, attempts, retried_at, epoch, due_at,
    expires_at, recipient, message_id, size, created_at, updated_at, trace)
  SELECT id, tenant, idem_key, lane, bucket, priority, 0, 0, 0, 0, due_at::bigint, expires_at::bigint, recipient,
    message_id, size, created_at::bigint, created_at::bigint, trace
  FROM input ORDER BY place ON CONFLICT DO NOTHING RETURNING seq, id, tenant, size
), body AS (
  INSERT INTO mailrace_body (seq, format, envelope, shared, payload)
  SELECT stored.seq, input.format, input.envelope, input.shared, input.payload FROM stored JOIN input USING (id)
), uses AS (
  INSERT INTO mailrace_shared_use (ref, uses)
  SELECT part.ref::bigint, count(*) FROM stored JOIN input USING (id)
    CROSS JOIN unnest(string_to_array(input.shared, ',')) AS part (ref) GROUP BY part.ref
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, 0, count(*), sum(size) FROM stored GROUP BY tenant
)
SELECT id FROM stored`

/** The messages that hold the idempotency keys of rows. */
export const known = `SELECT k.own, o.id, o.message_id FROM unnest($1::text[], $2::text[], $3::text[]) AS k (own, tenant, idem_key)
  JOIN mailrace_outbox o ON o.tenant = k.tenant AND o.idem_key = k.idem_key`

/** Stores shared contents and returns their references; renews the time of use of those that are already there. */
export const insertShared = `INSERT INTO mailrace_shared (hash, format, payload, refs, used_at)
  SELECT hash, format, payload, 0, $4::bigint
    FROM unnest($1::text[], $2::int4[], $3::bytea[]) AS p (hash, format, payload)
  ON CONFLICT (hash) DO UPDATE SET used_at = excluded.used_at RETURNING hash, ref::float8 AS ref`

/** The waiting messages of each tenant. */
export const pending = `SELECT tenant, sum(mails)::float8 AS mails, sum(bytes)::float8 AS bytes FROM mailrace_tally
  WHERE state <= 1 GROUP BY tenant`
