/**
 * The statements of a dispatcher in PostgreSQL.
 */

import { tenantsLookedAt } from "../../store/tenantRounds.ts"

/** Rows that are moved to their lane's bucket by one statement. */
export const movedAtOnce = 5000

/** The columns of a `PostgresClaimed`, in its order, from a row `o` and its body `b`. */
export const claimedColumns = `o.seq::float8, o.id, o.state::int4, o.tenant, o.lane, o.priority::int4, o.recipient, o.message_id,
  o.idem_key, o.attempts, o.retried_at, o.watched::int4, o.epoch::float8, o.expires_at::float8, o.created_at::float8, o.trace,
  o.recipients, b.format::int4, b.envelope, b.shared, b.payload`

/** The next lanes after a bucket and a lane, each found by one seek, with the time at which the first message is due. */
export const lanesAfter = `
WITH RECURSIVE walk AS (
  (SELECT bucket, lane, 1 AS place FROM mailrace_outbox WHERE state = 0 AND (bucket, lane) > ($1::int4, $2::text)
   ORDER BY bucket, lane LIMIT 1)
  UNION ALL
  SELECT next.bucket, next.lane, walk.place + 1 FROM walk CROSS JOIN LATERAL (
    SELECT bucket, lane FROM mailrace_outbox WHERE state = 0 AND (bucket, lane) > (walk.bucket, walk.lane)
    ORDER BY bucket, lane LIMIT 1) AS next
  WHERE walk.place < $3::int4
)
SELECT walk.bucket::int4 AS bucket, walk.lane, first.due_at::float8 AS due_at,
  EXISTS (SELECT 1 FROM mailrace_lane WHERE mailrace_lane.lane = walk.lane) AS paused
FROM walk CROSS JOIN LATERAL (
  SELECT min(o.due_at) AS due_at FROM (VALUES (0), (1), (2)) AS class (priority) CROSS JOIN LATERAL (
    SELECT due_at FROM mailrace_outbox WHERE state = 0 AND bucket = walk.bucket AND lane = walk.lane
      AND priority = class.priority ORDER BY due_at LIMIT 1) AS o
) AS first ORDER BY walk.bucket, walk.lane`

/** Marks rows as claimed, or as expired, in the epoch of their bucket's owner, and counts them. */
const claimRows = (from: string, isPicked: string) => `claimed AS (
  UPDATE mailrace_outbox o SET
    state = CASE WHEN o.expires_at > $4::float8::bigint THEN 1 ELSE 4 END,
    settled_at = CASE WHEN o.expires_at > $4::float8::bigint THEN NULL ELSE $4::float8::bigint END,
    attempts = o.attempts + CASE WHEN o.expires_at > $4::float8::bigint THEN 1 ELSE 0 END,
    epoch = owned.epoch, updated_at = $4::float8::bigint
  FROM ${from}mailrace_bucket AS owned
  WHERE ${isPicked} AND owned.bucket = o.bucket AND owned.owner = $5::text RETURNING o.*
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, 0, -count(*), -sum(size) FROM claimed GROUP BY tenant
  UNION ALL SELECT tenant, state, count(*), sum(size) FROM claimed GROUP BY tenant, state
)`

/**
 * Claims messages. It finds each priority of a lane by a seek of its own, locks the rows as it finds them, and picks among
 * them by turns; see `priorityChoice`.
 */
export const claiming = `
WITH quota AS (
  SELECT * FROM unnest($1::int4[], $2::text[], $3::int4[]) AS q (bucket, lane, quota)
  WHERE NOT EXISTS (SELECT 1 FROM mailrace_lane WHERE mailrace_lane.lane = q.lane)
), candidate AS MATERIALIZED (
  SELECT quota.lane, quota.quota, class.priority, class.weight, class.early, o.seq, o.due_at
  FROM quota CROSS JOIN (VALUES (0, 16, $6::float8), (1, 4, $7::float8), (2, 1, $8::float8))
    AS class (priority, weight, early)
  CROSS JOIN LATERAL (
    SELECT seq, due_at FROM mailrace_outbox
    WHERE state = 0 AND bucket = quota.bucket AND lane = quota.lane AND priority = class.priority
      AND due_at <= $4::float8::bigint
    ORDER BY due_at, seq LIMIT quota.quota FOR UPDATE SKIP LOCKED
  ) AS o
), turned AS (
  SELECT seq, lane, quota,
    (row_number() OVER (PARTITION BY lane, priority ORDER BY due_at, seq) - early) / weight AS turn FROM candidate
), picked AS (
  SELECT seq FROM (SELECT seq, quota, row_number() OVER (PARTITION BY lane ORDER BY turn, seq) AS place FROM turned)
    AS placed WHERE place <= quota
), ${claimRows("picked, ", "o.seq = picked.seq")}
SELECT ${claimedColumns} FROM claimed AS o LEFT JOIN mailrace_body AS b ON b.seq = o.seq
ORDER BY o.due_at, o.seq`

/** Created when a dispatcher first claims by tenant, so that other outboxes do not pay for it. */
export const tenantIndex = `CREATE INDEX IF NOT EXISTS mailrace_outbox_due_tenant
  ON mailrace_outbox (bucket, lane, tenant, priority, due_at, seq) WHERE state = 0`

export const findTenantIndex = `SELECT to_regclass('mailrace_outbox_due_tenant') IS NOT NULL AS "isFound"`

/**
 * Claims messages of lanes whose tenants have quotas or share by weight. It finds each tenant of a lane by one seek, and a
 * tenant's due messages as `claiming` does. It does not lock rows as it finds them: most are not picked, and only the
 * bucket's owner claims them. The list of picked rows is an array, because otherwise the planner expects many and reads the
 * whole table. Comparing tenant and priority as a row leaves the planner no other index: with `tenant =` it walked through
 * the messages of all tenants. The last two columns list the lanes and tenants of which a quota left messages unclaimed,
 * and, for each lane with more tenants than the claim looked at, the last of those.
 */
export const claimingByTenant = `
WITH RECURSIVE quota AS (
  SELECT * FROM unnest($1::int4[], $2::text[], $3::int4[], $12::text[]) AS q (bucket, lane, quota, after)
  WHERE NOT EXISTS (SELECT 1 FROM mailrace_lane WHERE mailrace_lane.lane = q.lane)
), cap AS (
  SELECT * FROM unnest($9::text[], $10::int4[], $11::float8[]) AS c (tenant, cap, share)
), walk AS (
  SELECT quota.bucket, quota.lane, quota.quota, coalesce((
    SELECT min(o.tenant) FROM mailrace_outbox AS o
    WHERE o.state = 0 AND o.bucket = quota.bucket AND o.lane = quota.lane AND o.tenant > quota.after
  ), (
    SELECT min(o.tenant) FROM mailrace_outbox AS o WHERE o.state = 0 AND o.bucket = quota.bucket AND o.lane = quota.lane
  )) AS tenant, 1 AS place FROM quota
  UNION ALL
  SELECT walk.bucket, walk.lane, walk.quota, (
    SELECT min(o.tenant) FROM mailrace_outbox AS o
    WHERE o.state = 0 AND o.bucket = walk.bucket AND o.lane = walk.lane AND o.tenant > walk.tenant
  ), walk.place + 1 FROM walk WHERE walk.tenant IS NOT NULL AND walk.place < ${tenantsLookedAt}
), present AS (
  SELECT walk.bucket, walk.lane, walk.quota, walk.tenant, coalesce(cap.cap, walk.quota) AS cap,
    coalesce(cap.share, 1) AS share
  FROM walk LEFT JOIN cap ON cap.tenant = walk.tenant WHERE walk.tenant IS NOT NULL
), candidate AS MATERIALIZED (
  SELECT present.lane, present.quota, present.tenant, present.cap, present.share, class.priority, class.weight, class.early,
    o.seq, o.due_at
  FROM present CROSS JOIN (VALUES (0, 16, $6::float8), (1, 4, $7::float8), (2, 1, $8::float8))
    AS class (priority, weight, early)
  CROSS JOIN LATERAL (
    SELECT seq, due_at FROM mailrace_outbox
    WHERE state = 0 AND bucket = present.bucket AND lane = present.lane
      AND (tenant, priority, due_at) >= (present.tenant, class.priority, 0)
      AND (tenant, priority, due_at) <= (present.tenant, class.priority, $4::float8::bigint)
    ORDER BY tenant, priority, due_at, seq LIMIT greatest(1, least(present.quota, present.cap))
  ) AS o
), turned AS (
  SELECT *, (row_number() OVER (PARTITION BY lane, tenant, priority ORDER BY due_at, seq) - early) / weight AS turn
  FROM candidate
), ranked AS (
  SELECT *, row_number() OVER (PARTITION BY lane, tenant ORDER BY turn, seq) AS rank FROM turned
), held AS (
  SELECT DISTINCT lane, tenant FROM ranked WHERE cap < quota AND rank >= greatest(1, cap)
), placed AS (
  SELECT *, row_number() OVER (PARTITION BY lane ORDER BY rank / share, turn, seq) AS place FROM ranked WHERE rank <= cap
), capped AS (
  SELECT *, row_number() OVER (PARTITION BY tenant ORDER BY place, seq) AS nth FROM placed WHERE place <= quota
), picked AS (
  SELECT seq FROM capped WHERE nth <= cap OR NOT EXISTS (SELECT 1 FROM cap WHERE cap.tenant = capped.tenant)
), left_over AS (
  SELECT lane, tenant FROM held UNION
  SELECT lane, tenant FROM capped WHERE nth > cap AND EXISTS (SELECT 1 FROM cap WHERE cap.tenant = capped.tenant)
), ${claimRows("", "o.seq = ANY (ARRAY(SELECT seq FROM picked)) AND o.state + 0 = 0")}
SELECT ${claimedColumns}, left_behind.held, left_behind.last
FROM (SELECT
  (SELECT json_agg(json_build_object('lane', lane, 'tenant', tenant)) FROM left_over)::text AS held,
  (SELECT json_object_agg(lane, tenant) FROM walk WHERE place = ${tenantsLookedAt} AND tenant IS NOT NULL)::text AS last
) AS left_behind
LEFT JOIN claimed AS o ON true LEFT JOIN mailrace_body AS b ON b.seq = o.seq
ORDER BY o.due_at, o.seq`

/**
 * Records outcomes. A slow owner may find that its claim was put back (`attempts` is one less then) and not claimed again: the
 * outcome still counts, and the message is not sent a second time.
 *
 * Returns one row with one column: NULL if all outcomes were recorded, else the seqs of those that were. Usually all are,
 * and the dispatcher has nothing to read.
 */
const settlingFrom = (ended: string): string => `
WITH ended AS (
  ${ended}
), before AS (
  SELECT seq, state FROM mailrace_outbox WHERE seq = ANY ($1::float8[]::bigint[])
), settled AS (
  UPDATE mailrace_outbox o SET state = e.state, attempts = e.attempts, watched = 0, crashes = 0, due_at = coalesce(e.due_at::bigint, o.due_at),
    settled_at = CASE WHEN e.state = 0 THEN NULL ELSE e.at::bigint END, updated_at = e.at::bigint,
    last_relay = e.relay, last_code = e.code, last_enhanced = e.enhanced, last_reply = e.reply,
    recipients = coalesce(e.recipients, o.recipients)
  FROM ended AS e
  WHERE o.seq = e.seq::bigint AND o.epoch = e.epoch::bigint AND o.attempts IN (e.attempts, e.attempts - 1)
  RETURNING o.seq, o.tenant, o.size, e.state, e.attempts, e.at, e.outcome, e.relay, e.code, e.enhanced, e.reply
), attempted AS (
  INSERT INTO mailrace_attempt (seq, attempt_no, at, outcome, relay, code, enhanced, reply)
  SELECT seq, attempts, at::bigint, outcome, relay, code, enhanced, reply FROM settled WHERE outcome <> 'accepted'
  ON CONFLICT DO NOTHING
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, before.state, -count(*), -sum(size) FROM settled JOIN before USING (seq)
    WHERE before.state <> settled.state GROUP BY tenant, before.state
  UNION ALL
  SELECT tenant, settled.state, count(*), sum(size) FROM settled JOIN before USING (seq)
    WHERE before.state <> settled.state GROUP BY tenant, settled.state
)
SELECT CASE WHEN count(*) < cardinality($1::float8[]) THEN coalesce(array_agg(seq::float8), '{}') END FROM settled`

/** Records outcomes of any kind. */
export const settling =
  settlingFrom(`SELECT * FROM unnest($1::float8[], $2::float8[], $3::int4[], $4::float8[], $5::text[],
    $6::int4[], $7::text[], $8::text[], $9::int4[], $10::text[], $11::float8[], $12::text[])
    AS e (seq, epoch, attempts, at, reply, state, outcome, relay, code, enhanced, due_at, recipients)`)

/** Records outcomes that differ only in the time and in the text of the reply. */
export const settlingAlike =
  settlingFrom(`SELECT e.*, $6::int4 AS state, $7::text AS outcome, $8::text AS relay, $9::int4 AS code,
    $10::text AS enhanced, NULL::float8 AS due_at, NULL::text AS recipients
  FROM unnest($1::float8[], $2::float8[], $3::int4[], $4::float8[], $5::text[]) AS e (seq, epoch, attempts, at, reply)`)

/** Puts claimed rows back. As in SQLite, a message during which processes ended twice comes back apart from its neighbours. */
export const recovering = `
WITH lost AS (
  SELECT seq, crashes + CASE WHEN watched = 2 THEN 1 ELSE 0 END AS crashes
  FROM mailrace_outbox WHERE state = 1 AND bucket = ANY ($1::int4[]) FOR UPDATE
), back AS (
  UPDATE mailrace_outbox o SET
    state = CASE WHEN lost.crashes >= $3::float8 THEN 5 ELSE 0 END,
    settled_at = CASE WHEN lost.crashes >= $3::float8 THEN $2::float8::bigint END,
    attempts = o.attempts - 1, crashes = lost.crashes, watched = CASE WHEN lost.crashes >= $3::float8 THEN 0 ELSE 1 END,
    due_at = CASE WHEN lost.crashes < 2 THEN o.due_at
      ELSE greatest(o.due_at, $2::float8::bigint + floor(random() * 60000)::bigint) END,
    last_reply = CASE WHEN lost.crashes >= $3::float8
      THEN 'the process ended ' || lost.crashes || ' times while this message was on its way' ELSE o.last_reply END,
    updated_at = $2::float8::bigint
  FROM lost WHERE o.seq = lost.seq RETURNING o.*
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, 1, -count(*), -sum(size) FROM back GROUP BY tenant
  UNION ALL SELECT tenant, state, count(*), sum(size) FROM back GROUP BY tenant, state
)
SELECT seq::float8 AS seq, id, tenant, lane, message_id, attempts, state::int4 AS state FROM back`

/** Shared contents by their references. */
export const sharedContents = `SELECT ref::float8 AS ref, hash, format::int4 AS format, payload AS data FROM mailrace_shared
  WHERE ref = ANY ($1::float8[]::bigint[])`

/** Moves waiting rows to their lane's bucket. */
export const moveSome = `WITH chosen AS (
    SELECT seq FROM mailrace_outbox WHERE state = 0 AND bucket = $1::int4 AND lane = $2::text
    ORDER BY bucket, lane, priority, due_at, seq LIMIT ${movedAtOnce} FOR UPDATE SKIP LOCKED
  )
  UPDATE mailrace_outbox o SET bucket = $3::int4 FROM chosen WHERE o.seq = chosen.seq RETURNING o.seq::float8 AS seq`

/** Makes a dispatcher the owner of buckets and begins their next epoch. */
export const takeBuckets = `WITH taken AS (SELECT bucket FROM mailrace_bucket WHERE bucket = ANY ($1::int4[]) ORDER BY bucket FOR UPDATE)
  UPDATE mailrace_bucket AS b SET owner = $2::text, epoch = b.epoch + 1 FROM taken WHERE b.bucket = taken.bucket
  RETURNING b.bucket::int4 AS bucket, b.epoch::float8 AS epoch`

/** Marks watched rows before their attempt begins. */
export const markBegun = `UPDATE mailrace_outbox o SET watched = 2 FROM unnest($1::float8[], $2::float8[], $3::int4[]) AS r (seq, epoch, attempts)
  WHERE o.seq = r.seq::bigint AND o.epoch = r.epoch::bigint AND o.attempts = r.attempts`

/**
 * Makes claimed rows due again and uncounts the attempt. A message that was settled in the meantime must not come back. The
 * statement says `state + 0`, which no index matches: otherwise the planner prefers the index of claimed messages to the
 * primary key.
 */
export const release = `WITH back AS (
    UPDATE mailrace_outbox o SET state = 0, attempts = o.attempts - 1, watched = least(o.watched, 1)
    FROM unnest($1::float8[], $2::float8[], $3::int4[]) AS r (seq, epoch, attempts)
    WHERE o.seq = r.seq::bigint AND o.epoch = r.epoch::bigint AND o.attempts = r.attempts AND o.state + 0 = 1
    RETURNING o.tenant, o.size
  )
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, 1, -count(*), -sum(size) FROM back GROUP BY tenant
  UNION ALL SELECT tenant, 0, count(*), sum(size) FROM back GROUP BY tenant`

/** The claimed rows of buckets. */
export const claimed = `SELECT seq::float8 AS seq, epoch::float8 AS epoch, attempts, bucket::int4 AS bucket, updated_at::float8 AS updated_at
  FROM mailrace_outbox WHERE state = 1 AND bucket = ANY ($1::int4[])`
