/**
 * The thread that owns the SQLite connection.
 *
 * It receives the file in `workerData`. It reports when a migration is about to begin, and then whether the file could be
 * opened. After that it answers `{ call, op, args }` with `{ call, value }` or `{ call, failure }`, in the order of the
 * calls.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import type * as Ops from "./ops.ts"

// Node 22 warns in each process that `node:sqlite` is experimental, which means nothing to the user of a command. Node
// warns when the module is linked, so the operations are imported after this.
const warn = process.emitWarning
process.emitWarning = ((warning: string | Error, ...rest: ReadonlyArray<never>) => {
  if (!String(warning).startsWith("SQLite is an experimental feature")) warn.call(process, warning, ...rest)
}) as typeof process.emitWarning
const SqliteOps = await import("./ops.ts")

const port = parentPort!

/** Answers the calls until `close`; the thread ends by itself once it has posted that answer. */
const serve = (ops: Ops.SqliteOps): void => {
  port.on("message", ({ args, call, op }: { call: number; op: keyof Ops.SqliteOps; args: ReadonlyArray<never> }) => {
    try {
      const run = ops[op] as (...args: ReadonlyArray<never>) => unknown
      port.postMessage({ call, value: run(...args) })
    } catch (error) {
      port.postMessage({ call, failure: SqliteOps.failure(error) })
    }
    if (op !== "close") return
    // Deno's port cannot be closed.
    if ("close" in port) port.close()
    else (port as MessagePort).unref()
  })
}

try {
  serve(
    SqliteOps.make(workerData as Parameters<typeof SqliteOps.make>[0], (migration) => port.postMessage({ migration }))
  )
  port.postMessage({ call: 0, value: undefined })
} catch (error) {
  port.postMessage({ call: 0, failure: SqliteOps.failure(error) })
}
