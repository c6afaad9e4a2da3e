/**
 * Claiming mails from SQLite, and reading what is stored of them.
 *
 * A batch is read by one statement and changed by another. A statement for each mail, with `RETURNING` and rows as
 * objects, was measured at two and a half times the cost.
 *
 * A claim is committed without waiting for the disk: were it lost with the power, the mail would be claimed again, which
 * is what a lost settlement does as well.
 */
import type { StatementSync } from "node:sqlite"
import type { ExpiredRow, LaneQuota } from "../../OutboxStore.ts"
import { packContents } from "../store/packedContents.ts"
import type { Part } from "../store/partCache.ts"
import { stateNumber, type SqliteDatabase } from "./database.ts"
import type { SqliteLanes } from "./lanes.ts"
import type { SqliteMail, SqliteMails } from "./mail.ts"
import { unpack, type Stored } from "../store/storedContent.ts"
import * as Sql from "./sql/claim.ts"

/** What a claim brought: mails to send, and those found to be over. */
export interface SqliteClaim extends SqliteMails {
  readonly expired: ReadonlyArray<ExpiredRow>
}

/** Claims and reads mails. */
export class SqliteClaims {
  private readonly database: SqliteDatabase
  private readonly lanes: SqliteLanes
  private readonly chosen: StatementSync
  private readonly byId: StatementSync
  private readonly part: StatementSync
  private readonly markClaimed: StatementSync
  private readonly markExpired: StatementSync

  constructor(database: SqliteDatabase, lanes: SqliteLanes) {
    this.database = database
    this.lanes = lanes
    this.chosen = database.prepareArrays(Sql.chosen)
    this.byId = database.prepareArrays(Sql.byId)
    this.part = database.prepare(Sql.part)
    this.markClaimed = database.prepare(Sql.markClaimed)
    this.markExpired = database.prepare(Sql.markExpired)
  }

  /** Claims what is due for an epoch; mails whose time is over end as `expired`. */
  claim(quotas: ReadonlyArray<LaneQuota>, epoch: number, now: number): SqliteClaim {
    const { handle, options } = this.database
    if (options.durability === "full") handle.exec("PRAGMA synchronous = NORMAL")
    try {
      return this.database.transaction(() => {
        const mails: Array<SqliteMail> = []
        const expired: Array<ExpiredRow> = []
        const seqs: Array<number> = []
        const chosen = this.chosen.all(JSON.stringify(this.lanes.candidates(quotas, now)))
        for (const mail of chosen as never as Array<SqliteMail>) {
          const [, , size, seq, id, tenant, lane, messageId, attempts, expiresAt] = mail
          if (expiresAt > now) {
            seqs.push(seq)
            mails.push(mail)
            this.database.tally(tenant, size, stateNumber.due, stateNumber.claimed)
          } else {
            expired.push({ seq, id, tenant, lane, messageId, attempts: attempts - 1 })
            this.database.tally(tenant, size, stateNumber.due, stateNumber.expired)
          }
        }
        if (seqs.length > 0) this.markClaimed.run(epoch, now, JSON.stringify(seqs))
        if (expired.length > 0) this.markExpired.run(epoch, now, now, JSON.stringify(expired.map(({ seq }) => seq)))
        return { ...withContents(mails), expired }
      })
    } finally {
      if (options.durability === "full") handle.exec("PRAGMA synchronous = FULL")
    }
  }

  /** A mail by its id; none when it is not there or its body was purged. */
  mail(id: string): SqliteMails {
    return withContents(this.byId.all(id) as never as Array<SqliteMail>)
  }

  /** What mails refer to. */
  parts(refs: ReadonlyArray<number>): ReadonlyArray<Part> {
    return refs.flatMap((ref) => {
      const part = this.part.get(ref) as (Stored & { readonly hash: string }) | undefined
      return part === undefined ? [] : [{ ref, hash: part.hash, content: unpack(part) }]
    })
  }
}

/** Takes what is stored out of the mails and unpacks it. */
const withContents = (mails: ReadonlyArray<SqliteMail>): SqliteMails => {
  const contents = mails.map((mail) => {
    const [format, data] = mail
    mail[1] = null
    return data === null ? "" : unpack({ format, data })
  })
  return { mails, contents: packContents(contents) }
}
