/**
 * Puts messages back that a dead dispatcher had claimed in SQLite, as if they had not been claimed, and watches them
 * from then on.
 *
 * A message during which processes ended twice comes back some time apart from its neighbours. If it crashes its process
 * again, it does so alone, and is given up at last. One statement puts all the others back.
 */
import type { StatementSync } from "node:sqlite"
import type { ExpiredRow } from "../../OutboxStore.ts"
import { stateNumber, type SqliteDatabase } from "./file/database.ts"
import * as Sql from "./sql/recovery.ts"

/** The number of crashes from which a message comes back apart from the others. */
const suspect = 2

/** The number of claimed messages, and those that are given up. */
export interface Recovered {
  readonly recovered: number
  readonly givenUp: ReadonlyArray<ExpiredRow>
}

type Lost = [seq: number, tenant: string, size: number, crashes: number]

/** Recovers claimed messages. */
export class SqliteRecovery {
  private readonly database: SqliteDatabase
  private readonly lost: StatementSync
  private readonly bulk: StatementSync
  private readonly apart: StatementSync
  private readonly giveUp: StatementSync

  constructor(database: SqliteDatabase) {
    this.database = database
    this.lost = database.prepareArrays(Sql.lost)
    this.bulk = database.prepare(Sql.bulk)
    this.apart = database.prepare(Sql.apart)
    this.giveUp = database.prepare(Sql.giveUp)
  }

  /** Puts all of them back, except messages during which `maxCrashes` processes ended. */
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
    const bulk: Array<number> = []
    for (const [seq, tenant, size, crashes] of rows) {
      const isDead = crashes >= maxCrashes
      if (isDead) {
        const reply = `the process ended ${crashes} times while this message was on its way`
        givenUp.push(this.giveUp.get(crashes, now, now, reply, seq) as unknown as ExpiredRow)
      } else if (crashes >= suspect) {
        this.apart.run(crashes, now + Math.floor(Math.random() * 60_000), now, seq)
      } else bulk.push(seq)
      this.database.tally(tenant, size, stateNumber.claimed, isDead ? stateNumber.dead : stateNumber.due)
    }
    if (bulk.length > 0) this.bulk.run(now, JSON.stringify(bulk))
    return rows.length
  }
}
