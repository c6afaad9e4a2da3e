/**
 * A process that writes to a file without a pause, as a dispatcher does: it counts its transactions in the file, each of
 * which takes two milliseconds.
 */
import { SqliteDatabase } from "../../src/internal/sqlite/file/database.ts"

const database = new SqliteDatabase({
  path: process.argv[2]!,
  durability: "normal",
  busyTimeoutMs: 10_000,
  compressAbove: Infinity
})
const count = database.prepare("UPDATE outbox_meta SET value = value + 1 WHERE name = 'written'")

while (true) {
  database.transaction(() => {
    const begun = performance.now()
    count.run()
    while (performance.now() - begun < 2);
  })
}
