/**
 * Looking at mails in PostgreSQL, and changing those that a filter chooses.
 *
 * As in SQLite a page examines a bounded number of rows, so that no statement runs long.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Filter, StateCounts } from "../../OutboxEntry.ts"
import type { OutboxError } from "../../OutboxError.ts"
import type { ClaimedRow } from "../../OutboxStore.ts"
import { toCounts, toKeyedMails } from "../store/entryMapping.ts"
import { pathsOf, type Path } from "../store/filterPaths.ts"
import { condition } from "../store/filterSql.ts"
import { claimedColumns, type PostgresClaimed, type PostgresDispatch } from "./dispatch.ts"
import { number, numbers, walkIndexes, type PostgresSession } from "./session.ts"
import {
  isTallied,
  narrowed,
  type AttemptRow,
  type DispatcherRow,
  type EntryRow,
  type Found,
  type PageAction,
  type PageCursor,
  type StatsRows
} from "../store/queries.ts"

const examined = 5000

/** Mails whose keys are read in one call. */
const keysAtOnce = 20_000

const entryColumns = `o.seq::float8 AS seq, o.id, o.state::int4 AS state, o.tenant, o.idem_key, o.lane,
  o.priority::int4 AS priority, o.recipient, o.recipients, o.message_id, o.attempts, o.crashes, o.watched::int4 AS watched, o.due_at::float8 AS due_at,
  o.expires_at::float8 AS expires_at, o.created_at::float8 AS created_at, o.updated_at::float8 AS updated_at,
  o.settled_at::float8 AS settled_at, o.size, o.last_relay, o.last_code, o.last_enhanced, o.last_reply`

/** Rows that were chosen (and changed), and where to go on. */
export interface Page {
  readonly rows: ReadonlyArray<EntryRow>
  readonly next: PageCursor | undefined
}

/** Reads and changes rows. */
export class PostgresBrowse {
  private readonly session: PostgresSession
  private readonly dispatch: PostgresDispatch

  constructor(session: PostgresSession, dispatch: PostgresDispatch) {
    this.session = session
    this.dispatch = dispatch
  }

  get(id: string): Effect.Effect<EntryRow | undefined, OutboxError> {
    return Effect.map(
      this.session.rows<EntryRow>(`SELECT ${entryColumns} FROM mailrace_outbox o WHERE o.id = $1::text`, [id]),
      ([row]) => row
    )
  }

  attempts(id: string): Effect.Effect<ReadonlyArray<AttemptRow>, OutboxError> {
    return this.session.rows(
      `SELECT attempt_no, at::float8 AS at, outcome, relay, code, enhanced, reply FROM mailrace_attempt
       WHERE seq = (SELECT seq FROM mailrace_outbox WHERE id = $1::text) ORDER BY attempt_no`,
      [id]
    )
  }

  payload(id: string): Effect.Effect<ClaimedRow | undefined, OutboxError> {
    return Effect.flatMap(
      this.session.rows<PostgresClaimed>(
        `SELECT ${claimedColumns} FROM mailrace_outbox o JOIN mailrace_body b ON b.seq = o.seq WHERE o.id = $1::text`,
        [id]
      ),
      (rows) => Effect.map(this.dispatch.complete(rows), ([row]) => row)
    )
  }

  stats(now: number): Effect.Effect<StatsRows, OutboxError> {
    return Effect.all({
      tallies: this.session.rows<StatsRows["tallies"][number]>(
        `SELECT state::int4 AS state, sum(mails)::float8 AS mails, sum(bytes)::float8 AS bytes FROM mailrace_tally
         GROUP BY state`
      ),
      lanes: this.session.rows<StatsRows["lanes"][number]>(
        // As in SQLite: by bucket first.
        `SELECT lane, sum(waiting)::float8 AS waiting, min(oldest)::float8 AS oldest FROM (
           SELECT lane, count(*) AS waiting, min(due_at) AS oldest FROM mailrace_outbox WHERE state = 0
           GROUP BY bucket, lane) AS place
         GROUP BY lane ORDER BY sum(waiting) DESC, lane`
      ),
      paused: this.session.rows<{ lane: string }>("SELECT lane FROM mailrace_lane ORDER BY lane"),
      dispatchers: this.session.rows<DispatcherRow>(
        `SELECT d.id AS name, d.since::float8 AS since, count(b.bucket)::int4 AS buckets, d.in_flight AS "inFlight",
           d.beat_at::float8 AS "beatAt"
         FROM mailrace_dispatcher AS d LEFT JOIN mailrace_bucket AS b ON b.owner = d.id GROUP BY d.id
         HAVING count(b.bucket) > 0 OR d.beat_at + d.lease >= extract(epoch FROM clock_timestamp()) * 1000
         ORDER BY d.since, d.id`
      ),
      acceptedLately: Effect.map(
        this.session.rows<{ accepted: number }>(
          `SELECT count(*)::float8 AS accepted FROM mailrace_outbox
           WHERE state = 2 AND state > 1 AND settled_at > $1::float8::bigint`,
          [number(now - 60_000)]
        ),
        ([row]) => row!.accepted
      )
    })
  }

  pause(lane: string, now: number): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(
      this.session.rows(
        "INSERT INTO mailrace_lane (lane, paused_at) VALUES ($1::text, $2::float8::bigint) ON CONFLICT DO NOTHING",
        [lane, number(now)]
      )
    )
  }

  resume(lane: string): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(this.session.rows("DELETE FROM mailrace_lane WHERE lane = $1::text", [lane]))
  }

  page(filter: Filter, cursor: PageCursor | undefined, action: PageAction): Effect.Effect<Page, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const { next, seqs } = yield* this.find(narrowed(filter, action), cursor)
      return { rows: seqs.length === 0 ? [] : yield* this.apply(seqs, action), next }
    })
  }

  /** The keys that begin so among the next mails in the order of enqueueing. */
  keyed(prefix: string, after: number) {
    type Keyed = { seq: number; idem_key: string | null; state: number; recipients: string | null }
    const rows = this.session.rows<Keyed>(
      `SELECT seq::float8 AS seq, CASE WHEN starts_with(idem_key, $2::text) THEN idem_key END AS idem_key,
         state::int4 AS state, recipients FROM mailrace_outbox o
       WHERE seq > $1::float8::bigint ORDER BY o.seq LIMIT ${keysAtOnce}`,
      [number(after), prefix]
    )
    return Effect.map(rows, (rows) => ({
      mails: rows.flatMap(({ idem_key, recipients, state }) =>
        idem_key === null ? [] : toKeyedMails([idem_key], [state], recipients === null ? [] : [[0, recipients]])
      ),
      next: rows.length === keysAtOnce ? rows.at(-1)!.seq : undefined
    }))
  }

  count(filter: Filter): Effect.Effect<StateCounts, OutboxError> {
    const { ids } = filter
    const { sql, values } = condition(filter, (index) => `$${index}`)
    const named = ids === undefined ? "true" : `id IN (SELECT json_array_elements_text($${values.length + 1}::json))`
    return Effect.map(
      this.session.rows<{ state: number; mails: number }>(
        isTallied(filter)
          ? `SELECT state::int4 AS state, sum(mails)::float8 AS mails FROM mailrace_tally WHERE ${sql} GROUP BY state`
          : `SELECT state::int4 AS state, count(*)::float8 AS mails FROM mailrace_outbox
             WHERE ${named} AND ${sql} GROUP BY state`,
        ids === undefined ? values : [...values, JSON.stringify(ids)]
      ),
      (rows) => toCounts(rows.map(({ mails, state }) => [state, mails]))
    )
  }

  private find(filter: Filter, cursor: PageCursor | undefined): Effect.Effect<Found, OutboxError> {
    const { sql, values } = condition(filter, (index) => `$${index}`)
    const place = (index: number) => `$${values.length + index}`
    if (filter.ids !== undefined) {
      return Effect.map(
        this.session.rows<{ seq: number }>(
          `SELECT seq::float8 AS seq FROM mailrace_outbox WHERE id IN (SELECT json_array_elements_text(${place(1)}::json))
             AND ${sql} ORDER BY seq`,
          [...values, JSON.stringify(filter.ids)]
        ),
        (rows) => ({ seqs: rows.map(({ seq }) => seq), next: undefined })
      )
    }
    const paths = pathsOf(filter)
    const at = cursor?.path ?? 0
    const path = paths[at]
    if (path === undefined) return Effect.succeed({ seqs: [], next: undefined })
    const { key, where } = indexOf(path)
    const behind =
      key === undefined
        ? `seq > ${place(1)}::float8::bigint AND ${place(2)}::float8 IS NOT NULL`
        : `(${key}, seq) > (${place(2)}::float8::bigint, ${place(1)}::float8::bigint)`
    const lane = path._tag === "DueInLane" ? [path.lane] : []
    const rows = this.session.rows<{ seq: number; at: number; hit: boolean }>(
      `SELECT seq::float8 AS seq, ${key ?? "0"}::float8 AS at, (${sql}) AS hit FROM mailrace_outbox o
       WHERE ${where(place(3))} AND ${behind} ORDER BY ${key === undefined ? "" : `o.${key}, `}o.seq LIMIT ${examined}`,
      [...values, number(cursor?.seq ?? 0), number(cursor?.at ?? -1), ...lane]
    )
    const page = key === undefined ? rows : this.walking(rows)
    return Effect.map(page, (rows) => {
      const last = rows.at(-1)
      const next: PageCursor | undefined =
        rows.length === examined
          ? { path: at, at: last!.at, seq: last!.seq }
          : at + 1 < paths.length
            ? { path: at + 1, at: -1, seq: 0 }
            : undefined
      return { seqs: rows.filter(({ hit }) => hit).map(({ seq }) => seq), next }
    })
  }

  /** In a transaction of its own; in one of the caller's the planner is left as it is. */
  private walking<A>(effect: Effect.Effect<A, OutboxError>): Effect.Effect<A, OutboxError> {
    const { session } = this
    return Effect.flatMap(Effect.serviceOption(session.client.transactionService), (joined) =>
      Option.isSome(joined) ? effect : session.transaction(Effect.andThen(walkIndexes(session), effect))
    )
  }

  /** Each is one statement that looks at a row's state again: others may have changed it since it was found. */
  private apply(seqs: ReadonlyArray<number>, action: PageAction): Effect.Effect<ReadonlyArray<EntryRow>, OutboxError> {
    const values = [numbers(seqs)]
    switch (action._tag) {
      case "List":
        return this.session.rows(
          `SELECT ${entryColumns} FROM unnest($1::float8[]) WITH ORDINALITY AS s (seq, place)
           JOIN mailrace_outbox o ON o.seq = s.seq::bigint ORDER BY s.place`,
          values
        )
      case "Retry":
        return this.session.rows(retrying, [
          ...values,
          number(action.now),
          number(action.expiresAt),
          action.scheduled ? 1 : 0
        ])
      case "Cancel":
        return this.session.rows(cancelling, [...values, number(action.now)])
      case "Purge":
        return this.session.rows(purging, values)
    }
  }
}

/** The index of a path, and the column by which it is ordered before `seq`; `lane` is the place of the lane's name. */
const indexOf = (path: Path): { readonly key?: string; readonly where: (lane: string) => string } => {
  switch (path._tag) {
    case "Stored":
      return { where: () => "true" }
    case "Due":
      return { key: "expires_at", where: () => "state = 0" }
    case "DueInLane":
      return {
        key: "due_at",
        where: (lane) =>
          `state = 0 AND bucket = ${path.bucket} AND lane = ${lane}::text AND priority = ${path.priority}`
      }
    case "Claimed":
      return { where: () => "state = 1" }
    case "Settled":
      return { key: "settled_at", where: () => `state > 1 AND state = ${path.state}` }
  }
}

/** Changes rows that are in `from`, keeps the tallies right, and gives the rows as they are then. */
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

/** Of a mail that waits for its first attempt and was never in a process's hands, when its time is to be kept. */
const keepsTime = "($4::int4 = 0 AND o.attempts = 0 AND o.watched = 0 AND o.due_at > $2::float8::bigint)"

const retrying = changing(
  `state NOT IN (1, 2) AND NOT (state = 0 AND ${keepsTime})
   AND EXISTS (SELECT 1 FROM mailrace_body b WHERE b.seq = o.seq)`,
  `state = 0, due_at = CASE WHEN ${keepsTime} THEN o.due_at ELSE least(o.due_at, $2::float8::bigint) END, retried_at = o.attempts,
   crashes = 0, expires_at = CASE WHEN o.state = 0 THEN o.expires_at ELSE greatest(o.expires_at, $3::float8::bigint) END,
   settled_at = NULL, updated_at = $2::float8::bigint`
)

const cancelling = changing("state = 0", "state = 6, settled_at = $2::float8::bigint, updated_at = $2::float8::bigint")

/** Notes that bodies that go refer to what they share no more. */
export const uncountingUses = (bodies: string): string => `
INSERT INTO mailrace_shared_use (ref, uses)
SELECT part.ref::bigint, -count(*) FROM ${bodies} CROSS JOIN unnest(string_to_array(shared, ',')) AS part (ref)
GROUP BY part.ref`

/** Deletes rows with all that is known of them. */
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
