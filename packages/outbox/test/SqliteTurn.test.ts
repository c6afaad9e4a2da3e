/**
 * Writers of one file take turns: a waiting one goes before the last one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { SqliteDatabase } from "../src/internal/sqlite/file/database.ts"
import { tempFolder } from "./support/tempFolder.ts"

const open = (path: string, busyTimeoutMs = 10_000) =>
  Effect.acquireRelease(
    Effect.sync(() => new SqliteDatabase({ path, durability: "normal", busyTimeoutMs, compressAbove: Infinity })),
    (database) => Effect.sync(() => database.close())
  )

const busyWriter = fileURLToPath(new URL("./support/busyWriter.ts", import.meta.url))

/** Runs a process that writes without a pause. */
const writing = (path: string) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [busyWriter, path], { stdio: "inherit" })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** How many transactions the other process has written. */
const written = (database: SqliteDatabase) =>
  Number((database.prepare("SELECT value FROM outbox_meta WHERE name = 'written'").get() as { value: string }).value)

describe("turns of SQLite's writers", () => {
  it.live("let a waiting writer in after one or two transactions of a writer that never pauses", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const database = yield* open(path)
      database.transaction(() => database.handle.exec("INSERT INTO outbox_meta VALUES ('written', '0')"))
      yield* writing(path)
      while (written(database) < 5) yield* Effect.sleep(1)
      const passed: Array<number> = []
      for (let round = 0; round < 41; round++) {
        const before = written(database)
        const during = database.transaction(() => written(database))
        passed.push(during - before)
        yield* Effect.sleep(1)
      }
      // By SQLite's own waiting it is ten to thirty of them.
      passed.sort((a, b) => a - b)
      assert.isAtMost(passed[20]!, 3, passed.join(" "))
    })
  )

  it.live("last even if a process stops in the turnstile, which delays the others by a moment only", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const database = yield* open(path)
      database.transaction(() => {})
      const still = new DatabaseSync(`${path}-turn`)
      still.exec("BEGIN EXCLUSIVE")
      assert.strictEqual(
        database.transaction(() => 7),
        7
      )
      still.close()
    })
  )

  it.live("are left out if the turnstile's file cannot be created or locked", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const garbage = "no database at all, but long enough. ".repeat(50)
      const cases = {
        folder: (file: string) => Fs.mkdirSync(file),
        garbage: (file: string) => Fs.writeFileSync(file, garbage),
        "garbage later": (file: string) => Fs.writeFileSync(file, garbage)
      }
      for (const [name, spoil] of Object.entries(cases)) {
        const path = `${folder}/${name}.db`
        const database = yield* open(path)
        if (name === "garbage later") database.transaction(() => {})
        spoil(`${path}-turn`)
        for (let round = 0; round < 2; round++) {
          assert.strictEqual(
            database.transaction(() => 7),
            7
          )
        }
      }
    })
  )

  it.live("end with the timeout if the file stays locked, in and out of the turnstile", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const database = yield* open(path, 20)
      const other = new DatabaseSync(path)
      other.exec("BEGIN IMMEDIATE")
      assert.throws(() => database.transaction(() => {}), /database is locked/)
      other.exec("ROLLBACK")
      other.close()
      database.transaction(() => {})
      assert.strictEqual(Fs.statSync(`${path}-turn`).size, 0)
      assert.isFalse(Fs.existsSync(`${path}-turn-journal`))
    })
  )
})
