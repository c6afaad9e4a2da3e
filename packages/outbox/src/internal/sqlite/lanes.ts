/**
 * Which lanes of a SQLite file have something due, and what it is: each found by one seek of the index of due mails.
 */
import type { StatementSync } from "node:sqlite"
import type { DueLane, DueLanes, LaneCursor, LaneQuota } from "../../OutboxStore.ts"
import * as Lane from "../../Lane.ts"
import { choose } from "../store/priorityChoice.ts"
import type { SqliteDatabase } from "./database.ts"

/** Lanes looked at in one call; a lane costs about 3 µs. */
const lanesLookedAt = 1000

/** Rows that are moved to their lane's bucket in one transaction. */
const movedAtOnce = 5000

/** Looks through the lanes. */
export class SqliteLanes {
  private readonly nextInBucket: StatementSync
  private readonly firstBehind: StatementSync
  private readonly firstDue: StatementSync
  private readonly dueNow: StatementSync
  private readonly pausedLanes: StatementSync
  private readonly moveSome: StatementSync
  private readonly database: SqliteDatabase

  constructor(database: SqliteDatabase) {
    this.database = database
    this.moveSome = database.prepare(
      `UPDATE outbox SET bucket = ?1 WHERE seq IN (
         SELECT seq FROM outbox WHERE state = 0 AND bucket = ?2 AND lane = ?3 ORDER BY priority, due_at, seq
         LIMIT ${movedAtOnce})`
    )
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
    this.dueNow = database.prepareArrays(
      `SELECT seq FROM outbox WHERE state = 0 AND bucket = ? AND lane = ? AND priority = ? AND due_at <= ?
       ORDER BY due_at, seq LIMIT ?`
    )
    this.pausedLanes = database.prepare("SELECT lane FROM outbox_lane")
  }

  /** Lanes with something due after a cursor. */
  due(after: LaneCursor, limit: number, now: number): DueLanes {
    const paused = this.paused()
    const found: Array<DueLane> = []
    let nextDueAt: number | undefined
    let cursor = after
    for (let looked = 0; looked < lanesLookedAt && found.length < limit; looked++) {
      const before: DueLane = cursor ?? { bucket: -1, lane: "" }
      cursor = this.next(cursor)
      if (cursor === undefined) return { lanes: found, next: undefined, nextDueAt }
      const place = { bucket: Lane.bucket(cursor.lane), lane: cursor.lane }
      if (cursor.bucket !== place.bucket && !this.move(cursor)) return { lanes: found, next: before, nextDueAt }
      if (paused.has(cursor.lane)) continue
      const dueAt = this.firstDueAt(place)
      if (dueAt <= now) found.push(place)
      else nextDueAt = Math.min(nextDueAt ?? Infinity, dueAt)
    }
    return { lanes: found, next: cursor, nextDueAt }
  }

  /** The mails to claim by their `seq`, in the order of the quotas; none of a lane that is paused. */
  candidates(quotas: ReadonlyArray<LaneQuota>, now: number): ReadonlyArray<number> {
    const paused = this.paused()
    return quotas.flatMap((quota) => (paused.has(quota.lane) ? [] : this.candidatesOf(quota, now)))
  }

  private candidatesOf({ bucket, lane, limit }: LaneQuota, now: number): ReadonlyArray<number> {
    const seqs = (priority: number) =>
      (this.dueNow.all(bucket, lane, priority, now, limit) as unknown as Array<[seq: number]>).map(([seq]) => seq)
    return choose([seqs(0), seqs(1), seqs(2)], limit)
  }

  /**
   * Moves waiting mails to their lane's bucket: those of a process with fewer buckets, see `Lane`. Tells whether none is left.
   */
  private move({ bucket, lane }: DueLane): boolean {
    return this.database.transaction(() => this.moveSome.run(Lane.bucket(lane), bucket, lane).changes < movedAtOnce)
  }

  private paused(): ReadonlySet<string> {
    return new Set((this.pausedLanes.all() as Array<{ lane: string }>).map(({ lane }) => lane))
  }

  private next(after: LaneCursor): DueLane | undefined {
    const inBucket = after && this.nextInBucket.get(after.bucket, after.lane)
    return (inBucket ?? this.firstBehind.get(after?.bucket ?? -1)) as DueLane | undefined
  }

  private firstDueAt({ bucket, lane }: DueLane): number {
    let first = Infinity
    for (let priority = 0; priority < 3; priority++) {
      const row = this.firstDue.get(bucket, lane, priority) as { readonly due_at: number } | undefined
      if (row !== undefined && row.due_at < first) first = row.due_at
    }
    return first
  }
}
