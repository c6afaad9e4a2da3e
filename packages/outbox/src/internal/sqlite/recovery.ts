/**
 * Putting back what a dispatcher that is gone had claimed in SQLite, as if it had not been, and watching it from then on.
 *
 * A mail that was begun when the process ended, for the second time, is given some distance from its neighbours, so that
 * one that takes the process down does not do so in their company, and is given up at last. The others are put back by
 * one statement for all of them.
 */
import type { StatementSync } from "node:sqlite"
import type { ExpiredRow } from "../../OutboxStore.ts"
import { stateNumber, type SqliteDatabase } from "./database.ts"

/** Rows put back in one transaction, so that other processes get their turn. */
const batch = 10_000

/** From how many crashes on a mail comes back apart from the others. */
const suspect = 2

/** How many mails were claimed, and which of them are given up. */
export interface Recovered {
  readonly recovered: number
  readonly givenUp: ReadonlyArray<ExpiredRow>
}

type Lost = [seq: number, tenant: string, size: number, crashes: number]

/** Recovers what was claimed. */
export class SqliteRecovery {
  private readonly database: SqliteDatabase
  private readonly lost: StatementSync
  private readonly together: StatementSync
  private readonly apart: StatementSync
  private readonly giveUp: StatementSync

  constructor(database: SqliteDatabase) {
    this.database = database
    // By seq and not by bucket, as the index has it, or each batch would write most pages of the table.
    this.lost = database.prepareArrays(
      `SELECT seq, tenant, size, crashes + (watched = 2) FROM outbox WHERE seq IN (
         SELECT seq FROM outbox INDEXED BY outbox_claimed WHERE state = ${stateNumber.claimed} ORDER BY seq LIMIT ${batch})`
    )
    this.together = database.prepare(
      `UPDATE outbox SET state = ${stateNumber.due}, attempts = attempts - 1, crashes = crashes + (watched = 2),
         watched = 1, updated_at = ? WHERE seq IN (SELECT value FROM json_each(?))`
    )
    this.apart = database.prepare(
      `UPDATE outbox SET state = ${stateNumber.due}, attempts = attempts - 1, crashes = ?, watched = 1,
         due_at = max(due_at, ?), updated_at = ? WHERE seq = ?`
    )
    this.giveUp = database.prepare(
      `UPDATE outbox SET state = ${stateNumber.dead}, attempts = attempts - 1, watched = 0, crashes = ?,
         settled_at = ?, updated_at = ?, last_reply = ? WHERE seq = ?
       RETURNING seq, id, tenant, lane, message_id AS messageId, attempts`
    )
  }

  /** Puts all of it back, but for mails that `maxCrashes` processes ended on. */
  recover(now: number, maxCrashes: number): Recovered {
    const givenUp: Array<ExpiredRow> = []
    for (let recovered = 0; ;) {
      const rows = this.database.transaction(() => this.step(now, maxCrashes, givenUp))
      recovered += rows
      if (rows < batch) return { recovered, givenUp }
    }
  }

  private step(now: number, maxCrashes: number, givenUp: Array<ExpiredRow>): number {
    const rows = this.lost.all() as never as Array<Lost>
    const together: Array<number> = []
    for (const [seq, tenant, size, crashes] of rows) {
      const isDead = crashes >= maxCrashes
      if (isDead) {
        const reply = `the process ended ${crashes} times while this mail was on its way`
        givenUp.push(this.giveUp.get(crashes, now, now, reply, seq) as unknown as ExpiredRow)
      } else if (crashes >= suspect) {
        this.apart.run(crashes, now + Math.floor(Math.random() * 60_000), now, seq)
      } else together.push(seq)
      this.database.tally(tenant, size, stateNumber.claimed, isDead ? stateNumber.dead : stateNumber.due)
    }
    if (together.length > 0) this.together.run(now, JSON.stringify(together))
    return rows.length
  }
}
