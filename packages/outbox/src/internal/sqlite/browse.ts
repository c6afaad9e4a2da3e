/**
 * Reads messages from SQLite, and changes those that a filter selects.
 *
 * A page examines a bounded number of rows, however few of them match the filter, so that a search through millions of rows
 * never delays the sending. It finds the messages to change first, and then changes them in short transactions.
 */
import type { StatementSync } from "node:sqlite"
import type { Filter } from "../../OutboxEntry.ts"
import { narrowed, type AttemptRow, type PageAction, type PageCursor, type StatsRows } from "../store/queries.ts"
import { stateNumbers } from "../store/filterPaths.ts"
import type { SqliteChanges } from "./changes.ts"
import type { SqliteDatabase } from "./file/database.ts"
import type { SqliteEntry } from "./rows/entry.ts"
import { SqlitePages, type Counted } from "./pages.ts"
import * as Sql from "./sql/browse.ts"

/** The number of rows examined for a page, by action: fewer for changes, which lock the file. */
const examined = { List: 5000, Retry: 500, Cancel: 500, Purge: 1000 } as const

/** The number of messages whose keys one call reads. */
const keysAtOnce = 20_000

/** Keys with the states of their messages, and the outcomes of those with several recipients. */
export interface SqliteKeys {
  readonly keys: ReadonlyArray<string>
  readonly states: ReadonlyArray<number>
  readonly recipients: ReadonlyArray<readonly [index: number, recipients: string]>
  readonly next: number | undefined
}

/** The number of rows that one call counts. */
const countedAtOnce = 20_000

/**
 * The selected (and changed) messages, their number, and the position to go on from. Purged messages are not
 * returned.
 */
export interface SqlitePage {
  readonly rows: ReadonlyArray<SqliteEntry>
  readonly count: number
  readonly next: PageCursor | undefined
}

/** Reads and changes rows. */
export class SqliteBrowse {
  private readonly database: SqliteDatabase
  private readonly changes: SqliteChanges
  private readonly pages: SqlitePages
  private readonly byId: StatementSync
  private readonly chosen: StatementSync
  private readonly keys: StatementSync

  constructor(database: SqliteDatabase, changes: SqliteChanges) {
    this.database = database
    this.changes = changes
    this.pages = new SqlitePages(database)
    this.byId = database.prepareArrays(Sql.byId)
    this.keys = database.prepareArrays(Sql.keys)
    this.chosen = database.prepareArrays(Sql.chosen)
  }

  get(id: string): SqliteEntry | undefined {
    return this.byId.get(id) as never as SqliteEntry | undefined
  }

  attempts(id: string): ReadonlyArray<AttemptRow> {
    return this.database.prepare(Sql.attempts).all(id) as unknown as Array<AttemptRow>
  }

  page(filter: Filter, cursor: PageCursor | undefined, action: PageAction): SqlitePage {
    const { next, seqs } = this.pages.find(narrowed(filter, action), cursor, examined[action._tag])
    if (seqs.length === 0) return { rows: [], count: 0, next }
    if (action._tag === "Purge") {
      return { rows: [], count: this.database.transaction(() => this.changes.purge(seqs)), next }
    }
    const rows = this.rowsOf(seqs, action)
    return { rows, count: rows.length, next }
  }

  /** The keys with a prefix among the next messages in the order of enqueueing, as columns. */
  keyed(prefix: string, after: number): SqliteKeys {
    const rows = this.keys.all(after, keysAtOnce) as never as ReadonlyArray<
      [seq: number, key: string | null, state: number, recipients: string | null]
    >
    const keys: Array<string> = []
    const states: Array<number> = []
    const recipients: Array<readonly [index: number, recipients: string]> = []
    for (const [, key, state, outcomes] of rows) {
      if (key === null || !key.startsWith(prefix)) continue
      if (outcomes !== null) recipients.push([keys.length, outcomes])
      keys.push(key)
      states.push(state)
    }
    return { keys, states, recipients, next: rows.length === keysAtOnce ? rows.at(-1)![0] : undefined }
  }

  /** Counts the matching messages by state, among the next ones on the filter's path. */
  count(filter: Filter, cursor: PageCursor | undefined) {
    return this.pages.count(filter, cursor, countedAtOnce)
  }

  /** Counts for a filter with nothing but states and a tenant, from the tallies. */
  tallied({ states, tenant }: Filter): Counted {
    const rows = this.database
      .cachedArrays(
        `SELECT state, sum(mails) FROM outbox_tally WHERE ${tenant === undefined ? "true" : "tenant = ?"} GROUP BY state`
      )
      .all(...(tenant === undefined ? [] : [tenant])) as never as ReadonlyArray<[state: number, mails: number]>
    return new Map(rows.filter(([state]) => states === undefined || stateNumbers(states).includes(state)))
  }

  stats(now: number): Omit<StatsRows, "dispatchers"> {
    const all = <A>(sql: string, ...values: Array<number>) =>
      this.database.prepare(sql).all(...values) as unknown as Array<A>
    return {
      tallies: all(Sql.tallies),
      lanes: all(Sql.lanes),
      paused: this.paused(),
      acceptedLately: all<{ n: number }>(Sql.acceptedLately, now - 60_000)[0]!.n
    }
  }

  paused(): ReadonlyArray<{ readonly lane: string }> {
    return this.database.prepare(Sql.paused).all() as never
  }

  pause(lane: string, now: number): void {
    this.database.transaction(() => this.database.prepare(Sql.pause).run(lane, now))
  }

  resume(lane: string): void {
    this.database.transaction(() => this.database.prepare(Sql.resume).run(lane))
  }

  private rowsOf(
    seqs: ReadonlyArray<number>,
    action: Exclude<PageAction, { readonly _tag: "Purge" }>
  ): ReadonlyArray<SqliteEntry> {
    switch (action._tag) {
      case "List":
        return this.chosen.all(JSON.stringify(seqs)) as never as ReadonlyArray<SqliteEntry>
      case "Retry":
        return this.database.transaction(() => this.changes.retry(seqs, action))
      case "Cancel":
        return this.database.transaction(() => this.changes.cancel(seqs, action.now))
    }
  }
}
