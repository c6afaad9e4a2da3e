/**
 * The caller's side of the thread that owns the SQLite connection.
 *
 * The thread runs a file of its own. A program that was bundled into one file has no such file; there the operations
 * run in the program's own thread, between its other work, and block it while they run: a commit waits for the disk.
 */
import * as LogEvent from "mailrace/LogEvent"
import * as Effect from "effect/Effect"
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs"
// Imported as a namespace, because Deno has no `getCompileCacheDir` to link to.
import * as Module from "node:module"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import * as Migrations from "../../Migrations.ts"
import * as OutboxError from "../../OutboxError.ts"
import type { SqliteMigration, SqliteOptions } from "./file/database.ts"
import type { SqliteFailure, SqliteOps } from "./ops.ts"
import { realPath } from "./file/location.ts"

interface Answer {
  readonly call: number
  readonly migration?: SqliteMigration
  readonly value?: unknown
  readonly failure?: SqliteFailure
}

/** A client of the thread. */
export interface SqliteThread {
  /** Runs one operation; operations run one after the other in the order of the calls. */
  readonly ask: <Op extends keyof SqliteOps>(
    op: Op,
    ...args: Parameters<SqliteOps[Op]>
  ) => Effect.Effect<ReturnType<SqliteOps[Op]>, SqliteFailure>
}

/** Starts the thread and opens the file. The end of the scope closes both, after the requested operations are done. */
export const make = (options: SqliteOptions) =>
  workerUrl === undefined ? makeWithoutThread(options) : makeThread(options, workerUrl)

const makeThread = (options: SqliteOptions, url: URL) =>
  Effect.gen(function* () {
    const calls = new Map<number, (effect: Effect.Effect<any, SqliteFailure>) => void>()
    let last = 0
    let gone: SqliteFailure | undefined
    const worker = new Worker(url, { workerData: options, ...compileCache() })
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    worker.on("message", ({ call, failure, migration, value }: Answer) => {
      if (migration !== undefined) return void fork(logMigration(options.path, migration))
      const resume = calls.get(call)
      calls.delete(call)
      if (calls.size === 0) worker.unref()
      resume?.(failure === undefined ? Effect.succeed(value) : Effect.fail(failure))
    })
    const end = (message: string) => {
      gone = { code: undefined, message, problem: undefined }
      for (const resume of calls.values()) resume(Effect.fail(gone))
      calls.clear()
    }
    worker.on("error", (error) => end(`the thread of the database failed: ${(error as Error).message}`))
    let isEnded = false
    worker.on("exit", () => {
      isEnded = true
      end("it is closed")
    })
    /**
     * Waits for the thread to end, which it does by itself once it has answered. `terminate` is for a thread that does
     * not: Node now and then crashes where it cuts off a thread whose code is still being compiled.
     */
    const ended = Effect.callback<void>((resume) => {
      if (isEnded) return resume(Effect.void)
      const overdue = setTimeout(() => void worker.terminate(), longestEndMs)
      worker.ref()
      worker.once("exit", () => {
        clearTimeout(overdue)
        resume(Effect.void)
      })
    })
    const wait = (call: number, post?: () => void) =>
      // The operation runs whether or not its caller still waits, so an interrupt has nothing to undo.
      Effect.callback<any, SqliteFailure>((resume) => {
        if (gone !== undefined) return resume(Effect.fail(gone))
        if (calls.size === 0) worker.ref()
        calls.set(call, resume)
        post?.()
      })
    const ask: SqliteThread["ask"] = (op, ...args) =>
      Effect.suspend(() => {
        const call = ++last
        return wait(call, () => worker.postMessage({ call, op, args }, []))
      })
    yield* Effect.acquireRelease(
      Effect.onError(wait(0), () => ended),
      () => Effect.andThen(Effect.ignore(ask("close")), ended)
    )
    const thread: SqliteThread = { ask }
    return thread
  })

/**
 * Opens the file in this thread. As in a thread, every requested operation runs, in order, even if its caller is
 * gone.
 */
const makeWithoutThread = (options: SqliteOptions) =>
  Effect.gen(function* () {
    const Ops = yield* Effect.promise(() => import("./ops.ts"))
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const ops = yield* Effect.try({
      try: () => Ops.make(options, (migration) => void fork(logMigration(options.path, migration))),
      catch: Ops.failure
    })
    const ask: SqliteThread["ask"] = (op, ...args) =>
      Effect.callback((resume) => {
        // Queues behind the other work of the event loop, so that a series of operations does not block it.
        setImmediate(() => {
          try {
            resume(Effect.succeed((ops[op] as (...args: ReadonlyArray<unknown>) => any)(...args)))
          } catch (error) {
            resume(Effect.fail(Ops.failure(error)))
          }
        })
      })
    yield* Effect.addFinalizer(() => Effect.ignore(ask("close")))
    const thread: SqliteThread = { ask }
    return thread
  })

/** Logs the migration of a large file, which takes about half a second for each million messages. */
const logMigration = (path: string, { bytes, from, to }: SqliteMigration): Effect.Effect<void> =>
  from === 0 || bytes < largeFile
    ? Effect.void
    : LogEvent.info(
        "outbox.migrating",
        `bringing ${path} (${Math.round(bytes / 1e6).toLocaleString("en-US")} MB) from schema version ${from} to ${to}; other processes wait until it is done`,
        { store: path, bytes }
      )

/** The time that a thread has to end after its last answer, in milliseconds. */
const longestEndMs = 1000

/** The file size in bytes from which a migration may take more than a moment. */
const largeFile = 64_000_000

/** Translates a failure of the thread into an `OutboxError`. */
export const toOutboxError = (options: SqliteOptions, failure: SqliteFailure): OutboxError.OutboxError =>
  OutboxError.make(reasonOf(options, failure))

const reasonOf = (options: SqliteOptions, { code, message, problem }: SqliteFailure): OutboxError.Reason => {
  const store = options.path
  switch (problem?._tag) {
    case "NewerSchema":
      return new OutboxError.NewerSchema({ store, found: problem.found, known: latestVersion })
    case "NotAnOutbox":
      return new OutboxError.Corrupt({ store, problem: "it is the database of another program" })
    case "Misplaced":
      return new OutboxError.Misplaced({
        store: store === "" ? '""' : store,
        problem: problem.problem,
        hint: problem.hint
      })
    case "AlreadyDispatching":
      return new OutboxError.AlreadyDispatching({ store, pid: problem.pid, host: problem.host, since: problem.since })
  }
  // The low byte is the primary result code (https://sqlite.org/rescode.html).
  switch (code === undefined ? undefined : code & 0xff) {
    case 5:
    case 6:
      return new OutboxError.Locked({ store, waitedMs: options.busyTimeoutMs })
    case 8:
      return new OutboxError.ReadOnly({ store })
    case 11:
    case 26:
      return new OutboxError.Corrupt({ store, problem: message })
    case 13:
      return new OutboxError.DiskFull({ store })
    case 14:
      return isWritable(realPath(store))
        ? new OutboxError.Unavailable({ store, problem: locationFault(realPath(store)) ?? message, isRetryable: false })
        : new OutboxError.ReadOnly({ store })
    // A full disk shows as an I/O error where SQLite maps memory or truncates.
    case 10:
      return isFull(realPath(store))
        ? new OutboxError.DiskFull({ store })
        : new OutboxError.Unavailable({ store, problem: message, isRetryable: true })
    default:
      return new OutboxError.Unavailable({ store, problem: message, isRetryable: false })
  }
}

const isFull = (path: string): boolean => {
  try {
    const { bavail, bsize } = statfsSync(Path.dirname(Path.resolve(path)))
    return bavail * bsize < 65_536
  } catch {
    return false
  }
}

/** True if the folder is there and the file, if it exists, may be written; a missing folder is another problem. */
const isWritable = (path: string): boolean => {
  const folder = Path.dirname(Path.resolve(path))
  if (!existsSync(folder)) return true
  try {
    accessSync(folder, constants.W_OK)
    if (existsSync(path)) accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The visible reason why a file cannot be opened. */
const locationFault = (path: string): string | undefined => {
  const folder = Path.dirname(Path.resolve(path))
  if (!existsSync(folder)) return `there is no folder ${folder}`
  return existsSync(path) && statSync(path).isDirectory() ? "it is a folder" : undefined
}

const latestVersion = Migrations.latest(Migrations.sqlite)

/** Shares the process's cache of compiled code with the thread, which starts three times as fast with it. */
const compileCache = (): { readonly env: NodeJS.ProcessEnv } | undefined => {
  const folder = Module.getCompileCacheDir?.()
  return folder === undefined ? undefined : { env: { ...process.env, NODE_COMPILE_CACHE: folder } }
}

/**
 * The thread's file, `undefined` where this module was bundled away from it. The compiler rewrites imports but not this
 * name, so the built package looks for the built file. A bundle as CommonJS has no `import.meta.url`.
 */
const findWorker = (here: string | undefined): URL | undefined => {
  if (!here?.startsWith("file:")) return undefined
  const url = new URL(`./outboxSqliteWorker${here.endsWith(".ts") ? ".ts" : ".js"}`, here)
  return existsSync(fileURLToPath(url)) ? url : undefined
}

const workerUrl = findWorker(import.meta.url)
