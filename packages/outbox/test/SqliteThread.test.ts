/** The thread of the SQLite connection. */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import * as SqliteStore from "../src/SqliteStore.ts"
import { tempFolder } from "./support/tempFolder.ts"

describe("The thread of an outbox", () => {
  afterEach(() => vi.restoreAllMocks())

  // Node may crash where a thread is cut off.
  it.live("ends by itself after a close, and if the file cannot be opened", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const terminate = vi.spyOn(Worker.prototype, "terminate")
      const open = (file: string) => Effect.scoped(SqliteStore.make({ path: join(folder, file) }))
      yield* open("outbox.db")
      yield* Effect.flip(open("no-such-folder/outbox.db"))
      assert.strictEqual(terminate.mock.calls.length, 0)
    })
  )
})
