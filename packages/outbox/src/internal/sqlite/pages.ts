/**
 * Finds messages in SQLite, a page at a time.
 *
 * A page examines a bounded number of rows, however few of them match the filter, and only reads: messages to be changed
 * are found before the file is locked.
 *
 * A path ordered by time first continues, by `seq`, among the messages of the time at which the last page ended, and then
 * goes on behind that time. One comparison of both columns, `(time, seq) > (?, ?)`, would walk all messages of that time
 * again for each page, because SQLite leaves the row's own number out of the range; a campaign gives a million messages the
 * same time.
 */
import type { Filter } from "../../OutboxEntry.ts"
import type { Found, PageCursor } from "../store/queries.ts"
import { pathsOf, type Path } from "../store/filterPaths.ts"
import { condition } from "../store/filterSql.ts"
import type { SqliteDatabase } from "./file/database.ts"

/** An examined row. */
type Examined = [seq: number, at: number, state: number, hit: number]

/** The number of messages in each state, by its index in `states`. */
export type Counted = Map<number, number>

export class SqlitePages {
  private readonly database: SqliteDatabase

  constructor(database: SqliteDatabase) {
    this.database = database
  }

  /** The messages that match among the next `limit` on the filter's path. */
  find(filter: Filter, cursor: PageCursor | undefined, limit: number): Found {
    if (filter.ids !== undefined) {
      return { seqs: this.named(filter, filter.ids).map(([seq]) => seq), next: undefined }
    }
    const { next, rows } = this.examine(filter, cursor, limit)
    return { seqs: rows.flatMap(([seq, , , hit]) => (hit === 1 ? [seq] : [])), next }
  }

  /** Counts the matching messages without collecting them. */
  count(filter: Filter, cursor: PageCursor | undefined, limit: number) {
    const { next, rows } =
      filter.ids === undefined
        ? this.examine(filter, cursor, limit)
        : { rows: this.named(filter, filter.ids), next: undefined }
    const counted: Counted = new Map()
    for (const [, , state, hit] of rows) if (hit === 1) counted.set(state, (counted.get(state) ?? 0) + 1)
    return { counted, next }
  }

  private named(filter: Filter, ids: ReadonlyArray<string>): ReadonlyArray<Examined> {
    const { sql, values } = condition(filter, () => "?")
    return this.database
      .cachedArrays(
        `SELECT seq, 0, state, 1 FROM outbox WHERE id IN (SELECT value FROM json_each(?)) AND ${sql} ORDER BY seq`
      )
      .all(JSON.stringify(ids), ...values) as never as ReadonlyArray<Examined>
  }

  private examine(filter: Filter, cursor: PageCursor | undefined, limit: number) {
    const paths = pathsOf(filter)
    const index = cursor?.path ?? 0
    const path = paths[index]
    if (path === undefined) return { rows: [], next: undefined }
    const rows = this.walk(
      path,
      condition(filter, () => "?"),
      cursor,
      limit
    )
    const last = rows.at(-1)
    const isFull = rows.length === limit
    const next: PageCursor | undefined =
      isFull && last !== undefined
        ? { path: index, seq: last[0], at: last[1] }
        : index + 1 < paths.length
          ? { path: index + 1, at: beginning, seq: 0 }
          : undefined
    return { rows, next }
  }

  private walk(
    path: Path,
    { sql, values }: ReturnType<typeof condition>,
    cursor: PageCursor | undefined,
    limit: number
  ): ReadonlyArray<Examined> {
    const { from, key, where } = indexOf(path)
    const select = (at: string, range: string, order: string, more: ReadonlyArray<number>, limit: number) =>
      this.database
        .cachedArrays(
          `SELECT seq, ${at}, state, ${sql} FROM ${from} WHERE ${where.sql} AND ${range} ORDER BY ${order} LIMIT +?`
        )
        .all(...values, ...where.values, ...more, limit) as never as ReadonlyArray<Examined>
    const seq = cursor?.seq ?? 0
    if (key === undefined) return select("0", "seq > ?", "seq", [seq], limit)
    const at = cursor?.at ?? beginning
    const tied = at === beginning ? [] : select(key, `${key} = ? AND seq > ?`, "seq", [at, seq], limit)
    if (tied.length === limit) return tied
    return [...tied, ...select(key, `${key} > ?`, `${key}, seq`, [at], limit - tied.length)]
  }
}

/** A time before all others. */
const beginning = -1

/** The index of a path, and the column by which it is ordered before `seq`. */
const indexOf = (
  path: Path
): { from: string; key?: string; where: { sql: string; values: ReadonlyArray<string | number> } } => {
  switch (path._tag) {
    case "Stored":
      return { from: "outbox", where: { sql: "true", values: [] } }
    case "Due":
      return { from: "outbox", key: "expires_at", where: { sql: "state = 0", values: [] } }
    case "DueInLane":
      return {
        from: "outbox",
        key: "due_at",
        where: {
          sql: "state = 0 AND bucket = ? AND lane = ? AND priority = ?",
          values: [path.bucket, path.lane, path.priority]
        }
      }
    case "Claimed":
      return { from: "outbox INDEXED BY outbox_claimed", where: { sql: "state = 1", values: [] } }
    case "Settled":
      return { from: "outbox", key: "settled_at", where: { sql: "state > 1 AND state = ?", values: [path.state] } }
  }
}
