/**
 * The statements that walk the lanes of a SQLite file.
 */
import { priorities } from "../../../OutboxEntry.ts"

/** The number of rows that one transaction moves to their lane's bucket. */
export const movedAtOnce = 5000

/** With `LIMIT ?`, SQLite would plan the statement anew for each value that is bound, at five times its cost. */
const dueOfPriority = (priority: number) =>
  `SELECT * FROM (SELECT seq, priority FROM outbox WHERE state = 0 AND bucket = ? AND lane = ?
     AND priority = ${priority} AND due_at <= ? ORDER BY due_at, seq LIMIT +?)`

/** The due rows of a lane, of each priority. */
export const dueNow = priorities.map((_, priority) => dueOfPriority(priority)).join(" UNION ALL ")

/** Moves waiting rows to their lane's bucket. */
export const moveSome = `UPDATE outbox SET bucket = ? WHERE seq IN (
  SELECT seq FROM outbox WHERE state = 0 AND bucket = ? AND lane = ? ORDER BY priority, due_at, seq
  LIMIT ${movedAtOnce})`

/**
 * The next lane in the same bucket. One comparison of both columns would walk through all messages of the lane that it starts
 * from.
 */
export const nextInBucket =
  "SELECT bucket, lane FROM outbox WHERE state = 0 AND bucket = ? AND lane > ? ORDER BY lane LIMIT 1"

/** The first lane behind a bucket. */
export const firstBehind =
  "SELECT bucket, lane FROM outbox WHERE state = 0 AND bucket > ? ORDER BY bucket, lane LIMIT 1"

/** The row of one lane and priority that is due first. */
export const firstDue = `SELECT due_at, seq FROM outbox WHERE state = 0 AND bucket = ? AND lane = ? AND priority = ?
  ORDER BY due_at, seq LIMIT 1`

export const pausedLanes = "SELECT lane FROM outbox_lane"
