/**
 * Every statement on a SQLite outbox finds its mails by an index that leads to them, so that none costs more the more is
 * kept. Those that may look at everything are named here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Filter } from "../src/OutboxEntry.ts"
import type { PageAction } from "../src/internal/store/queries.ts"
import { SqliteDatabase } from "../src/internal/sqlite/file/database.ts"
import * as SqliteOps from "../src/internal/sqlite/ops.ts"
import { tempFolder } from "./support/tempFolder.ts"

/** What is asked of a file, with every statement that it takes. */
const statements = Effect.gen(function* () {
  const path = `${yield* tempFolder}/outbox.db`
  const { prepare } = SqliteDatabase.prototype
  const sqls = new Set<string>()
  const { prepareArrays } = SqliteDatabase.prototype
  SqliteDatabase.prototype.prepare = function (sql) {
    sqls.add(sql)
    return prepare.call(this, sql)
  }
  SqliteDatabase.prototype.prepareArrays = function (sql) {
    sqls.add(sql)
    return prepareArrays.call(this, sql)
  }
  try {
    const ops = SqliteOps.make({ path, durability: "normal", busyTimeoutMs: 1000, compressAbove: Infinity })
    ops.dispatch(1, 5)
    const cursor = { path: 0, at: 5, seq: 7 }
    const filters: ReadonlyArray<Filter> = [
      { states: ["due"] },
      { states: ["due"], tenant: "t", recipient: "r@x.example", attempted: true, dueUntil: new Date(5) },
      { states: ["due"], lane: "a.example" },
      { states: ["claimed"] },
      { states: ["dead"] },
      { states: ["dead"], since: new Date(5) },
      { ids: ["a"] }
    ]
    const now = 10
    const actions: ReadonlyArray<PageAction> = [
      { _tag: "List" },
      { _tag: "Retry", now, expiresAt: 20, scheduled: false },
      { _tag: "Cancel", now },
      { _tag: "Purge" }
    ]
    for (const filter of filters) {
      for (const action of actions) for (const from of [undefined, cursor]) ops.page(filter, from, action)
      if (filter.ids === undefined) ops.count(filter, cursor)
    }
    ops.sweep({ bodies: 1, rows: 1 }, 100)
    ops.dueLanes(undefined, 10, 10)
    ops.claim([{ bucket: 1, lane: "a.example", limit: 10 }], 10)
    ops.claim([{ bucket: 1, lane: "a.example", limit: 10 }], 10, [{ tenant: "t", limit: 1, weight: 1 }])
    ops.reclaimable(10)
    ops.close()
  } finally {
    Object.assign(SqliteDatabase.prototype, { prepare, prepareArrays })
  }
  const database = new SqliteDatabase({ path, durability: "normal", busyTimeoutMs: 1000, compressAbove: Infinity })
  const planned = [...sqls].map((sql) => {
    const parameters = [...sql].filter((letter) => letter === "?").map(() => "[]")
    const rows = database.handle.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters) as Array<{ detail: string }>
    return { sql: sql.replace(/\s+/g, " "), plan: rows.map(({ detail }) => detail).join(" | ") }
  })
  database.close()
  return planned
})

describe("SQLite's plans", () => {
  it.live("no statement walks all messages or sorts its results", () =>
    Effect.gen(function* () {
      const walking = (yield* statements).filter(
        ({ plan }) => /SCAN (outbox|outbox_body|attempt|o|b)\b/.test(plan) || /TEMP B-TREE/.test(plan)
      )
      assert.deepStrictEqual(
        walking.map(({ sql }) => sql).filter((sql) => !mayWalk.some((known) => sql.includes(known))),
        []
      )
    })
  )

  it.live("a page continues by row number if many rows have the same time", () =>
    Effect.gen(function* () {
      const tied = (yield* statements).filter(({ sql }) => /(expires_at|due_at|settled_at) = \? AND seq > \?/.test(sql))
      assert.isAtLeast(tied.length, 4)
      for (const { plan, sql } of tied) assert.match(plan, /INDEX outbox_(overdue|due|settled) \(.*(seq|rowid)>\?/, sql)
      // The comparison of both columns at once walks the tie from its beginning.
      for (const { sql } of yield* statements) assert.notMatch(sql, /\(\w+, seq\) > \(/)
    })
  )

  it.live("no statement is planned again because its LIMIT gets another value", () =>
    Effect.gen(function* () {
      for (const { sql } of yield* statements) assert.notMatch(sql, /LIMIT \?/)
    })
  )

  it.live("overdue messages are found by their expiry", () =>
    Effect.gen(function* () {
      const overdue = (yield* statements).filter(({ sql }) =>
        sql.startsWith("SELECT seq FROM outbox WHERE state = 0 AND exp")
      )
      assert.deepStrictEqual(
        overdue.map(({ plan }) => plan),
        ["SEARCH outbox USING COVERING INDEX outbox_overdue (expires_at<?)"]
      )
    })
  )
})

/** Statements that look at more than they find: a few claimed mails, and ids that are sorted. */
const mayWalk = [
  "INDEXED BY outbox_claimed",
  "state = 1 AND updated_at < ?",
  "id IN (SELECT value FROM json_each(?))",
  "seq IN ( SELECT seq FROM outbox INDEXED BY outbox_claimed"
]
