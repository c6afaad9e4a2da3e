/**
 * The room that a row in SQLite keeps for its outcome.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { DatabaseSync } from "node:sqlite"
import * as Lane from "../src/Lane.ts"
import * as SqliteStore from "../src/SqliteStore.ts"
import { tempFolder } from "./support/tempFolder.ts"
import { endOf } from "./support/fixtures.ts"

const rows = 1000
const lane = "gmail.com"

/** The pages of the table of messages. */
const pagesOf = (path: string): number => {
  const database = new DatabaseSync(path)
  try {
    const { pages } = database.prepare("SELECT count(*) AS pages FROM dbstat WHERE name = 'outbox'").get()!
    return Number(pages)
  } finally {
    database.close()
  }
}

describe("The row of a message", () => {
  it.live("has room for its claim and its outcome, so that no page of the file is split for them", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const store = yield* SqliteStore.make({ path, durability: "normal" })
      yield* store.accept(
        Array.from({ length: rows }, (_, i) => ({
          id: `0199c0ffee${String(i).padStart(22, "0")}`,
          tenant: "",
          key: undefined,
          lane,
          bucket: Lane.bucket(lane),
          priority: 1,
          recipient: `r${i}@gmail.com`,
          messageId: `<${i}@sender.example>`,
          dueAt: 1_700_000_000_000,
          expiresAt: 1_800_000_000_000,
          createdAt: 1_700_000_000_000,
          trace: undefined,
          envelope: undefined,
          content: "{}",
          shared: [],
          size: 2
        }))
      )
      const before = pagesOf(path)
      // A file that was dispatched from many times has larger numbers than a new one.
      const database = new DatabaseSync(path)
      database.exec("INSERT INTO outbox_meta VALUES ('epoch', '40000')")
      database.close()
      const lease = yield* store.dispatch(5)
      const claimed = yield* lease.claim([{ bucket: Lane.bucket(lane), lane, limit: rows }], 1_700_000_001_000)
      assert.lengthOf(claimed.rows, rows)
      assert.strictEqual(pagesOf(path), before)
      const settled = yield* lease.settle(
        claimed.rows.map((row) =>
          endOf(row, {
            at: 1_700_000_002_000,
            relay: "mx1.relay.example:25",
            code: 250,
            enhanced: "2.0.0",
            reply: "Ok: queued as 4XYZ123abcd"
          })
        )
      )
      assert.lengthOf(settled, rows)
      assert.strictEqual(pagesOf(path), before)
    })
  )
})
