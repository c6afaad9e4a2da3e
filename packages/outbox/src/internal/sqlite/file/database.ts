/**
 * An open SQLite file: opening and migrating it, running transactions, and counting messages.
 *
 * `application_id` marks the file as an outbox, so that another program's database is refused and not migrated.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite"
import * as Migrations from "../../../Migrations.ts"
import { states, type State } from "../../../OutboxEntry.ts"
import * as PrivateFile from "../../store/privateFile.ts"
import * as SqliteLocation from "./location.ts"
import { SqliteTurn } from "./turn.ts"

/** Options for opening a file. */
export interface SqliteOptions {
  /** The given path; in the thread, the real path (`location`). */
  readonly path: string
  /** `full` waits for the disk at each commit; `normal` may lose the last commits when the power fails. */
  readonly durability: "full" | "normal"
  readonly busyTimeoutMs: number
  /** The size in bytes from which a payload is compressed. */
  readonly compressAbove: number
  /** The permissions of a new file. Defaults to `0o600`. */
  readonly mode?: number | undefined
}

/** A migration that is about to begin; `from` is 0 for a new file. */
export interface SqliteMigration {
  readonly from: number
  readonly to: number
  readonly bytes: number
}

/** A problem that SQLite has no error for. It crosses the thread as plain data. */
export type SqliteProblem =
  | { readonly _tag: "NewerSchema"; readonly found: number }
  | { readonly _tag: "NotAnOutbox" }
  | { readonly _tag: "SharedMissing" }
  | { readonly _tag: "Misplaced"; readonly problem: string; readonly hint: string }
  | {
      readonly _tag: "AlreadyDispatching"
      readonly pid?: number
      readonly host?: string
      readonly since?: string
    }

/** Carries a `SqliteProblem` through a `throw`. */
export class SqliteProblemError extends Error {
  readonly problem: SqliteProblem
  constructor(problem: SqliteProblem) {
    super(problem._tag)
    this.problem = problem
  }
}

/** The index of a state in the stored rows. */
export const stateNumber = Object.fromEntries(states.map((state, number) => [state, number])) as {
  readonly [S in State]: number
}

/**
 * The number of pages after which the log is written into the file, 8 MB of them. A message changes the same pages
 * when it is stored, claimed and settled, so twice SQLite's own figure writes a tenth less; more than that gained
 * nothing and made the longest pauses longer.
 */
const checkpointPages = 2000

/** The number of prepared statements that are kept for filters. */
const maxCached = 64

/** The size of a file in pages. */
export interface Space {
  readonly free: number
  readonly total: number
  /** In bytes. */
  readonly pageSize: number
}

/** "MROB" */
const applicationId = 0x4d524f42

/** An open file. */
export class SqliteDatabase {
  readonly handle: DatabaseSync
  readonly options: SqliteOptions
  /** The identity of the file. */
  private readonly identity: string | undefined
  private readonly turn: SqliteTurn
  private readonly begin: StatementSync
  private readonly commit: StatementSync
  private readonly rollback: StatementSync
  private readonly count: StatementSync
  private readonly cached = new Map<string, StatementSync>()
  private tallies = new Map<string, { tenant: string; state: number; mails: number; bytes: number }>()

  /** `onMigrate` runs before a migration begins. */
  constructor(options: SqliteOptions, onMigrate: (migration: SqliteMigration) => void = () => {}) {
    this.options = options
    this.checkLocation()
    this.handle = open(options, onMigrate)
    this.identity = SqliteLocation.identityOf(options.path)
    this.turn = new SqliteTurn(options.path)
    this.begin = this.handle.prepare("BEGIN IMMEDIATE")
    this.commit = this.handle.prepare("COMMIT")
    this.rollback = this.handle.prepare("ROLLBACK")
    this.count = this.handle.prepare(
      `INSERT INTO outbox_tally (tenant, state, mails, bytes) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET mails = mails + excluded.mails, bytes = bytes + excluded.bytes`
    )
  }

  /** Throws if the file cannot be used at its location. */
  checkLocation(): void {
    const fault = SqliteLocation.faultOf(this.options.path)
    if (fault !== undefined) throw new SqliteProblemError({ _tag: "Misplaced", ...fault })
  }

  prepare(sql: string): StatementSync {
    return this.handle.prepare(sql)
  }

  /** Prepares a statement that returns rows as lists of values, which cost half of what objects do. */
  prepareArrays(sql: string): StatementSync {
    const statement = this.handle.prepare(sql)
    statement.setReturnArrays(true)
    return statement
  }

  /** Prepares the statement of a filter in the same way, and reuses it while there are few of them. */
  cachedArrays(sql: string): StatementSync {
    let statement = this.cached.get(sql)
    if (statement === undefined) {
      if (this.cached.size === maxCached) this.cached.clear()
      this.cached.set(sql, (statement = this.prepareArrays(sql)))
    }
    return statement
  }

  /** Runs a write transaction, with the changes that `tally` recorded in it. */
  transaction<A>(run: () => A): A {
    this.beginWrite()
    try {
      const result = run()
      for (const { tenant, state, mails, bytes } of this.tallies.values()) {
        if (mails !== 0 || bytes !== 0) this.count.run(tenant, state, mails, bytes)
      }
      this.commit.run()
      return result
    } catch (error) {
      // A full disk may have rolled back already.
      if (this.handle.isTransaction) this.rollback.run()
      throw error
    } finally {
      this.tallies.clear()
    }
  }

  /** Records within a transaction that a message left one state for another. */
  tally(tenant: string, size: number, from: number | undefined, to: number | undefined): void {
    if (from !== undefined) this.add(tenant, from, -1, -size)
    if (to !== undefined) this.add(tenant, to, 1, size)
  }

  private add(tenant: string, state: number, mails: number, bytes: number): void {
    const key = state + tenant
    const known = this.tallies.get(key)
    if (known === undefined) this.tallies.set(key, { tenant, state, mails, bytes })
    else {
      known.mails += mails
      known.bytes += bytes
    }
  }

  /** The size of the file in pages, and the number of unused ones. */
  space(): Space {
    const total = pragma(this.handle, "page_count")
    return { free: pragma(this.handle, "freelist_count"), total, pageSize: pragma(this.handle, "page_size") }
  }

  /** Cuts free pages off the end of the file in a transaction; returns the rest. */
  giveBack(pages: number): Space {
    this.transaction(() => this.handle.exec(`PRAGMA incremental_vacuum(${pages})`))
    return this.space()
  }

  /** Writes the whole log into the file, so that its size is that of its pages. */
  checkpoint(): void {
    this.handle.exec("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  close(): void {
    this.turn.close()
    this.handle.close()
  }

  /**
   * Waits by turns and not as SQLite does. Reads are left to SQLite; they wait only for the opening and closing of a
   * file.
   */
  private beginWrite(): void {
    // Writes to a file that was moved or removed would be lost silently. The check costs 3 µs a transaction.
    if (SqliteLocation.identityOf(this.options.path) !== this.identity) {
      throw new SqliteProblemError({ _tag: "Misplaced", ...SqliteLocation.moved })
    }
    const { busyTimeoutMs } = this.options
    this.handle.exec("PRAGMA busy_timeout = 0")
    try {
      this.turn.begin(() => this.begin.run(), busyTimeoutMs)
    } finally {
      this.handle.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`)
    }
  }
}

const open = (options: SqliteOptions, onMigrate: (migration: SqliteMigration) => void): DatabaseSync => {
  // SQLite gives its log and the log's index the permissions of the file.
  if (options.path !== ":memory:") PrivateFile.make(options.path, options.mode ?? 0o600)
  const handle = new DatabaseSync(options.path, { timeout: options.busyTimeoutMs })
  try {
    const version = pragma(handle, "user_version")
    if (version === 0) {
      if (tableCount(handle) > 0 && pragma(handle, "application_id") !== applicationId) {
        throw new SqliteProblemError({ _tag: "NotAnOutbox" })
      }
      // Only an empty file accepts it. It lets housekeeping give pages back.
      handle.exec("PRAGMA auto_vacuum = INCREMENTAL")
    } else if (pragma(handle, "application_id") !== applicationId) {
      throw new SqliteProblemError({ _tag: "NotAnOutbox" })
    }
    const known = Migrations.latest(Migrations.sqlite)
    if (version > known) throw new SqliteProblemError({ _tag: "NewerSchema", found: version })
    handle.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.durability === "full" ? "FULL" : "NORMAL"};
      PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32000; PRAGMA temp_store = MEMORY;
      PRAGMA wal_autocheckpoint = ${checkpointPages}`)
    if (version < known) {
      const bytes = pragma(handle, "page_count") * pragma(handle, "page_size")
      onMigrate({ from: version, to: known, bytes })
      migrate(handle)
    }
    return handle
  } catch (error) {
    handle.close()
    throw error
  }
}

/** Several processes may open a new file at once: the version is read again under the lock. */
const migrate = (handle: DatabaseSync): void => {
  handle.exec("BEGIN IMMEDIATE")
  try {
    const version = pragma(handle, "user_version")
    for (const migration of Migrations.sqlite) if (migration.version > version) handle.exec(migration.sql)
    handle.exec(
      `PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${Migrations.latest(Migrations.sqlite)}`
    )
    handle.exec("COMMIT")
  } catch (error) {
    if (handle.isTransaction) handle.exec("ROLLBACK")
    throw error
  }
}

const pragma = (handle: DatabaseSync, name: string): number =>
  Number((handle.prepare(`PRAGMA ${name}`).get() as { readonly [field: string]: number })[name])

const tableCount = (handle: DatabaseSync): number =>
  Number((handle.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { readonly n: number }).n)
