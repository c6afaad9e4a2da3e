/**
 * Looking at mails in SQLite, and changing those that a filter chooses.
 *
 * A page examines a bounded number of rows, whatever the filter leaves of them, so that a search through millions of
 * rows never holds up what is being sent.
 */
import type { StatementSync } from "node:sqlite"
import type { Filter } from "../OutboxEntry.ts"
import type { RetryTerms } from "../OutboxStore.ts"
import type { AttemptRow, EntryRow, Page, PageAction, PageCursor, StatsRows } from "./browsing.ts"
import { condition, settledOnly } from "./filterSql.ts"
import { stateNumber, type SqliteDatabase } from "./sqliteDatabase.ts"

const examined = 5000
const entryColumns = `seq, id, state, tenant, idem_key, lane, priority, recipient, recipients, message_id, attempts,
  crashes, watched, due_at, expires_at, created_at, updated_at, settled_at, size, last_relay, last_code, last_enhanced, last_reply`

/** Reads and changes rows. */
export class SqliteBrowse {
  private readonly database: SqliteDatabase
  private readonly byId: StatementSync
  private readonly bySeq: StatementSync
  private readonly deleteRow: StatementSync
  private readonly deleteBody: StatementSync
  private readonly deleteAttempts: StatementSync
  private readonly bodyRefs: StatementSync
  private readonly uncount: StatementSync

  constructor(database: SqliteDatabase) {
    this.database = database
    this.byId = database.prepare(`SELECT ${entryColumns} FROM outbox WHERE id = ?`)
    this.bySeq = database.prepare(`SELECT ${entryColumns} FROM outbox WHERE seq = ?`)
    this.deleteRow = database.prepare("DELETE FROM outbox WHERE seq = ?")
    this.deleteBody = database.prepare("DELETE FROM outbox_body WHERE seq = ?")
    this.deleteAttempts = database.prepare("DELETE FROM attempt WHERE seq = ?")
    this.bodyRefs = database.prepare("SELECT shared FROM outbox_body WHERE seq = ? AND shared IS NOT NULL")
    this.uncount = database.prepare("UPDATE outbox_shared SET refs = refs - ? WHERE ref = ?")
  }

  get(id: string): EntryRow | undefined {
    return this.byId.get(id) as EntryRow | undefined
  }

  attempts(id: string): ReadonlyArray<AttemptRow> {
    return this.database
      .prepare(
        `SELECT attempt_no, at, outcome, relay, code, enhanced, reply FROM attempt
         WHERE seq = (SELECT seq FROM outbox WHERE id = ?) ORDER BY attempt_no`
      )
      .all(id) as unknown as Array<AttemptRow>
  }

  page(filter: Filter, cursor: PageCursor | undefined, action: PageAction): Page {
    if (action._tag === "List") return this.select(filter, cursor, action)
    return this.database.transaction(() => this.select(filter, cursor, action))
  }

  stats(now: number): StatsRows {
    const all = <A>(sql: string, ...values: Array<number>) =>
      this.database.prepare(sql).all(...values) as unknown as Array<A>
    return {
      tallies: all("SELECT state, sum(mails) AS mails, sum(bytes) AS bytes FROM outbox_tally GROUP BY state"),
      lanes: all(
        `SELECT lane, count(*) AS waiting, min(due_at) AS oldest FROM outbox WHERE state = 0
         GROUP BY bucket, lane ORDER BY waiting DESC, lane`
      ),
      paused: all("SELECT lane FROM outbox_lane ORDER BY lane"),
      acceptedLately: all<{ n: number }>(
        `SELECT count(*) AS n FROM outbox WHERE state = ${stateNumber.accepted} AND state > 1 AND settled_at > ?`,
        now - 60_000
      )[0]!.n
    }
  }

  pause(lane: string, now: number): void {
    this.database.prepare("INSERT INTO outbox_lane VALUES (?, ?) ON CONFLICT DO NOTHING").run(lane, now)
  }

  resume(lane: string): void {
    this.database.prepare("DELETE FROM outbox_lane WHERE lane = ?").run(lane)
  }

  /** Within a transaction: deletes bodies, and what they refer to once less. */
  dropBodies(seqs: ReadonlyArray<number>): number {
    const uses = new Map<string, number>()
    let dropped = 0
    for (const seq of seqs) {
      const shared = (this.bodyRefs.get(seq) as { readonly shared: string } | undefined)?.shared
      for (const ref of shared?.split(",") ?? []) uses.set(ref, (uses.get(ref) ?? 0) + 1)
      dropped += Number(this.deleteBody.run(seq).changes)
    }
    for (const [ref, count] of uses) this.uncount.run(count, Number(ref))
    return dropped
  }

  /** Within a transaction: deletes rows with all that is known of them. */
  dropRows(rows: ReadonlyArray<Pick<EntryRow, "seq" | "tenant" | "size" | "state">>): void {
    this.dropBodies(rows.map(({ seq }) => seq))
    for (const { seq, size, state, tenant } of rows) {
      this.deleteAttempts.run(seq)
      this.deleteRow.run(seq)
      this.database.tally(tenant, size, state, undefined)
    }
  }

  private select(filter: Filter, cursor: PageCursor | undefined, action: PageAction): Page {
    const { next, seqs } = this.examine(filter, cursor)
    const rows = seqs.map((seq) => this.bySeq.get(seq) as unknown as EntryRow)
    return { rows: rows.flatMap((row) => this.apply(row, action) ?? []), next }
  }

  /** Rows that the filter chooses among the next few thousand. */
  private examine(
    filter: Filter,
    cursor: PageCursor | undefined
  ): { seqs: Array<number>; next: PageCursor | undefined } {
    const { sql, values } = condition(filter, () => "?")
    if (filter.ids !== undefined) {
      const rows = this.database
        .prepare(`SELECT seq FROM outbox WHERE id IN (SELECT value FROM json_each(?)) AND ${sql} ORDER BY seq`)
        .all(JSON.stringify(filter.ids), ...values) as Array<{ seq: number }>
      return { seqs: rows.map(({ seq }) => seq), next: undefined }
    }
    type Examined = { seq: number; settled_at: number; hit: number }
    const settled = settledOnly(filter)
    const path = cursor?.path ?? 0
    if (settled !== undefined && path >= settled.length) return { seqs: [], next: undefined }
    const rows = (
      settled === undefined
        ? this.database
            .prepare(
              `SELECT seq, 0 AS settled_at, (${sql}) AS hit FROM outbox WHERE seq > ? ORDER BY seq LIMIT ${examined}`
            )
            .all(...values, cursor?.seq ?? 0)
        : this.database
            .prepare(
              `SELECT seq, settled_at, (${sql}) AS hit FROM outbox
               WHERE state > 1 AND state = ? AND (settled_at, seq) > (?, ?) ORDER BY settled_at, seq LIMIT ${examined}`
            )
            .all(...values, settled[path]!, cursor?.settledAt ?? 0, cursor?.seq ?? 0)
    ) as Array<Examined>
    const last = rows.at(-1)
    return {
      seqs: rows.filter(({ hit }) => hit === 1).map(({ seq }) => seq),
      next:
        rows.length === examined
          ? { path, settledAt: last!.settled_at, seq: last!.seq }
          : settled !== undefined && path + 1 < settled.length
            ? { path: path + 1, settledAt: 0, seq: 0 }
            : undefined
    }
  }

  private apply(row: EntryRow, action: PageAction): EntryRow | undefined {
    switch (action._tag) {
      case "List":
        return row
      case "Retry":
        return this.retry(row, action)
      case "Cancel":
        return row.state === stateNumber.due ? this.cancel(row, action.now) : undefined
      case "Purge":
        if (row.state <= stateNumber.claimed) return undefined
        this.dropRows([row])
        return row
    }
  }

  private retry(row: EntryRow, { expiresAt, now, scheduled }: RetryTerms): EntryRow | undefined {
    if (row.state === stateNumber.claimed || row.state === stateNumber.accepted) return undefined
    // A mail that waits for its first attempt and was never in a process's hands.
    const keepsTime = !scheduled && row.attempts === 0 && row.watched === 0 && row.due_at > now
    if (keepsTime && row.state === stateNumber.due) return undefined
    const hasBody = this.database.prepare("SELECT 1 FROM outbox_body WHERE seq = ?").get(row.seq) !== undefined
    if (!hasBody) return undefined
    const deadline = row.state === stateNumber.due ? row.expires_at : Math.max(row.expires_at, expiresAt)
    this.database
      .prepare(
        `UPDATE outbox SET state = 0, due_at = min(?, due_at), retried_at = attempts, crashes = 0, expires_at = ?,
           settled_at = NULL, updated_at = ? WHERE seq = ?`
      )
      .run(keepsTime ? row.due_at : now, deadline, now, row.seq)
    this.database.tally(row.tenant, row.size, row.state, stateNumber.due)
    return this.bySeq.get(row.seq) as unknown as EntryRow
  }

  private cancel(row: EntryRow, now: number): EntryRow {
    this.database
      .prepare(`UPDATE outbox SET state = ${stateNumber.cancelled}, settled_at = ?, updated_at = ? WHERE seq = ?`)
      .run(now, now, row.seq)
    this.database.tally(row.tenant, row.size, row.state, stateNumber.cancelled)
    return this.bySeq.get(row.seq) as unknown as EntryRow
  }
}
