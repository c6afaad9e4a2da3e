/**
 * Claims and settlements in PostgreSQL, each one statement.
 */
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type {
  Claim,
  Claimed,
  ClaimedRow,
  DueLanes,
  ExpiredRow,
  DueLane,
  LaneCursor,
  LaneQuota,
  Settlement
} from "../../OutboxStore.ts"
import * as Lane from "../../Lane.ts"
import type { BucketStore, OwnedBucket } from "../dispatch/possession.ts"
import { PartCache } from "../store/partCache.ts"
import { integer, integers, number, numbers, texts, type PostgresSession } from "./session.ts"
import { unpack, type Stored } from "../store/storedContent.ts"

/** A claimed row with its body, as the database gives it. */
export interface PostgresClaimed {
  readonly seq: number
  readonly id: string
  readonly state: number
  readonly tenant: string
  readonly lane: string
  readonly priority: number
  readonly recipient: string
  readonly message_id: string
  readonly idem_key: string | null
  readonly attempts: number
  readonly retried_at: number
  readonly watched: number
  readonly epoch: number
  readonly expires_at: number
  readonly created_at: number
  readonly trace: string | null
  readonly recipients: string | null
  readonly format: number | null
  readonly envelope: string | null
  readonly shared: string | null
  readonly payload: Uint8Array | null
}

/** The columns of a `PostgresClaimed`, of a row `o` and its body `b`. */
export const claimedColumns = `o.seq::float8 AS seq, o.id, o.state::int4 AS state, o.tenant, o.lane,
  o.priority::int4 AS priority, o.recipient, o.message_id, o.idem_key, o.attempts, o.retried_at, o.watched::int4 AS watched,
  o.epoch::float8 AS epoch, o.expires_at::float8 AS expires_at, o.created_at::float8 AS created_at, o.trace, o.recipients,
  b.format::int4 AS format, b.envelope, b.shared, b.payload`

/** How many mails were claimed, and which of them are given up. */
export interface Recovered {
  readonly recovered: number
  readonly givenUp: ReadonlyArray<ExpiredRow>
}

/** What statements run on: the pool, or one connection. */
export type Statements = Pick<PostgresSession, "rows">

/** Rows that are moved to their lane's bucket by one statement. */
const movedAtOnce = 5000

/** Claims for an owner of buckets. */
export class PostgresDispatch implements BucketStore<Statements> {
  private readonly session: PostgresSession
  private readonly parts: PartCache

  constructor(session: PostgresSession) {
    this.session = session
    this.parts = new PartCache((refs) =>
      Effect.map(
        session.rows<{ ref: number; hash: string } & Stored>(
          `SELECT ref::float8 AS ref, hash, format::int4 AS format, payload AS data FROM mailrace_shared
           WHERE ref = ANY ($1::float8[]::bigint[])`,
          [numbers(refs)]
        ),
        (parts) => parts.map(({ hash, ref, ...stored }) => ({ ref, hash, content: unpack(stored) }))
      )
    )
  }

  dueLanes(
    after: LaneCursor,
    limit: number,
    now: number,
    owned: ReadonlySet<number>
  ): Effect.Effect<DueLanes, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const rows = yield* this.session.rows<{ bucket: number; lane: string; due_at: number; paused: boolean }>(
        lanesAfter,
        [integer(after?.bucket ?? -1), after?.lane ?? "", integer(limit)]
      )
      let nextDueAt: number | undefined
      const lanes: Array<DueLane> = []
      let before = after ?? { bucket: -1, lane: "" }
      for (const { bucket: found, due_at, lane, paused } of rows) {
        const bucket = Lane.bucket(lane)
        const isElsewhere = found !== bucket
        if (isElsewhere && owned.has(found) && !(yield* this.move(found, lane))) {
          return { lanes, nextDueAt, next: before }
        }
        before = { bucket: found, lane }
        if (paused || !owned.has(bucket) || (isElsewhere && !owned.has(found))) continue
        if (due_at <= now) lanes.push({ bucket, lane })
        else nextDueAt = Math.min(nextDueAt ?? Infinity, due_at)
      }
      return { lanes, nextDueAt, next: rows.length < limit ? undefined : before }
    })
  }

  /**
   * Moves waiting mails to their lane's bucket: those of a process with fewer buckets, see `Lane`. Only a mail that waits is
   * moved, so it is nobody's. Tells whether none is left.
   */
  private move(bucket: number, lane: string): Effect.Effect<boolean, OutboxError> {
    return Effect.map(
      this.session.rows<{ seq: number }>(
        `WITH chosen AS (
           SELECT seq FROM mailrace_outbox WHERE state = 0 AND bucket = $1::int4 AND lane = $2::text
           ORDER BY bucket, lane, priority, due_at, seq LIMIT ${movedAtOnce} FOR UPDATE SKIP LOCKED
         )
         UPDATE mailrace_outbox o SET bucket = $3::int4 FROM chosen WHERE o.seq = chosen.seq RETURNING o.seq::float8 AS seq`,
        [integer(bucket), lane, integer(Lane.bucket(lane))]
      ),
      (moved) => moved.length < movedAtOnce
    )
  }

  /** Becomes the owner of buckets, which nobody else may do meanwhile. */
  take(
    buckets: ReadonlyArray<number>,
    owner: string,
    on: Statements = this.session
  ): Effect.Effect<ReadonlyArray<OwnedBucket>, OutboxError> {
    return on.rows<OwnedBucket>(
      `WITH taken AS (SELECT bucket FROM mailrace_bucket WHERE bucket = ANY ($1::int4[]) ORDER BY bucket FOR UPDATE)
       UPDATE mailrace_bucket AS b SET owner = $2::text, epoch = b.epoch + 1 FROM taken WHERE b.bucket = taken.bucket
       RETURNING b.bucket::int4 AS bucket, b.epoch::float8 AS epoch`,
      [integers(buckets), owner]
    )
  }

  claim(quotas: ReadonlyArray<LaneQuota>, now: number, owner: string): Effect.Effect<Claim, OutboxError> {
    return Effect.flatMap(
      this.session.rows<PostgresClaimed>(claiming, [
        integers(quotas.map(({ bucket }) => bucket)),
        texts(quotas.map(({ lane }) => lane)),
        integers(quotas.map(({ limit }) => limit)),
        number(now),
        owner,
        // Offsets of each class within its share; see `priorityChoice`.
        number(Math.random()),
        number(Math.random()),
        number(Math.random())
      ]),
      (found) => {
        const expired = found.filter(({ state }) => state !== 1).map(toExpired)
        return Effect.map(this.complete(found.filter(({ state }) => state === 1)), (rows) => ({ rows, expired }))
      }
    )
  }

  /** Rows with what they share. */
  complete(rows: ReadonlyArray<PostgresClaimed>): Effect.Effect<ReadonlyArray<ClaimedRow>, OutboxError> {
    return Effect.map(this.parts.resolve(rows.flatMap(({ shared }) => refs(shared))), (resolve) =>
      rows.map((row): ClaimedRow => ({
        seq: row.seq,
        id: row.id,
        tenant: row.tenant,
        lane: row.lane,
        priority: row.priority,
        recipient: row.recipient,
        messageId: row.message_id,
        key: row.idem_key ?? undefined,
        attempts: row.attempts,
        retriedAt: row.retried_at,
        isWatched: row.watched > 0,
        epoch: row.epoch,
        expiresAt: row.expires_at,
        createdAt: row.created_at,
        trace: row.trace ?? undefined,
        recipients: row.recipients ?? undefined,
        envelope: row.envelope ?? undefined,
        content: row.payload === null ? "" : unpack({ format: row.format!, data: row.payload }),
        shared: resolve(refs(row.shared))
      }))
    )
  }

  settle(batch: ReadonlyArray<Settlement>): Effect.Effect<ReadonlyArray<number>, OutboxError> {
    return Effect.map(
      this.session.rows<{ seq: number }>(settling, [
        numbers(batch.map(({ seq }) => seq)),
        numbers(batch.map(({ epoch }) => epoch)),
        integers(batch.map(({ attempts }) => attempts)),
        integers(batch.map(({ state }) => ends[state])),
        numbers(batch.map(({ at }) => at)),
        numbers(batch.map(({ dueAt }) => dueAt)),
        texts(batch.map(({ outcome }) => outcome)),
        texts(batch.map(({ relay }) => relay)),
        integers(batch.map(({ code }) => code)),
        texts(batch.map(({ enhanced }) => enhanced)),
        texts(batch.map(({ reply }) => reply)),
        texts(batch.map(({ recipients }) => recipients))
      ]),
      (rows) => rows.map(({ seq }) => seq)
    )
  }

  /** Notes watched mails before they are begun. */
  begin(rows: ReadonlyArray<Claimed>): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(
      this.session.rows(
        `UPDATE mailrace_outbox o SET watched = 2 FROM unnest($1::float8[], $2::float8[], $3::int4[]) AS r (seq, epoch, attempts)
         WHERE o.seq = r.seq::bigint AND o.epoch = r.epoch::bigint AND o.attempts = r.attempts`,
        claims(rows)
      )
    )
  }

  /**
   * A mail that was settled since it was found claimed must not come back. The state is written so that no index has it, or
   * the planner leaves the primary key for the index of claimed mails.
   */
  release(rows: ReadonlyArray<Claimed>): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(
      this.session.rows(
        `WITH back AS (
           UPDATE mailrace_outbox o SET state = 0, attempts = o.attempts - 1, watched = least(o.watched, 1)
           FROM unnest($1::float8[], $2::float8[], $3::int4[]) AS r (seq, epoch, attempts)
           WHERE o.seq = r.seq::bigint AND o.epoch = r.epoch::bigint AND o.attempts = r.attempts AND o.state + 0 = 1
           RETURNING o.tenant, o.size
         )
         INSERT INTO mailrace_tally (tenant, state, mails, bytes)
         SELECT tenant, 1, -count(*), -sum(size) FROM back GROUP BY tenant
         UNION ALL SELECT tenant, 0, count(*), sum(size) FROM back GROUP BY tenant`,
        claims(rows)
      )
    )
  }

  /** What is claimed in these buckets. */
  claimed(buckets: Iterable<number>) {
    return this.session.rows<{ seq: number; epoch: number; attempts: number; bucket: number; updated_at: number }>(
      `SELECT seq::float8 AS seq, epoch::float8 AS epoch, attempts, bucket::int4 AS bucket, updated_at::float8 AS updated_at
       FROM mailrace_outbox WHERE state = 1 AND bucket = ANY ($1::int4[])`,
      [integers([...buckets])]
    )
  }

  /** Puts back what others left claimed in these buckets, but for mails that `maxCrashes` processes ended on. */
  recover(
    buckets: ReadonlyArray<number>,
    now: number,
    maxCrashes: number,
    on: Statements = this.session
  ): Effect.Effect<Recovered, OutboxError> {
    return Effect.map(
      on.rows<PostgresClaimed>(recovering, [integers(buckets), number(now), number(maxCrashes)]),
      (rows) => ({ recovered: rows.length, givenUp: rows.filter(({ state }) => state !== 0).map(toExpired) })
    )
  }
}

/** A mail that is over without an attempt. */
export const toExpired = ({
  attempts,
  id,
  lane,
  message_id,
  seq,
  tenant
}: Pick<PostgresClaimed, "attempts" | "id" | "lane" | "message_id" | "seq" | "tenant">): ExpiredRow => ({
  attempts,
  id,
  lane,
  messageId: message_id,
  seq,
  tenant
})

const claims = (rows: ReadonlyArray<Claimed>) => [
  numbers(rows.map(({ seq }) => seq)),
  numbers(rows.map(({ epoch }) => epoch)),
  integers(rows.map(({ attempts }) => attempts))
]

const ends = { due: 0, accepted: 2, rejected: 3, expired: 4, dead: 5 } as const

const refs = (shared: string | null): ReadonlyArray<number> => (shared === null ? [] : shared.split(",").map(Number))

const lanesAfter = `
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

/** Each class of a lane by its own seek, locked as it is found; then the best of them by their turns. */
const claiming = `
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
), claimed AS (
  UPDATE mailrace_outbox o SET
    state = CASE WHEN o.expires_at > $4::float8::bigint THEN 1 ELSE 4 END,
    settled_at = CASE WHEN o.expires_at > $4::float8::bigint THEN NULL ELSE $4::float8::bigint END,
    attempts = o.attempts + CASE WHEN o.expires_at > $4::float8::bigint THEN 1 ELSE 0 END,
    epoch = owned.epoch, updated_at = $4::float8::bigint
  FROM picked, mailrace_bucket AS owned
  WHERE o.seq = picked.seq AND owned.bucket = o.bucket AND owned.owner = $5::text RETURNING o.*
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, 0, -count(*), -sum(size) FROM claimed GROUP BY tenant
  UNION ALL SELECT tenant, state, count(*), sum(size) FROM claimed GROUP BY tenant, state
)
SELECT ${claimedColumns} FROM claimed AS o LEFT JOIN mailrace_body AS b ON b.seq = o.seq
ORDER BY o.due_at, o.seq`

/**
 * An owner that was slow may find its claim put back (`attempts` is one less then) and not claimed again: the end still
 * counts, and the mail is not sent a second time.
 */
const settling = `
WITH ended AS (
  SELECT * FROM unnest($1::float8[], $2::float8[], $3::int4[], $4::int4[], $5::float8[], $6::float8[], $7::text[],
    $8::text[], $9::int4[], $10::text[], $11::text[], $12::text[]) AS e (seq, epoch, attempts, state, at, due_at, outcome,
    relay, code, enhanced, reply, recipients)
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
SELECT seq::float8 AS seq FROM settled`

/** As in SQLite: one that a process ended on for the second time comes back apart from its neighbours. */
const recovering = `
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
      THEN 'the process ended ' || lost.crashes || ' times while this mail was on its way' ELSE o.last_reply END,
    updated_at = $2::float8::bigint
  FROM lost WHERE o.seq = lost.seq RETURNING o.*
), tally AS (
  INSERT INTO mailrace_tally (tenant, state, mails, bytes)
  SELECT tenant, 1, -count(*), -sum(size) FROM back GROUP BY tenant
  UNION ALL SELECT tenant, state, count(*), sum(size) FROM back GROUP BY tenant, state
)
SELECT seq::float8 AS seq, id, tenant, lane, message_id, attempts, state::int4 AS state FROM back`
