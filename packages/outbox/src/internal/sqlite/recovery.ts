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
import * as Sql from "./sql/recovery.ts"

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
    this.lost = database.prepareArrays(Sql.lost)
    this.together = database.prepare(Sql.together)
    this.apart = database.prepare(Sql.apart)
    this.giveUp = database.prepare(Sql.giveUp)
  }

  /** Puts all of it back, but for mails that `maxCrashes` processes ended on. */
  recover(now: number, maxCrashes: number): Recovered {
    const givenUp: Array<ExpiredRow> = []
    for (let recovered = 0; ;) {
      const rows = this.database.transaction(() => this.step(now, maxCrashes, givenUp))
      recovered += rows
      if (rows < Sql.batch) return { recovered, givenUp }
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
