/**
 * The thread that owns the SQLite connection.
 *
 * It is given the file in `workerData`, answers `{ call, op, args }` with `{ call, value }` or `{ call, failure }` in the
 * order of the calls, and first of all says whether the file could be opened.
 */
import { parentPort, workerData } from "node:worker_threads"
import * as SqliteOps from "./sqliteOps.ts"

const port = parentPort!
let ops: SqliteOps.SqliteOps | undefined

try {
  ops = SqliteOps.make(workerData as Parameters<typeof SqliteOps.make>[0])
  port.postMessage({ call: 0, value: undefined })
} catch (error) {
  port.postMessage({ call: 0, failure: SqliteOps.failure(error) })
}

port.on(
  "message",
  ({ args, call, op }: { call: number; op: keyof SqliteOps.SqliteOps; args: ReadonlyArray<never> }) => {
    try {
      const run = ops![op] as (...args: ReadonlyArray<never>) => unknown
      port.postMessage({ call, value: run(...args) })
    } catch (error) {
      port.postMessage({ call, failure: SqliteOps.failure(error) })
    }
    // Nothing can be posted after this one's answer.
    if (op === "close") port.close()
  }
)
