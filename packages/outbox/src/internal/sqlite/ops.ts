/**
 * The operations of the thread that owns the SQLite connection, and the form in which its failures cross.
 */
import { SqliteBrowse } from "./browse.ts"
import { SqliteChanges } from "./changes.ts"
import { SqliteClaims } from "./claim.ts"
import {
  SqliteDatabase,
  SqliteProblemError,
  type SqliteMigration,
  type SqliteOptions,
  type SqliteProblem
} from "./file/database.ts"
import { SqliteDispatch } from "./dispatch.ts"
import { SqliteAccept } from "./accept.ts"
import { SqliteLanes } from "./lanes.ts"
import { SqliteLedgers } from "./ledgers.ts"
import * as SqliteLocation from "./file/location.ts"
import { SqliteSweep } from "./sweep.ts"

/** A failure as plain data: SQLite's extended result code, or one of ours. */
export interface SqliteFailure {
  readonly code: number | undefined
  readonly message: string
  readonly problem: SqliteProblem | undefined
}

/** Opens a file and returns its operations. */
export const make = (options: SqliteOptions, onMigrate?: (migration: SqliteMigration) => void) => {
  const database = new SqliteDatabase({ ...options, path: SqliteLocation.realPath(options.path) }, onMigrate)
  const intake = new SqliteAccept(database)
  const lanes = new SqliteLanes(database)
  const claims = new SqliteClaims(database, lanes)
  const dispatch = new SqliteDispatch(database, claims)
  const changes = new SqliteChanges(database)
  const browse = new SqliteBrowse(database, changes)
  const sweep = new SqliteSweep(database, changes)
  const ledgers = new SqliteLedgers(database)
  return {
    accept: intake.accept.bind(intake),
    dispatch: dispatch.dispatch.bind(dispatch),
    endDispatch: dispatch.endDispatch.bind(dispatch),
    dueLanes: lanes.due.bind(lanes),
    claim: dispatch.claim.bind(dispatch),
    begin: dispatch.begin.bind(dispatch),
    parts: claims.parts.bind(claims),
    settle: dispatch.settle.bind(dispatch),
    release: dispatch.release.bind(dispatch),
    reclaimable: dispatch.reclaimable.bind(dispatch),
    get: browse.get.bind(browse),
    attempts: browse.attempts.bind(browse),
    mail: claims.mail.bind(claims),
    page: browse.page.bind(browse),
    count: browse.count.bind(browse),
    keyed: browse.keyed.bind(browse),
    tallied: browse.tallied.bind(browse),
    stats: (now: number) => ({ ...browse.stats(now), dispatchers: dispatch.dispatchers() }),
    paused: browse.paused.bind(browse),
    pause: browse.pause.bind(browse),
    resume: browse.resume.bind(browse),
    sweep: sweep.step.bind(sweep),
    readLedger: ledgers.read.bind(ledgers),
    writeLedger: ledgers.write.bind(ledgers),
    space: database.space.bind(database),
    giveBack: database.giveBack.bind(database),
    checkpoint: database.checkpoint.bind(database),
    close: () => {
      dispatch.endDispatch()
      database.close()
    }
  }
}

export type SqliteOps = ReturnType<typeof make>

/** An error as plain data. */
export const failure = (error: unknown): SqliteFailure => ({
  code: (error as { readonly errcode?: number }).errcode,
  message: error instanceof Error ? error.message : String(error),
  problem: error instanceof SqliteProblemError ? error.problem : undefined
})
