/**
 * The dispatcher's side of SQLite: the lock, recovery, claims, settlements.
 *
 * The lock is an exclusive transaction that stays open on a second file beside the first. The operating system drops it
 * with the process, whatever ends it, so there is never a stale one to remove. The file itself stays, empty.
 *
 * A claim is committed without waiting for the disk: were it lost with the power, the mail would be claimed again, which
 * is what a lost settlement does as well.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import * as Os from "node:os"
import type { Claimed, DueLane, DueLanes, ExpiredRow, LaneCursor, LaneQuota, Settlement } from "../OutboxStore.ts"
import type { Part } from "./partCache.ts"
import { choose } from "./priorityChoice.ts"
import { SqliteProblemError, stateNumber, type SqliteDatabase } from "./sqliteDatabase.ts"
import { unpack, type Content, type Stored } from "./storedContent.ts"

/** A claimed row as it crosses the thread; its shared contents follow by reference. */
export interface SqliteClaimed {
  readonly seq: number
  readonly id: string
  readonly tenant: string
  readonly lane: string
  readonly priority: number
  readonly recipient: string
  readonly messageId: string
  readonly key: string | null
  readonly attempts: number
  readonly retriedAt: number
  readonly watched: number
  readonly expiresAt: number
  readonly createdAt: number
  readonly trace: string | null
  readonly recipients: string | null
  readonly envelope: string | null
  readonly content: Content
  readonly shared: ReadonlyArray<number>
}

/** What a claim brought: mails to send, and those found to be over. */
export interface SqliteClaim {
  readonly rows: ReadonlyArray<SqliteClaimed>
  readonly expired: ReadonlyArray<ExpiredRow>
}

/** Lanes looked at in one call; a lane costs about 3 µs. */
const lanesLookedAt = 1000

/** Rows put back in one transaction at boot, so that other processes get their turn. */
const recoveryBatch = 10_000

const claimedColumns = `seq, id, tenant, lane, priority, recipient, message_id AS messageId, idem_key AS key,
  attempts, retried_at AS retriedAt, watched, expires_at AS expiresAt, created_at AS createdAt, trace, recipients`

/** The lock and all that needs it. */
export class SqliteDispatch {
  private readonly database: SqliteDatabase
  private readonly lanes: LaneStatements
  private readonly claimRow: StatementSync
  private readonly body: StatementSync
  private readonly part: StatementSync
  private readonly fence: StatementSync
  private readonly settleRow: StatementSync
  private readonly insertAttempt: StatementSync
  private readonly putBack: StatementSync
  private lock: DatabaseSync | undefined
  private epoch = 0

  constructor(database: SqliteDatabase) {
    this.database = database
    this.lanes = new LaneStatements(database)
    this.claimRow = database.prepare(
      `UPDATE outbox SET
         state = CASE WHEN expires_at > ?1 THEN ${stateNumber.claimed} ELSE ${stateNumber.expired} END,
         settled_at = CASE WHEN expires_at > ?1 THEN NULL ELSE ?1 END,
         attempts = attempts + (expires_at > ?1), epoch = ?2, updated_at = ?1
       WHERE seq = ?3 RETURNING ${claimedColumns}, state, size`
    )
    this.body = database.prepare("SELECT format, envelope, shared, payload AS data FROM outbox_body WHERE seq = ?")
    this.part = database.prepare("SELECT hash, format, payload AS data FROM outbox_shared WHERE ref = ?")
    this.fence = database.prepare("SELECT tenant, size, state FROM outbox WHERE seq = ? AND epoch = ? AND attempts = ?")
    this.settleRow = database.prepare(
      `UPDATE outbox SET state = ?, due_at = coalesce(?, due_at), settled_at = ?, updated_at = ?, last_relay = ?,
         last_code = ?, last_enhanced = ?, last_reply = ?, recipients = coalesce(?, recipients), watched = 0, crashes = 0
       WHERE seq = ?`
    )
    this.insertAttempt = database.prepare(
      `INSERT INTO attempt (seq, attempt_no, at, outcome, relay, code, enhanced, reply)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
    )
    this.putBack = database.prepare(
      `UPDATE outbox SET state = ${stateNumber.due}, attempts = attempts - 1, watched = min(watched, 1)
       WHERE seq = ? AND epoch = ? AND attempts = ? AND state = ${stateNumber.claimed} RETURNING tenant, size`
    )
  }

  /** Takes the lock, begins an epoch and puts back what a dead dispatcher left. */
  acquire(now: number, maxCrashes: number): { readonly epoch: number; readonly recovered: number } {
    this.takeLock()
    const { handle } = this.database
    const owner = JSON.stringify({ pid: process.pid, host: Os.hostname(), since: new Date(now).toISOString() })
    this.epoch = this.database.transaction(() => {
      handle
        .prepare("INSERT INTO outbox_meta VALUES ('dispatcher', ?) ON CONFLICT DO UPDATE SET value = excluded.value")
        .run(owner)
      const row = handle
        .prepare(
          `INSERT INTO outbox_meta VALUES ('epoch', '1')
           ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER) AS epoch`
        )
        .get() as { readonly epoch: number }
      return row.epoch
    })
    return { epoch: this.epoch, recovered: this.recover(now, maxCrashes) }
  }

  /** Gives the lock back. */
  release(): void {
    this.lock?.close()
    this.lock = undefined
  }

  dueLanes(after: LaneCursor, limit: number, now: number): DueLanes {
    const paused = this.lanes.paused()
    const found: Array<DueLane> = []
    let nextDueAt: number | undefined
    let cursor = after
    for (let looked = 0; looked < lanesLookedAt && found.length < limit; looked++) {
      cursor = this.lanes.next(cursor)
      if (cursor === undefined) return { lanes: found, next: undefined, nextDueAt }
      if (paused.has(cursor.lane)) continue
      const dueAt = this.lanes.firstDueAt(cursor)
      if (dueAt <= now) found.push(cursor)
      else nextDueAt = Math.min(nextDueAt ?? Infinity, dueAt)
    }
    return { lanes: found, next: cursor, nextDueAt }
  }

  claim(quotas: ReadonlyArray<LaneQuota>, now: number): SqliteClaim {
    const { handle, options } = this.database
    if (options.durability === "full") handle.exec("PRAGMA synchronous = NORMAL")
    try {
      return this.database.transaction(() => {
        const rows: Array<SqliteClaimed> = []
        const expired: Array<ExpiredRow> = []
        const paused = this.lanes.paused()
        for (const quota of quotas) {
          if (paused.has(quota.lane)) continue
          for (const seq of this.lanes.candidates(quota, now)) {
            const { state, size, ...row } = this.claimRow.get(now, this.epoch, seq) as unknown as Omit<
              SqliteClaimed,
              "envelope" | "content" | "shared"
            > & { state: number; size: number }
            this.database.tally(row.tenant, size, stateNumber.due, state)
            if (state === stateNumber.claimed) rows.push({ ...row, ...this.payload(seq) })
            else expired.push(row)
          }
        }
        return { rows, expired }
      })
    } finally {
      if (options.durability === "full") handle.exec("PRAGMA synchronous = FULL")
    }
  }

  /** The body of a row; an empty one when it was purged. */
  payload(seq: number): Pick<SqliteClaimed, "envelope" | "content" | "shared"> {
    const body = this.body.get(seq) as
      | (Stored & { readonly envelope: string | null; readonly shared: string | null })
      | undefined
    if (body === undefined) return nothing
    const shared = body.shared === null ? [] : body.shared.split(",").map(Number)
    return { envelope: body.envelope, content: unpack(body), shared }
  }

  /** What rows refer to. */
  parts(refs: ReadonlyArray<number>): ReadonlyArray<Part> {
    return refs.flatMap((ref) => {
      const part = this.part.get(ref) as (Stored & { readonly hash: string }) | undefined
      return part === undefined ? [] : [{ ref, hash: part.hash, content: unpack(part) }]
    })
  }

  settle(batch: ReadonlyArray<Settlement>): ReadonlyArray<number> {
    return this.database.transaction(() => {
      const settled: Array<number> = []
      for (const end of batch) {
        const row = this.fence.get(end.seq, end.epoch, end.attempts) as
          | { readonly tenant: string; readonly size: number; readonly state: number }
          | undefined
        if (row === undefined) continue
        settled.push(end.seq)
        // Settled already: the answer to this very call was lost.
        if (row.state > stateNumber.claimed) continue
        const state = stateNumber[end.state]
        this.settleRow.run(
          state,
          orNull(end.dueAt),
          end.state === "due" ? null : end.at,
          end.at,
          orNull(end.relay),
          orNull(end.code),
          orNull(end.enhanced),
          orNull(end.reply),
          orNull(end.recipients),
          end.seq
        )
        this.database.tally(row.tenant, row.size, row.state, state)
        if (end.outcome !== "accepted") {
          this.insertAttempt.run(
            end.seq,
            end.attempts,
            end.at,
            end.outcome,
            orNull(end.relay),
            orNull(end.code),
            orNull(end.enhanced),
            orNull(end.reply)
          )
        }
      }
      return settled
    })
  }

  /** Notes watched mails before they are begun. */
  begin(rows: ReadonlyArray<Claimed>): void {
    this.database.transaction(() => {
      const begin = this.database.prepare("UPDATE outbox SET watched = 2 WHERE seq = ? AND epoch = ? AND attempts = ?")
      for (const { attempts, epoch, seq } of rows) begin.run(seq, epoch, attempts)
    })
  }

  putBackRows(rows: ReadonlyArray<Claimed>): void {
    this.database.transaction(() => {
      for (const { attempts, epoch, seq } of rows) {
        const row = this.putBack.get(seq, epoch, attempts) as { tenant: string; size: number } | undefined
        if (row !== undefined) this.database.tally(row.tenant, row.size, stateNumber.claimed, stateNumber.due)
      }
    })
  }

  /** What is claimed since before a time. */
  claimedBefore(before: number): ReadonlyArray<Claimed> {
    return this.database
      .prepare(`SELECT seq, epoch, attempts FROM outbox WHERE state = ${stateNumber.claimed} AND updated_at < ?`)
      .all(before) as unknown as Array<Claimed>
  }

  private takeLock(): void {
    const lock = new DatabaseSync(`${this.database.options.path}-dispatcher`, { timeout: 0 })
    try {
      lock.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
    } catch (error) {
      lock.close()
      if ((error as { errcode?: number }).errcode !== 5) throw error
      const owner = this.database.prepare("SELECT value FROM outbox_meta WHERE name = 'dispatcher'").get() as
        | { readonly value: string }
        | undefined
      throw new SqliteProblemError({ ...(owner && JSON.parse(owner.value)), _tag: "AlreadyDispatching" })
    }
    this.lock = lock
  }

  /**
   * Puts back what was claimed, as if it had not been, and watches it from then on. A mail that was begun when the process
   * ended, for the second time, is given some distance from its neighbours, so that one that takes the process down does
   * not do so in their company, and is given up at last.
   */
  private recover(now: number, maxCrashes: number): number {
    const next = this.database.prepare(
      `SELECT seq, tenant, size, crashes + (watched = 2) AS crashes FROM outbox
       WHERE state = ${stateNumber.claimed} LIMIT ${recoveryBatch}`
    )
    const again = this.database.prepare(
      `UPDATE outbox SET state = ${stateNumber.due}, attempts = attempts - 1, watched = 1, crashes = ?,
         due_at = max(due_at, ?), updated_at = ? WHERE seq = ?`
    )
    const giveUp = this.database.prepare(
      `UPDATE outbox SET state = ${stateNumber.dead}, attempts = attempts - 1, watched = 0, crashes = ?1,
         settled_at = ?2, updated_at = ?2, last_reply = ?3 WHERE seq = ?4`
    )
    for (let recovered = 0; ;) {
      const rows = this.database.transaction(() => {
        const rows = next.all() as Array<{ seq: number; tenant: string; size: number; crashes: number }>
        for (const { crashes, seq, size, tenant } of rows) {
          const dead = crashes >= maxCrashes
          if (dead) giveUp.run(crashes, now, `the process ended ${crashes} times while this mail was on its way`, seq)
          else again.run(crashes, crashes < 2 ? 0 : now + Math.floor(Math.random() * 60_000), now, seq)
          this.database.tally(tenant, size, stateNumber.claimed, dead ? stateNumber.dead : stateNumber.due)
        }
        return rows.length
      })
      recovered += rows
      if (rows < recoveryBatch) return recovered
    }
  }
}

/** Finds lanes and what is due in them, each by one seek of the index of due mails. */
class LaneStatements {
  private readonly nextInBucket: StatementSync
  private readonly firstBehind: StatementSync
  private readonly firstDue: StatementSync
  private readonly dueNow: StatementSync
  private readonly pausedLanes: StatementSync

  constructor(database: SqliteDatabase) {
    // One comparison of both columns would walk through all mails of the lane that it starts from.
    this.nextInBucket = database.prepare(
      "SELECT bucket, lane FROM outbox WHERE state = 0 AND bucket = ? AND lane > ? ORDER BY lane LIMIT 1"
    )
    this.firstBehind = database.prepare(
      "SELECT bucket, lane FROM outbox WHERE state = 0 AND bucket > ? ORDER BY bucket, lane LIMIT 1"
    )
    this.firstDue = database.prepare(
      `SELECT due_at FROM outbox WHERE state = 0 AND bucket = ? AND lane = ? AND priority = ? ORDER BY due_at LIMIT 1`
    )
    this.dueNow = database.prepare(
      `SELECT seq FROM outbox WHERE state = 0 AND bucket = ? AND lane = ? AND priority = ? AND due_at <= ?
       ORDER BY due_at, seq LIMIT ?`
    )
    this.pausedLanes = database.prepare("SELECT lane FROM outbox_lane")
  }

  paused(): ReadonlySet<string> {
    return new Set((this.pausedLanes.all() as Array<{ lane: string }>).map(({ lane }) => lane))
  }

  next(after: LaneCursor): DueLane | undefined {
    const inBucket = after && this.nextInBucket.get(after.bucket, after.lane)
    return (inBucket ?? this.firstBehind.get(after?.bucket ?? -1)) as DueLane | undefined
  }

  firstDueAt({ bucket, lane }: DueLane): number {
    let first = Infinity
    for (let priority = 0; priority < 3; priority++) {
      const row = this.firstDue.get(bucket, lane, priority) as { readonly due_at: number } | undefined
      if (row !== undefined && row.due_at < first) first = row.due_at
    }
    return first
  }

  candidates({ bucket, lane, limit }: LaneQuota, now: number): ReadonlyArray<number> {
    const seqs = (priority: number) =>
      (this.dueNow.all(bucket, lane, priority, now, limit) as Array<{ seq: number }>).map(({ seq }) => seq)
    return choose([seqs(0), seqs(1), seqs(2)], limit)
  }
}

const nothing: Pick<SqliteClaimed, "envelope" | "content" | "shared"> = { envelope: null, content: "", shared: [] }

const orNull = (value: SQLInputValue | undefined): SQLInputValue => value ?? null
