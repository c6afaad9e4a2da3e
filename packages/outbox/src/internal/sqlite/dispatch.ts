/**
 * The dispatcher's side of SQLite: the lock, settlements, and released claims. `SqliteClaims` claims.
 *
 * The lock is an exclusive transaction that stays open on a second file beside the first, named after the first's
 * real path. The operating system drops it with the process, whatever ends it, so there is never a stale lock to
 * remove. The file itself stays, empty.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite"
import { existsSync } from "node:fs"
import * as Os from "node:os"
import * as Lane from "../../Lane.ts"
import * as PrivateFile from "../store/privateFile.ts"
import type { DispatcherRow } from "../store/queries.ts"
import type { Claimed, LaneQuota, TenantQuota } from "../../OutboxStore.ts"
import type { SqliteClaim, SqliteClaims } from "./claim.ts"
import { SqliteProblemError, stateNumber, type SqliteDatabase } from "./file/database.ts"
import type { SettlementTuple } from "./settlementTuple.ts"
import { SqliteRecovery, type Recovered } from "./recovery.ts"
import * as Sql from "./sql/dispatch.ts"

/** The lock and everything that needs it. */
export class SqliteDispatch {
  private readonly database: SqliteDatabase
  private readonly claims: SqliteClaims
  private readonly fence: StatementSync
  private readonly settleRow: StatementSync
  private readonly insertAttempt: StatementSync
  private readonly releaseRow: StatementSync
  private lock: DatabaseSync | undefined
  private epoch = 0

  constructor(database: SqliteDatabase, claims: SqliteClaims) {
    this.database = database
    this.claims = claims
    this.fence = database.prepareArrays(Sql.fence)
    this.settleRow = database.prepare(Sql.settleRow)
    this.insertAttempt = database.prepare(Sql.insertAttempt)
    this.releaseRow = database.prepare(Sql.releaseRow)
  }

  /** Takes the lock, begins an epoch and puts back the messages that a dead dispatcher left claimed. */
  dispatch(now: number, maxCrashes: number): { readonly epoch: number } & Recovered {
    // The file may have got a second name since it was opened.
    this.database.checkLocation()
    this.takeLock()
    const { handle } = this.database
    const owner = JSON.stringify({ pid: process.pid, host: Os.hostname(), since: new Date(now).toISOString() })
    this.epoch = this.database.transaction(() => {
      handle.prepare(Sql.setDispatcher).run(owner)
      const row = handle.prepare(Sql.nextEpoch).get() as { readonly epoch: number }
      return row.epoch
    })
    return { epoch: this.epoch, ...new SqliteRecovery(this.database).recover(now, maxCrashes) }
  }

  /** The process that holds the lock, if there is one. */
  dispatchers(): ReadonlyArray<DispatcherRow> {
    if (this.lock === undefined && !this.isLocked()) return []
    const { host, pid, since } = this.owner
    const claimed = this.database.prepare(Sql.claimedMails).get() as { readonly mails: number }
    return [
      {
        name: `${host}/${pid}`,
        since: since === undefined ? 0 : Date.parse(since),
        buckets: Lane.buckets,
        inFlight: Number(claimed.mails),
        beatAt: undefined
      }
    ]
  }

  /** Drops the lock. */
  endDispatch(): void {
    this.lock?.close()
    this.lock = undefined
  }

  claim(quotas: ReadonlyArray<LaneQuota>, now: number, tenants?: ReadonlyArray<TenantQuota>): SqliteClaim {
    return this.claims.claim(quotas, this.epoch, now, tenants)
  }

  /** Records outcomes; returns the seqs whose fence held. */
  settle(batch: ReadonlyArray<SettlementTuple>): ReadonlyArray<number> {
    return this.database.transaction(() => batch.filter((end) => this.settleOne(end)).map(([seq]) => seq))
  }

  /** Marks watched messages before their attempt begins. */
  begin(rows: ReadonlyArray<Claimed>): void {
    this.database.transaction(() => {
      const begin = this.database.prepare(Sql.markBegun)
      for (const { attempts, epoch, seq } of rows) begin.run(seq, epoch, attempts)
    })
  }

  /** Makes claimed messages that were not begun due again, and uncounts their attempt. */
  release(rows: ReadonlyArray<Claimed>): void {
    this.database.transaction(() => {
      for (const { attempts, epoch, seq } of rows) {
        const row = this.releaseRow.get(seq, epoch, attempts) as { tenant: string; size: number } | undefined
        if (row !== undefined) this.database.tally(row.tenant, row.size, stateNumber.claimed, stateNumber.due)
      }
    })
  }

  /** Messages that were claimed before a time and may have been lost since. */
  reclaimable(before: number): ReadonlyArray<Claimed> {
    return this.database.prepare(Sql.reclaimable).all(before) as unknown as Array<Claimed>
  }

  private settleOne(end: SettlementTuple): boolean {
    const [seq, epoch, attempts, ended, at, dueAt, outcome, relay, code, enhanced, reply, recipients] = end
    const row = this.fence.get(seq, epoch, attempts) as unknown as
      | [tenant: string, size: number, state: number]
      | undefined
    if (row === undefined) return false
    const [tenant, size, before] = row
    // Settled already: the answer to the same call was lost.
    if (before > stateNumber.claimed) return true
    const state = stateNumber[ended]
    const settledAt = ended === "due" ? null : at
    this.settleRow.run(state, dueAt, settledAt, at, relay, code, enhanced, reply, recipients, seq)
    this.database.tally(tenant, size, before, state)
    if (outcome !== "accepted") this.insertAttempt.run(seq, attempts, at, outcome, relay, code, enhanced, reply)
    return true
  }

  private takeLock(): void {
    const lock = new DatabaseSync(PrivateFile.beside(this.database.options.path, "-dispatcher"), {
      timeout: longestLook
    })
    try {
      lock.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
    } catch (error) {
      lock.close()
      if ((error as { errcode?: number }).errcode !== 5) throw error
      throw new SqliteProblemError({ ...this.owner, _tag: "AlreadyDispatching" })
    }
    this.lock = lock
  }

  /** The process that took the lock last. */
  private get owner(): Owner {
    const row = this.database.prepare(Sql.dispatcher).get() as { readonly value: string } | undefined
    return JSON.parse(row?.value ?? "{}") as Owner
  }

  /** True if another process holds the lock: its file cannot be read then. */
  private isLocked(): boolean {
    const path = `${this.database.options.path}-dispatcher`
    if (!existsSync(path)) return false
    const lock = new DatabaseSync(path, { readOnly: true, timeout: 0 })
    try {
      lock.exec("SELECT count(*) FROM sqlite_schema")
      return false
    } catch (error) {
      return (error as { errcode?: number }).errcode === 5
    } finally {
      lock.close()
    }
  }
}

/** The stored description of the process that took the lock. */
interface Owner {
  readonly pid?: number
  readonly host?: string
  readonly since?: string
}

/** The time for which a look at the lock may delay a process that takes it, in milliseconds. */
const longestLook = 100
