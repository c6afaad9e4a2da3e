/**
 * Changing many mails in SQLite by one statement for all of them.
 *
 * Each method runs within a transaction and looks at the mails' states again, because they were found before the file was
 * locked. Mails are given by their `seq`; those that are no longer in a state to be changed are left as they are.
 */
import type { StatementSync } from "node:sqlite"
import type { ExpiredRow, RetryTerms } from "../../OutboxStore.ts"
import { stateNumber, type SqliteDatabase } from "./database.ts"
import { entryColumns, type SqliteEntry } from "./entry.ts"

type Counted = [seq: number, tenant: string, size: number, state: number]

const chosen = "seq IN (SELECT value FROM json_each(?))"
const [seqAt, stateAt, tenantAt, sizeAt] = ["seq", "state", "tenant", "size"].map((name) =>
  entryColumns.split(", ").indexOf(name)
) as [number, number, number, number]

/** A mail that was never tried, never in the hands of a process that ended, and is due later: it keeps its time. */
const keepsTime = "(? = 0 AND attempts = 0 AND watched = 0 AND due_at > ?)"

/** Changes mails. */
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
    this.retriable = database.prepareArrays(
      `SELECT seq, tenant, size, state FROM outbox WHERE ${chosen}
         AND state NOT IN (${stateNumber.claimed}, ${stateNumber.accepted})
         AND NOT (state = ${stateNumber.due} AND ${keepsTime})
         AND EXISTS (SELECT 1 FROM outbox_body WHERE outbox_body.seq = outbox.seq)`
    )
    this.makeDue = database.prepareArrays(
      `UPDATE outbox SET due_at = CASE WHEN ${keepsTime} THEN due_at ELSE min(due_at, ?) END,
         expires_at = CASE state WHEN ${stateNumber.due} THEN expires_at ELSE max(expires_at, ?) END,
         state = ${stateNumber.due}, retried_at = attempts, crashes = 0, settled_at = NULL, updated_at = ?
       WHERE ${chosen} RETURNING ${entryColumns}`
    )
    this.makeCancelled = database.prepareArrays(
      `UPDATE outbox SET state = ${stateNumber.cancelled}, settled_at = ?, updated_at = ?
       WHERE ${chosen} AND state = ${stateNumber.due} RETURNING ${entryColumns}`
    )
    this.makeExpired = database.prepare(
      `UPDATE outbox SET state = ${stateNumber.expired}, settled_at = ?, updated_at = ?
       WHERE ${chosen} AND state = ${stateNumber.due} AND expires_at <= ?
       RETURNING seq, id, tenant, lane, message_id AS messageId, attempts, size`
    )
    this.still = database.prepareArrays(`SELECT seq FROM outbox WHERE ${chosen} AND state = ?`)
    this.deleteRows = database.prepareArrays(
      `DELETE FROM outbox WHERE ${chosen} AND state > ${stateNumber.claimed} RETURNING seq, tenant, size, state`
    )
    this.deleteBodies = database.prepareArrays(`DELETE FROM outbox_body WHERE ${chosen} RETURNING shared`)
    this.deleteAttempts = database.prepare(`DELETE FROM attempt WHERE ${chosen}`)
    this.uncount = database.prepare("UPDATE outbox_shared SET refs = refs - ? WHERE ref = ?")
  }

  /** Makes mails due again whose body is still there; gives them as they are then. */
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

  /** Withdraws mails that wait; gives them as they are then. */
  cancel(seqs: ReadonlyArray<number>, now: number): ReadonlyArray<SqliteEntry> {
    const rows = this.makeCancelled.all(now, now, JSON.stringify(seqs)) as never as ReadonlyArray<SqliteEntry>
    for (const row of rows) this.count(row, stateNumber.due)
    return inOrder(rows, seqs)
  }

  /** Ends mails that wait and whose time is over. */
  expire(seqs: ReadonlyArray<number>, now: number): ReadonlyArray<ExpiredRow> {
    type Expired = ExpiredRow & { readonly size: number }
    const rows = this.makeExpired.all(now, now, JSON.stringify(seqs), now) as never as ReadonlyArray<Expired>
    return rows.map(({ size, ...row }) => {
      this.database.tally(row.tenant, size, stateNumber.due, stateNumber.expired)
      return row
    })
  }

  /** Deletes mails that are over, with all that is known of them; returns how many. */
  purge(seqs: ReadonlyArray<number>): number {
    const rows = this.deleteRows.all(JSON.stringify(seqs)) as never as ReadonlyArray<Counted>
    if (rows.length === 0) return 0
    for (const [, tenant, size, state] of rows) this.database.tally(tenant, size, state, undefined)
    const gone = JSON.stringify(rows.map(([seq]) => seq))
    this.deleteBodiesOf(gone)
    this.deleteAttempts.run(gone)
    return rows.length
  }

  /** Deletes the bodies of mails that are still in a state; returns how many. */
  dropBodies(seqs: ReadonlyArray<number>, state: number): number {
    const rows = this.still.all(JSON.stringify(seqs), state) as never as ReadonlyArray<[seq: number]>
    return rows.length === 0 ? 0 : this.deleteBodiesOf(JSON.stringify(rows.map(([seq]) => seq)))
  }

  /** Deletes bodies, and counts what they refer to once less. */
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

/** Rows in the order in which they were found; a statement returns what it changed in an order of its own. */
const inOrder = (rows: ReadonlyArray<SqliteEntry>, seqs: ReadonlyArray<number>): ReadonlyArray<SqliteEntry> => {
  const bySeq = new Map(rows.map((row) => [row[seqAt], row]))
  return seqs.flatMap((seq) => {
    const row = bySeq.get(seq)
    return row === undefined ? [] : [row]
  })
}
