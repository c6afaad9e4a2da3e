/**
 * Compares bodies apart from their rows with bodies inside them: the same messages pass through the same loop on
 * `node:sqlite`, in the outbox's own tables and in one table that holds the body as well.
 *
 * Each message takes the same steps as in the outbox: it is stored, claimed and read, and settled, in batches of 250 with a
 * commit each. A batch is claimed when the next one is stored, and settled when the one after that is.
 */
import * as Migrations from "@mailrace/outbox/Migrations"
import { DatabaseSync } from "node:sqlite"
import { performance } from "node:perf_hooks"
import type { MakeContestant } from "../Contestant.ts"
import { tempFolder } from "../internal/tempFolder.ts"

const batchSize = 250

const columns = `id, tenant, lane, bucket, priority, state, attempts, retried_at, epoch, due_at, expires_at, recipient,
  stored_message_id, size, created_at, updated_at`

const values = "?, '', 'reader.example', 7, 1, 0, 0, 0, 0, ?, ?, ?, '<@sender.example>', 1024, ?, ?"

const claiming =
  "UPDATE outbox SET state = 1, attempts = attempts + 1, epoch = 1, updated_at = ? WHERE seq BETWEEN ? AND ?"

const settling = `UPDATE outbox SET state = 2, settled_at = ?, updated_at = ?, last_relay = '127.0.0.1:25', last_code = 250,
  last_enhanced = '2.0.0', last_reply = '2.0.0 Ok: queued' WHERE seq BETWEEN ? AND ?`

/** The values for the placeholders of `values`. */
type Row = readonly [id: string, due: number, expires: number, recipient: string, created: number, updated: number]

export const make: MakeContestant = async (spec, messages) => {
  const folder = tempFolder()
  const database = new DatabaseSync(`${folder.path}/outbox.db`)
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32000")
  for (const { sql } of Migrations.sqlite) database.exec(sql)
  const store = spec.contestant.endsWith("-apart") ? apart(database) : whole(database)
  const claim = database.prepare(claiming)
  const settle = database.prepare(settling)
  let stored = 0
  let claimed = 0
  let settled = 0
  const isOver = () => settled === stored
  const commit = (write: () => void) => {
    database.exec("BEGIN IMMEDIATE")
    write()
    database.exec("COMMIT")
  }
  /** Stores the next `count` messages, and takes the earlier ones one step further; with 0, settles all of them. */
  const turn = (first: number, count: number, now: number) => {
    const [toClaim, toSettle] = [stored, claimed]
    if (count > 0) {
      commit(() => {
        for (let index = first; index < first + count; index++) {
          const recipient = messages.envelope(index).to[0]!
          const id = String(++stored).padStart(20, "0")
          store.insert(stored, [id, now, now + 432_000_000, recipient, now, now], messages.content(index))
        }
      })
    }
    if (toClaim > claimed) {
      commit(() => {
        store.read(claimed + 1, toClaim)
        claim.run(now, claimed + 1, toClaim)
      })
      claimed = toClaim
    }
    if (toSettle > settled) {
      commit(() => settle.run(now, now, settled + 1, toSettle))
      settled = toSettle
    }
  }
  return {
    concurrency: batchSize,
    send: async (batch) => {
      for (let done = 0; done < batch.count || !isOver();) {
        const count = Math.min(batchSize, batch.count - done)
        const begin = performance.now()
        turn(batch.first + done, count, Date.now())
        const ms = performance.now() - begin
        for (let index = 0; index < count; index++) batch.accepted(ms)
        done += count
      }
    },
    close: async () => {
      database.close()
      folder.remove()
    }
  }
}

interface Store {
  readonly insert: (seq: number, row: Row, body: Uint8Array) => void
  readonly read: (from: number, to: number) => void
}

/** The outbox's own tables. */
const apart = (database: DatabaseSync): Store => {
  const insert = database.prepare(`INSERT INTO outbox (${columns}) VALUES (${values})`)
  const insertBody = database.prepare("INSERT INTO outbox_body (seq, format, payload) VALUES (?, 1, ?)")
  const read = database.prepare(
    `SELECT o.id, o.recipient, b.payload FROM outbox AS o JOIN outbox_body AS b ON b.seq = o.seq
     WHERE o.seq BETWEEN ? AND ?`
  )
  return {
    insert: (seq, row, body) => {
      insert.run(...row)
      insertBody.run(seq, body)
    },
    read: (from, to) => void read.all(from, to)
  }
}

/** One table with the body as its last column, so that each change of state rewrites the body. */
const whole = (database: DatabaseSync): Store => {
  database.exec("ALTER TABLE outbox ADD COLUMN payload")
  const insert = database.prepare(`INSERT INTO outbox (${columns}, payload) VALUES (${values}, ?)`)
  const read = database.prepare("SELECT id, recipient, payload FROM outbox WHERE seq BETWEEN ? AND ?")
  return {
    insert: (_, row, body) => void insert.run(...row, body),
    read: (from, to) => void read.all(from, to)
  }
}
