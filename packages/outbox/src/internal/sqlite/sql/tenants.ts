/**
 * The statements that find the due messages of each tenant of a lane in a SQLite file.
 */
import { priorities } from "../../../OutboxEntry.ts"

/**
 * Created when a dispatcher first claims by tenant, so that other outboxes do not pay for it: half a second for each
 * million messages.
 */
export const createIndex = `CREATE INDEX IF NOT EXISTS outbox_due_tenant ON outbox (bucket, lane, tenant, priority, due_at, seq)
  WHERE state = 0`

const indexed = "outbox INDEXED BY outbox_due_tenant WHERE state = 0 AND bucket = ? AND lane = ?"

/** The first tenant of a lane with waiting messages. */
export const firstTenant = `SELECT tenant FROM ${indexed} ORDER BY tenant LIMIT 1`

/** The next tenant of a lane. */
export const nextTenant = `SELECT tenant FROM ${indexed} AND tenant > ? ORDER BY tenant LIMIT 1`

/** With `LIMIT ?`, SQLite would plan the statement anew for each value that is bound. */
const dueOfPriority = (priority: number) =>
  `SELECT * FROM (SELECT seq, priority FROM ${indexed} AND tenant = ?
     AND priority = ${priority} AND due_at <= ? ORDER BY due_at, seq LIMIT +?)`

/** The due rows of a tenant in a lane, of each priority. */
export const dueNow = priorities.map((_, priority) => dueOfPriority(priority)).join(" UNION ALL ")
