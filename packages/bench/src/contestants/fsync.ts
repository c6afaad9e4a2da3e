/**
 * The disk alone: the number of flushes a second, which limits a caller that commits one message at a time.
 *
 * It writes as Node's SQLite does: it overwrites pages of a file that already has its full length, and flushes them by
 * `fsync`.
 */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs"
import { performance } from "node:perf_hooks"
import type { MakeContestant } from "../Contestant.ts"
import { tempFolder } from "../internal/tempFolder.ts"

const page = Buffer.alloc(4096, 1)

const pages = 1024

export const make: MakeContestant = async () => {
  const folder = tempFolder()
  const file = openSync(`${folder.path}/fsync`, "w")
  writeSync(file, Buffer.alloc(pages * page.length))
  fsyncSync(file)
  return {
    concurrency: 1,
    warmsUp: false,
    send: async (batch) => {
      for (let index = batch.first; index < batch.first + batch.count; index++) {
        const begin = performance.now()
        writeSync(file, page, 0, page.length, (index % pages) * page.length)
        fsyncSync(file)
        batch.accepted(performance.now() - begin)
      }
    },
    close: async () => {
      closeSync(file)
      folder.remove()
    }
  }
}
