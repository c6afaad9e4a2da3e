/**
 * Housekeeping in SQLite, in steps short enough to go unnoticed: mails whose time is over while nobody claims them,
 * bodies and rows that were kept long enough, bodies that nothing refers to any more, pages that the file can give back.
 */
import type { ExpiredRow, Retention, Swept } from "../OutboxStore.ts"
import type { EntryRow } from "./browsing.ts"
import type { SqliteBrowse } from "./sqliteBrowse.ts"
import { stateNumber, type SqliteDatabase } from "./sqliteDatabase.ts"

const batch = 1000
const examined = 5000

/** Sweeps. */
export class SqliteSweep {
  private readonly database: SqliteDatabase
  private readonly browse: SqliteBrowse
  /** Where the search for overdue mails goes on; it walks the waiting ones round and round. */
  private overdueFrom: ReadonlyArray<number | string> = lanesBegin

  constructor(database: SqliteDatabase, browse: SqliteBrowse) {
    this.database = database
    this.browse = browse
  }

  step(retention: Retention, now: number): Swept {
    const overdue = this.expireOverdue(now)
    const accepted = this.dropBodies(stateNumber.accepted, now - retention.bodies)
    const cancelled = this.dropBodies(stateNumber.cancelled, now - retention.bodies)
    const rows = this.dropRows(now - retention.rows)
    this.dropShared()
    this.shrink()
    return {
      expired: overdue.expired,
      bodies: accepted.dropped + cancelled.dropped,
      rows,
      done: overdue.done && accepted.done && cancelled.done && rows < batch
    }
  }

  private expireOverdue(now: number): { readonly expired: ReadonlyArray<ExpiredRow>; readonly done: boolean } {
    return this.database.transaction(() => {
      const rows = this.database
        .prepare(
          `SELECT bucket, lane, priority, due_at, seq, id, tenant, message_id AS messageId, attempts, size,
             expires_at <= ? AS over FROM outbox
           WHERE state = 0 AND (bucket, lane, priority, due_at, seq) > (?, ?, ?, ?, ?)
           ORDER BY bucket, lane, priority, due_at, seq LIMIT ${examined}`
        )
        .all(now, ...this.overdueFrom) as unknown as Array<WaitingRow>
      const expire = this.database.prepare(
        `UPDATE outbox SET state = ${stateNumber.expired}, settled_at = ?, updated_at = ? WHERE seq = ?`
      )
      const over = rows.filter((row) => row.over === 1)
      for (const { seq, size, tenant } of over) {
        expire.run(now, now, seq)
        this.database.tally(tenant, size, stateNumber.due, stateNumber.expired)
      }
      const last = rows.at(-1)
      const done = rows.length < examined
      this.overdueFrom =
        done || last === undefined ? lanesBegin : [last.bucket, last.lane, last.priority, last.due_at, last.seq]
      return {
        expired: over.map(({ attempts, id, lane, messageId, seq, tenant }) => ({
          attempts,
          id,
          lane,
          messageId,
          seq,
          tenant
        })),
        done
      }
    })
  }

  /**
   * Accepted and cancelled mails need no body; the others keep it with their row, so that they can be retried. How far
   * this came is stored, or each start would walk all settled rows again.
   */
  private dropBodies(state: number, before: number): { readonly dropped: number; readonly done: boolean } {
    return this.database.transaction(() => {
      const name = `bodies ${state}`
      const stored = this.database.prepare("SELECT value FROM outbox_meta WHERE name = ?").get(name) as
        | { readonly value: string }
        | undefined
      const [settledAt, seq] = stored === undefined ? [0, 0] : (JSON.parse(stored.value) as [number, number])
      const rows = this.database
        .prepare(
          `SELECT seq, settled_at FROM outbox WHERE state > 1 AND state = ? AND (settled_at, seq) > (?, ?)
             AND settled_at <= ? ORDER BY settled_at, seq LIMIT ${batch}`
        )
        .all(state, settledAt, seq, before) as Array<{ seq: number; settled_at: number }>
      const last = rows.at(-1)
      if (last === undefined) return { dropped: 0, done: true }
      this.database
        .prepare("INSERT INTO outbox_meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value")
        .run(name, JSON.stringify([last.settled_at, last.seq]))
      return { dropped: this.browse.dropBodies(rows.map(({ seq }) => seq)), done: rows.length < batch }
    })
  }

  private dropRows(before: number): number {
    return this.database.transaction(() => {
      const rows = this.database
        .prepare(
          `SELECT seq, tenant, size, state FROM outbox WHERE state > 1 AND state IN (2, 3, 4, 5, 6) AND settled_at <= ?
           LIMIT ${batch}`
        )
        .all(before) as unknown as Array<EntryRow>
      this.browse.dropRows(rows)
      return rows.length
    })
  }

  private dropShared(): void {
    this.database.transaction(() => {
      this.database.prepare("DELETE FROM outbox_shared WHERE refs <= 0").run()
    })
  }

  /** Gives pages back when a quarter of the file is free; less is reused by what comes next. */
  private shrink(): void {
    const free = this.database.prepare("PRAGMA freelist_count").get() as { readonly freelist_count: number }
    const all = this.database.prepare("PRAGMA page_count").get() as { readonly page_count: number }
    if (free.freelist_count * 4 > all.page_count) this.database.handle.exec("PRAGMA incremental_vacuum(1000)")
  }
}

interface WaitingRow extends ExpiredRow {
  readonly bucket: number
  readonly priority: number
  readonly due_at: number
  readonly size: number
  readonly over: number
}

const lanesBegin = [-1, "", 0, 0, 0] as const
