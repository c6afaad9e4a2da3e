/**
 * Does the housekeeping in SQLite, in steps too short to be noticed: messages whose time ran out while nobody claimed
 * them, bodies and rows that were kept long enough, contents that nothing refers to any more, and pages that the file
 * can give back.
 *
 * It first looks for work. If there is none, it does not lock the file at all.
 */
import type { StatementSync } from "node:sqlite"
import type { ExpiredRow, Retention, Swept } from "../../OutboxStore.ts"
import type { SqliteChanges } from "./changes.ts"
import { stateNumber, type SqliteDatabase } from "./file/database.ts"
import * as Sql from "./sql/sweep.ts"

/** Pages given back in one transaction, of 4 KB each. */
const pages = 256

export class SqliteSweep {
  private readonly database: SqliteDatabase
  private readonly changes: SqliteChanges
  private readonly overdue: StatementSync
  private readonly settledAt: StatementSync
  private readonly settledSince: StatementSync
  private readonly settledUntil: StatementSync
  private readonly unused: StatementSync

  constructor(database: SqliteDatabase, changes: SqliteChanges) {
    this.database = database
    this.changes = changes
    this.overdue = database.prepareArrays(Sql.overdue)
    this.settledAt = database.prepareArrays(Sql.settledAt)
    this.settledSince = database.prepareArrays(Sql.settledSince)
    this.settledUntil = database.prepareArrays(Sql.settledUntil)
    this.unused = database.prepareArrays(Sql.unused)
  }

  step(retention: Retention, now: number): Swept {
    const expired = this.expireOverdue(now)
    const accepted = this.dropBodies(stateNumber.accepted, now - retention.bodies)
    const cancelled = this.dropBodies(stateNumber.cancelled, now - retention.bodies)
    const rows = this.dropRows(now - retention.rows)
    const shared = this.dropShared()
    return {
      expired,
      bodies: accepted.dropped + cancelled.dropped,
      rows,
      done: Math.max(expired.length, rows, shared) < Sql.batch && accepted.done && cancelled.done,
      isShrinking: this.shrink()
    }
  }

  private expireOverdue(now: number): ReadonlyArray<ExpiredRow> {
    const seqs = firsts(this.overdue.all(now))
    return seqs.length === 0 ? [] : this.database.transaction(() => this.changes.expire(seqs, now))
  }

  /**
   * Accepted and cancelled messages need no body; the others keep it with their row, so that they can be retried. The
   * progress is stored, or each start would walk all settled rows again.
   */
  private dropBodies(state: number, before: number): { readonly dropped: number; readonly done: boolean } {
    const name = `bodies ${state}`
    const stored = this.database.prepare(Sql.progress).get(name) as { readonly value: string } | undefined
    const [at, seq] = stored === undefined ? [0, 0] : (JSON.parse(stored.value) as [number, number])
    if (at > before) return { dropped: 0, done: true }
    const tied = this.settledAt.all(state, at, seq, Sql.batch)
    const beyond = this.settledSince.all(state, at, before, Sql.batch - tied.length)
    const rows = [...tied, ...beyond] as never as ReadonlyArray<[seq: number, settledAt: number]>
    const last = rows.at(-1)
    if (last === undefined) return { dropped: 0, done: true }
    return this.database.transaction(() => {
      this.database.prepare(Sql.setProgress).run(name, JSON.stringify([last[1], last[0]]))
      return { dropped: this.changes.dropBodies(firsts(rows), state), done: rows.length < Sql.batch }
    })
  }

  private dropRows(before: number): number {
    const seqs = firsts(this.settledUntil.all(before))
    return seqs.length === 0 ? 0 : this.database.transaction(() => this.changes.purge(seqs))
  }

  private dropShared(): number {
    const refs = firsts(this.unused.all())
    if (refs.length === 0) return 0
    return this.database.transaction(() => {
      this.database.prepare(Sql.deleteUnused).run(JSON.stringify(refs))
      return refs.length
    })
  }

  /** Gives pages back while a quarter of the file is free; new messages reuse the rest. */
  private shrink(): boolean {
    const { free, total } = this.database.space()
    // A file that was created without `auto_vacuum` keeps its pages.
    return free * 4 > total && this.database.giveBack(pages).free < free
  }
}

/** The first value of each row. */
const firsts = (rows: ReadonlyArray<unknown>): ReadonlyArray<number> => rows.map((row) => (row as [number])[0])
