/**
 * Claims messages from SQLite, and reads their stored form.
 *
 * One statement reads a batch and another changes it. One statement for each message, with `RETURNING` and rows as
 * objects, was measured at two and a half times the cost.
 *
 * A claim is committed without waiting for the disk. If the power fails and the claim is lost, the message is claimed
 * again, which is what happens after a lost settlement as well.
 */
import type { StatementSync } from "node:sqlite"
import type { ExpiredRow, HeldTenant, LaneQuota, TenantQuota } from "../../OutboxStore.ts"
import { packContents } from "../store/packedContents.ts"
import type { Part } from "../store/partCache.ts"
import { stateNumber, type SqliteDatabase } from "./file/database.ts"
import type { SqliteLanes } from "./lanes.ts"
import { SqliteTenants } from "./tenants.ts"
import type { SqliteMail, SqliteMails } from "./rows/mail.ts"
import { unpack, type Stored } from "../store/storedContent.ts"
import * as Sql from "./sql/claim.ts"

/** The result of a claim: messages to send, and those whose time ran out. */
export interface SqliteClaim extends SqliteMails {
  readonly expired: ReadonlyArray<ExpiredRow>
  readonly held: ReadonlyArray<HeldTenant> | undefined
}

/** Claims and reads messages. */
export class SqliteClaims {
  private readonly database: SqliteDatabase
  private readonly lanes: SqliteLanes
  private readonly tenants: SqliteTenants
  private readonly chosen: StatementSync
  private readonly byId: StatementSync
  private readonly part: StatementSync
  private readonly markClaimed: StatementSync
  private readonly markExpired: StatementSync

  constructor(database: SqliteDatabase, lanes: SqliteLanes) {
    this.database = database
    this.lanes = lanes
    this.tenants = new SqliteTenants(database)
    this.chosen = database.prepareArrays(Sql.chosen)
    this.byId = database.prepareArrays(Sql.byId)
    this.part = database.prepare(Sql.part)
    this.markClaimed = database.prepare(Sql.markClaimed)
    this.markExpired = database.prepare(Sql.markExpired)
  }

  /** Claims due messages for an epoch; messages whose time ran out end as `expired`. */
  claim(
    quotas: ReadonlyArray<LaneQuota>,
    epoch: number,
    now: number,
    tenants: ReadonlyArray<TenantQuota> | undefined
  ): SqliteClaim {
    if (tenants !== undefined) this.tenants.open()
    const { handle, options } = this.database
    if (options.durability === "full") handle.exec("PRAGMA synchronous = NORMAL")
    try {
      return this.database.transaction(() => {
        const mails: Array<SqliteMail> = []
        const expired: Array<ExpiredRow> = []
        const seqs: Array<number> = []
        const { held, seqs: candidates } =
          tenants === undefined
            ? { held: undefined, seqs: this.lanes.candidates(quotas, now) }
            : this.tenants.candidates(this.lanes.unpaused(quotas), tenants, now)
        const chosen = this.chosen.all(JSON.stringify(candidates))
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
        return { ...withContents(mails), expired, held }
      })
    } finally {
      if (options.durability === "full") handle.exec("PRAGMA synchronous = FULL")
    }
  }

  /** A message by its id; empty if it is missing or its body was purged. */
  mail(id: string): SqliteMails {
    return withContents(this.byId.all(id) as never as Array<SqliteMail>)
  }

  /** The shared contents that messages refer to. */
  parts(refs: ReadonlyArray<number>): ReadonlyArray<Part> {
    return refs.flatMap((ref) => {
      const part = this.part.get(ref) as (Stored & { readonly hash: string }) | undefined
      return part === undefined ? [] : [{ ref, hash: part.hash, content: unpack(part) }]
    })
  }
}

/** Unpacks the stored contents and separates them from the messages. */
const withContents = (mails: ReadonlyArray<SqliteMail>): SqliteMails => {
  const contents = mails.map((mail) => {
    const [format, data] = mail
    mail[1] = null
    return data === null ? "" : unpack({ format, data })
  })
  return { mails, contents: packContents(contents) }
}
