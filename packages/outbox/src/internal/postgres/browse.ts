/**
 * Reads messages from PostgreSQL, and changes those that a filter selects.
 *
 * As in SQLite, a page examines a bounded number of rows, so that no statement runs long.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Filter, StateCounts } from "../../OutboxEntry.ts"
import type { OutboxError } from "../../OutboxError.ts"
import type { ClaimedRow } from "../../OutboxStore.ts"
import { toCounts, toKeyedMails } from "../store/entryMapping.ts"
import { pathsOf, type Path } from "../store/filterPaths.ts"
import { condition } from "../store/filterSql.ts"
import type { PostgresClaimed, PostgresDispatch } from "./dispatch.ts"
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
import * as Sql from "./sql/browse.ts"

const examined = 5000

/** The selected (and changed) rows, and the position to go on from. */
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
    return Effect.map(this.session.rows<EntryRow>(Sql.byId, [id]), ([row]) => row)
  }

  attempts(id: string): Effect.Effect<ReadonlyArray<AttemptRow>, OutboxError> {
    return this.session.rows(Sql.attempts, [id])
  }

  payload(id: string): Effect.Effect<ClaimedRow | undefined, OutboxError> {
    return Effect.flatMap(this.session.tuples<PostgresClaimed>(Sql.payload, [id]), (rows) =>
      Effect.map(this.dispatch.complete(rows), ([row]) => row)
    )
  }

  stats(now: number): Effect.Effect<StatsRows, OutboxError> {
    return Effect.all({
      tallies: this.session.rows<StatsRows["tallies"][number]>(Sql.tallies),
      lanes: this.session.rows<StatsRows["lanes"][number]>(Sql.lanes),
      paused: this.paused,
      dispatchers: this.session.rows<DispatcherRow>(Sql.dispatchers),
      acceptedLately: Effect.map(
        this.session.rows<{ accepted: number }>(Sql.acceptedLately, [number(now - 60_000)]),
        ([row]) => row!.accepted
      )
    })
  }

  get paused(): Effect.Effect<ReadonlyArray<{ readonly lane: string }>, OutboxError> {
    return this.session.rows(Sql.paused)
  }

  pause(lane: string, now: number): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(this.session.rows(Sql.pause, [lane, number(now)]))
  }

  resume(lane: string): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(this.session.rows(Sql.resume, [lane]))
  }

  page(filter: Filter, cursor: PageCursor | undefined, action: PageAction): Effect.Effect<Page, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const { next, seqs } = yield* this.find(narrowed(filter, action), cursor)
      return { rows: seqs.length === 0 ? [] : yield* this.apply(seqs, action), next }
    })
  }

  /** The keys that begin with a prefix, among the next messages in the order of enqueueing. */
  keyed(prefix: string, after: number) {
    type Keyed = { seq: number; idem_key: string | null; state: number; recipients: string | null }
    const rows = this.session.rows<Keyed>(Sql.keys, [number(after), prefix])
    return Effect.map(rows, (rows) => ({
      mails: rows.flatMap(({ idem_key, recipients, state }) =>
        idem_key === null ? [] : toKeyedMails([idem_key], [state], recipients === null ? [] : [[0, recipients]])
      ),
      next: rows.length === Sql.keysAtOnce ? rows.at(-1)!.seq : undefined
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
    const placeholder = (index: number) => `$${values.length + index}`
    if (filter.ids !== undefined) {
      return Effect.map(
        this.session.rows<{ seq: number }>(
          `SELECT seq::float8 AS seq FROM mailrace_outbox WHERE id IN (SELECT json_array_elements_text(${placeholder(1)}::json))
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
        ? `seq > ${placeholder(1)}::float8::bigint AND ${placeholder(2)}::float8 IS NOT NULL`
        : `(${key}, seq) > (${placeholder(2)}::float8::bigint, ${placeholder(1)}::float8::bigint)`
    const lane = path._tag === "DueInLane" ? [path.lane] : []
    const rows = this.session.rows<{ seq: number; at: number; hit: boolean }>(
      `SELECT seq::float8 AS seq, ${key ?? "0"}::float8 AS at, (${sql}) AS hit FROM mailrace_outbox o
       WHERE ${where(placeholder(3))} AND ${behind} ORDER BY ${key === undefined ? "" : `o.${key}, `}o.seq LIMIT ${examined}`,
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

  /** Runs in a transaction of its own; in a transaction of the caller, the planner settings stay unchanged. */
  private walking<A>(effect: Effect.Effect<A, OutboxError>): Effect.Effect<A, OutboxError> {
    const { session } = this
    return Effect.flatMap(Effect.serviceOption(session.client.transactionService), (joined) =>
      Option.isSome(joined) ? effect : session.transaction(Effect.andThen(walkIndexes(session), effect))
    )
  }

  /** Runs an action as one statement, which checks the rows' states again: others may have changed them since. */
  private apply(seqs: ReadonlyArray<number>, action: PageAction): Effect.Effect<ReadonlyArray<EntryRow>, OutboxError> {
    const values = [numbers(seqs)]
    switch (action._tag) {
      case "List":
        return this.session.rows(Sql.chosen, values)
      case "Retry":
        return this.session.rows(Sql.retrying, [
          ...values,
          number(action.now),
          number(action.expiresAt),
          action.scheduled ? 1 : 0
        ])
      case "Cancel":
        return this.session.rows(Sql.cancelling, [...values, number(action.now)])
      case "Purge":
        return this.session.rows(Sql.purging, values)
    }
  }
}

/**
 * The index of a path, and the column by which it is ordered before `seq`; `lane` is the placeholder of the lane's
 * name.
 */
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
