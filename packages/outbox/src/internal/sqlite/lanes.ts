/**
 * Finds the lanes of a SQLite file with due messages, and those messages, each by one seek of the index of due
 * messages.
 */
import type { StatementSync } from "node:sqlite"
import type { DueLane, DueLanes, LaneCursor, LaneQuota } from "../../OutboxStore.ts"
import * as Lane from "../../Lane.ts"
import { priorities } from "../../OutboxEntry.ts"
import { choose } from "../store/priorityChoice.ts"
import type { SqliteDatabase } from "./file/database.ts"
import * as Sql from "./sql/lanes.ts"

/** The lanes examined in one call; a lane costs about 3 µs. */
const lanesLookedAt = 1000

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
    this.moveSome = database.prepare(Sql.moveSome)
    this.nextInBucket = database.prepare(Sql.nextInBucket)
    this.firstBehind = database.prepare(Sql.firstBehind)
    this.firstDue = database.prepareArrays(Sql.firstDue)
    this.dueNow = database.prepareArrays(Sql.dueNow)
    this.pausedLanes = database.prepare(Sql.pausedLanes)
  }

  /** Lanes with due messages, after a cursor. */
  due(after: LaneCursor, limit: number, now: number): DueLanes {
    const paused = this.paused()
    const found: Array<DueLane> = []
    let nextDueAt: number | undefined
    let cursor = after
    for (let looked = 0; looked < lanesLookedAt && found.length < limit; looked++) {
      const before: DueLane = cursor ?? { bucket: -1, lane: "" }
      cursor = this.next(cursor)
      if (cursor === undefined) return { lanes: found, next: undefined, nextDueAt }
      const dueLane = { bucket: Lane.bucket(cursor.lane), lane: cursor.lane }
      if (cursor.bucket !== dueLane.bucket && !this.move(cursor)) return { lanes: found, next: before, nextDueAt }
      if (paused.has(cursor.lane)) continue
      const { dueAt, seq } = this.firstOf(dueLane)
      if (dueAt <= now) found.push({ ...dueLane, first: seq })
      else nextDueAt = Math.min(nextDueAt ?? Infinity, dueAt)
    }
    return { lanes: found, next: cursor, nextDueAt }
  }

  /** The messages to claim by their `seq`, in the order of the quotas; none of a paused lane. */
  candidates(quotas: ReadonlyArray<LaneQuota>, now: number): ReadonlyArray<number> {
    return this.unpaused(quotas).flatMap((quota) => this.candidatesOf(quota, now))
  }

  /** The quotas of lanes that are not paused. */
  unpaused(quotas: ReadonlyArray<LaneQuota>): ReadonlyArray<LaneQuota> {
    const paused = this.paused()
    return quotas.filter(({ lane }) => !paused.has(lane))
  }

  private candidatesOf({ bucket, lane, limit }: LaneQuota, now: number): ReadonlyArray<number> {
    const values = priorities.flatMap(() => [bucket, lane, now, limit])
    const rows = this.dueNow.all(...values) as never as ReadonlyArray<[seq: number, priority: number]>
    const classes = priorities.map((): Array<number> => [])
    for (const [seq, priority] of rows) classes[priority]!.push(seq)
    return choose(classes, limit)
  }

  /**
   * Moves waiting messages to their lane's bucket, if a process with fewer buckets stored them in another one (see `Lane`).
   * Returns true if none is left to move.
   */
  private move({ bucket, lane }: DueLane): boolean {
    return this.database.transaction(() => this.moveSome.run(Lane.bucket(lane), bucket, lane).changes < Sql.movedAtOnce)
  }

  private paused(): ReadonlySet<string> {
    return new Set((this.pausedLanes.all() as Array<{ lane: string }>).map(({ lane }) => lane))
  }

  private next(after: LaneCursor): DueLane | undefined {
    const inBucket = after && this.nextInBucket.get(after.bucket, after.lane)
    return (inBucket ?? this.firstBehind.get(after?.bucket ?? -1)) as DueLane | undefined
  }

  private firstOf({ bucket, lane }: DueLane): { readonly dueAt: number; readonly seq: number } {
    let first = { dueAt: Infinity, seq: Infinity }
    for (let priority = 0; priority < priorities.length; priority++) {
      const row = this.firstDue.get(bucket, lane, priority) as never as [dueAt: number, seq: number] | undefined
      if (row !== undefined && row[0] < first.dueAt) first = { dueAt: row[0], seq: row[1] }
    }
    return first
  }
}
