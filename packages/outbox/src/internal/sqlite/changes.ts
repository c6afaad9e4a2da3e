/**
 * Changes many messages in SQLite by one statement for all of them.
 *
 * Each method runs within a transaction and checks the states again, because the messages were found before the file was
 * locked. It takes messages by their `seq`, and skips those that can no longer be changed.
 */
import type { StatementSync } from "node:sqlite"
import type { ExpiredRow, RetryTerms } from "../../OutboxStore.ts"
import { stateNumber, type SqliteDatabase } from "./file/database.ts"
import { entryColumns, type SqliteEntry } from "./rows/entry.ts"
import * as Sql from "./sql/changes.ts"

type Counted = [seq: number, tenant: string, size: number, state: number]

const [seqAt, stateAt, tenantAt, sizeAt] = ["seq", "state", "tenant", "size"].map((name) =>
  entryColumns.split(", ").indexOf(name)
) as [number, number, number, number]

export class SqliteChanges {
  private readonly database: SqliteDatabase
  private readonly retriable: StatementSync
  private readonly makeDue: StatementSync
  private readonly makeCancelled: StatementSync
  private readonly makeExpired: StatementSync
  private readonly still: StatementSync
  private readonly deleteRows: StatementSync
  private readonly deleteBodies: StatementSync
  private readonly deleteAttempts: StatementSync
  private readonly uncount: StatementSync

  constructor(database: SqliteDatabase) {
    this.database = database
    this.retriable = database.prepareArrays(Sql.retriable)
    this.makeDue = database.prepareArrays(Sql.makeDue)
    this.makeCancelled = database.prepareArrays(Sql.makeCancelled)
    this.makeExpired = database.prepare(Sql.makeExpired)
    this.still = database.prepareArrays(Sql.still)
    this.deleteRows = database.prepareArrays(Sql.deleteRows)
    this.deleteBodies = database.prepareArrays(Sql.deleteBodies)
    this.deleteAttempts = database.prepare(Sql.deleteAttempts)
    this.uncount = database.prepare(Sql.uncount)
  }

  /** Makes messages due again if their body is still there; returns their new rows. */
  retry(seqs: ReadonlyArray<number>, { expiresAt, now, scheduled }: RetryTerms): ReadonlyArray<SqliteEntry> {
    const all = scheduled ? 1 : 0
    const rows = this.retriable.all(JSON.stringify(seqs), all, now) as never as ReadonlyArray<Counted>
    if (rows.length === 0) return []
    for (const [, tenant, size, state] of rows) this.database.tally(tenant, size, state, stateNumber.due)
    return inOrder(
      this.makeDue.all(all, now, now, expiresAt, now, JSON.stringify(rows.map(([seq]) => seq))) as never,
      seqs
    )
  }

  /** Withdraws waiting messages; returns their new rows. */
  cancel(seqs: ReadonlyArray<number>, now: number): ReadonlyArray<SqliteEntry> {
    const rows = this.makeCancelled.all(now, now, JSON.stringify(seqs)) as never as ReadonlyArray<SqliteEntry>
    for (const row of rows) this.count(row, stateNumber.due)
    return inOrder(rows, seqs)
  }

  /** Ends waiting messages whose time ran out. */
  expire(seqs: ReadonlyArray<number>, now: number): ReadonlyArray<ExpiredRow> {
    type Expired = ExpiredRow & { readonly size: number }
    const rows = this.makeExpired.all(now, now, JSON.stringify(seqs), now) as never as ReadonlyArray<Expired>
    return rows.map(({ size, ...row }) => {
      this.database.tally(row.tenant, size, stateNumber.due, stateNumber.expired)
      return row
    })
  }

  /** Deletes settled messages with their bodies and attempts; returns the number of messages. */
  purge(seqs: ReadonlyArray<number>): number {
    const rows = this.deleteRows.all(JSON.stringify(seqs)) as never as ReadonlyArray<Counted>
    if (rows.length === 0) return 0
    for (const [, tenant, size, state] of rows) this.database.tally(tenant, size, state, undefined)
    const gone = JSON.stringify(rows.map(([seq]) => seq))
    this.deleteBodiesOf(gone)
    this.deleteAttempts.run(gone)
    return rows.length
  }

  /** Deletes the bodies of messages that are still in a state; returns the number of bodies. */
  dropBodies(seqs: ReadonlyArray<number>, state: number): number {
    const rows = this.still.all(JSON.stringify(seqs), state) as never as ReadonlyArray<[seq: number]>
    return rows.length === 0 ? 0 : this.deleteBodiesOf(JSON.stringify(rows.map(([seq]) => seq)))
  }

  /** Deletes bodies, and uncounts the contents that they refer to. */
  private deleteBodiesOf(seqs: string): number {
    const rows = this.deleteBodies.all(seqs) as never as ReadonlyArray<[shared: string | null]>
    const uses = new Map<string, number>()
    for (const [shared] of rows) for (const ref of shared?.split(",") ?? []) uses.set(ref, (uses.get(ref) ?? 0) + 1)
    for (const [ref, count] of uses) this.uncount.run(count, Number(ref))
    return rows.length
  }

  private count(row: SqliteEntry, from: number): void {
    this.database.tally(row[tenantAt] as string, row[sizeAt] as number, from, row[stateAt] as number)
  }
}

/** Sorts rows into the order in which they were found; a statement returns changed rows in an order of its own. */
const inOrder = (rows: ReadonlyArray<SqliteEntry>, seqs: ReadonlyArray<number>): ReadonlyArray<SqliteEntry> => {
  const bySeq = new Map(rows.map((row) => [row[seqAt], row]))
  return seqs.flatMap((seq) => {
    const row = bySeq.get(seq)
    return row === undefined ? [] : [row]
  })
}
