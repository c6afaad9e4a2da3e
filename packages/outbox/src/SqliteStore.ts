/**
 * The outbox in one SQLite file: the embedded default, on `node:sqlite`.
 *
 * Any process on the machine may enqueue into the file, look at it and retry from it; one at a time dispatches it.
 * The file is in WAL mode; `FILE-wal`, `FILE-shm`, `FILE-dispatcher` and `FILE-turn` lie beside it and belong to it.
 * The store follows symbolic links, to the file and in its path, so every name leads to the same file.
 *
 * **The connection lives in a worker thread.** `node:sqlite` is synchronous, and a commit waits for the disk. Measured
 * with ten connections answering each other over loopback (70,000 round trips a second when nothing else ran) while 64
 * callers enqueued and settled messages of 1 KB, with fsync slowed by a preloaded library:
 *
 * | fsync | wire, in thread | wire, worker | accepted and settled, in thread | worker |
 * |---|---|---|---|---|
 * | 0.1 ms | 11,500/s | 39,700/s | 36,900/s | 34,200/s |
 * | 0.2 ms | 11,200/s | 39,200/s | 36,000/s | 21,800/s |
 * | 2 ms | 3,200/s | 35,100/s | 10,100/s | 6,000/s |
 * | 10 ms | 840/s | 76,400/s | 2,700/s | 2,700/s |
 *
 * In thread each fsync stops the wire; on an ordinary disk it keeps a hundredth of its rate. In the worker it keeps half or
 * more (two cores for all), and no disk, lock or long search can stop the event loop. With 256 callers both accept and
 * settle 50,000/s and more at 0.1 ms. The worker costs one thread hop, about 0.1 ms for a lone caller.
 *
 * **Housekeeping.** Rows are deleted in batches, and a dispatcher gives pages back as long as a quarter of the file is free.
 * `Outbox.vacuum` gives back all of them, step by step, while others send and enqueue. Copy the file with `VACUUM INTO` or
 * SQLite's backup, never with `cp` while it is open.
 *
 * **Gotchas**
 *
 * The file must lie on a local disk, under one name, and be moved or renamed only while nobody has it open. The store
 * refuses a file with hard links and, on Linux, a file on a network file system and one that is mounted without its folder.
 * On other systems, and on most FUSE file systems, it cannot tell: make sure yourself.
 *
 * @since 0.1.0
 */

import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { busy, complete } from "./internal/store/caps.ts"
import { packContents, unpackContents } from "./internal/store/packedContents.ts"
import * as EntryRow from "./internal/store/entryMapping.ts"
import { isTallied, type PageAction, type PageCursor } from "./internal/store/queries.ts"
import type { SqlitePage } from "./internal/sqlite/browse.ts"
import { toEntryRow, type SqliteEntry } from "./internal/sqlite/rows/entry.ts"
import type { SqliteOptions, Space } from "./internal/sqlite/file/database.ts"
import type { AcceptBatch } from "./internal/sqlite/accept.ts"
import { toTuple } from "./internal/sqlite/settlementTuple.ts"
import { referencesOf, toClaimedRow, type SqliteMails } from "./internal/sqlite/rows/mail.ts"
import type { SqliteFailure, SqliteOps } from "./internal/sqlite/ops.ts"
import { PartCache } from "./internal/store/partCache.ts"
import * as SqliteThread from "./internal/sqlite/thread.ts"
import * as StoredContent from "./internal/store/storedContent.ts"
import type { Entry, Filter } from "./OutboxEntry.ts"
import * as OutboxError from "./OutboxError.ts"
import type {
  Accepted,
  Caps,
  Claimed,
  ClaimedRow,
  NewRow,
  Occupancy,
  OutboxStore,
  DispatcherLease
} from "./OutboxStore.ts"

/**
 * Options for opening a file.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The path of the file, which is created if it is missing. */
  readonly path: string
  /**
   * `full`: an accepted message survives a power failure. `normal`: it survives a crash of the process, but the last
   * moments before a power failure may be lost. Defaults to `full`; group commit makes it nearly free.
   */
  readonly durability?: "full" | "normal" | undefined
  /**
   * The time to wait for another process to end its write. Defaults to 5 seconds. Enqueueing, and changes of many
   * messages, wait three times as long before they fail with `Locked`.
   */
  readonly busyTimeout?: Duration.Input | undefined
  /** The payload size in bytes from which zstd compression is used; `Infinity` for never. Defaults to 4096. */
  readonly compressAbove?: number | undefined
  /**
   * The permissions of a new file and of the files beside it, whatever the umask is. Defaults to `0o600`; use `0o660`
   * to share it with a group. An existing file keeps its permissions.
   */
  readonly mode?: number | undefined
  readonly caps?: Partial<Caps> | undefined
}

/**
 * Opens a file; closes it with the scope.
 *
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<OutboxStore, OutboxError.OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const settings: SqliteOptions = {
      path: options.path,
      durability: options.durability ?? "full",
      busyTimeoutMs: Duration.toMillis(options.busyTimeout ?? "5 seconds"),
      compressAbove: options.compressAbove ?? StoredContent.defaultThreshold,
      mode: options.mode
    }
    const toOutboxError = (failure: SqliteFailure) => SqliteThread.toOutboxError(settings, failure)
    const thread = yield* Effect.mapError(SqliteThread.make(settings), toOutboxError)
    const ask: Ask = (op, ...args) => Effect.mapError(thread.ask(op, ...args), toOutboxError)
    const accept = makeAccept(thread, complete(options.caps), toOutboxError)
    const claimedRows = makeClaimedRows(ask)
    return {
      name: options.path,
      // The thread writes one batch while the callers of the other continue.
      parallelAccepts: 2,
      joined: Effect.undefined,
      accept: (rows) => whileLocked(accept(rows)),
      dispatch: (maxCrashes, onGivenUp) =>
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          const { epoch, givenUp, recovered } = yield* Effect.acquireRelease(ask("dispatch", now, maxCrashes), () =>
            Effect.ignore(ask("endDispatch"))
          )
          for (const row of givenUp) onGivenUp?.(row, now)
          return leaseOf(ask, recovered, (mails) => claimedRows(epoch, mails))
        }),
      ledgers: {
        read: (name) => ask("readLedger", name),
        write: (name, version, ledger) => ask("writeLedger", name, version, ledger)
      },
      // Polling finds the changes of other processes: SQLite has no notifications.
      hints: Stream.never,
      ...reading(ask, claimedRows),
      ...changing(ask),
      ...upkeep(ask)
    }
  })

/** Runs an operation on the thread. */
type Ask = <Op extends keyof SqliteOps>(
  op: Op,
  ...args: Parameters<SqliteOps[Op]>
) => Effect.Effect<ReturnType<SqliteOps[Op]>, OutboxError.OutboxError>

/** Messages that the thread returned, with their contents. */
type ClaimedRows = (
  epoch: number,
  mails: SqliteMails
) => Effect.Effect<ReadonlyArray<ClaimedRow>, OutboxError.OutboxError>

const makeClaimedRows = (ask: Ask): ClaimedRows => {
  const parts = new PartCache((refs) => ask("parts", refs))
  return (epoch, { contents, mails }) => {
    const refs = mails.map(referencesOf)
    const unpacked = unpackContents(contents)
    return Effect.map(parts.resolve(refs.flat()), (resolve) =>
      mails.map((mail, i) => toClaimedRow(mail, unpacked[i]!, resolve(refs[i]!), epoch))
    )
  }
}

/** The lease of the dispatcher that holds the file's lock. */
const leaseOf = (
  ask: Ask,
  recovered: number,
  claimedRows: (mails: SqliteMails) => ReturnType<ClaimedRows>
): DispatcherLease => ({
  recovered,
  dueLanes: (after, limit, now) => ask("dueLanes", after, limit, now),
  claim: (quotas, now, tenants) =>
    Effect.flatMap(ask("claim", quotas, now, tenants), (claim) =>
      Effect.map(claimedRows(claim), (rows) => ({ rows, expired: claim.expired, held: claim.held }))
    ),
  begin: (rows) => ask("begin", rows.map(claimedOf)),
  settle: (batch) => ask("settle", batch.map(toTuple)),
  release: (rows) => ask("release", rows.map(claimedOf)),
  reclaim: (isKnown, before) =>
    Effect.flatMap(ask("reclaimable", before), (rows) => {
      const lost = rows.filter(({ seq }) => !isKnown(seq))
      return lost.length === 0 ? Effect.succeed(0) : Effect.as(ask("release", lost), lost.length)
    })
})

/** The pages of a filter. A scan that has begun waits while another process writes for long. */
const pages = (ask: Ask, filter: Filter, action: PageAction): Stream.Stream<SqlitePage, OutboxError.OutboxError> =>
  Stream.paginate(undefined as PageCursor | undefined, (cursor) =>
    Effect.map(whileLocked(ask("page", filter, cursor, action)), (page) => [[page], Option.fromUndefinedOr(page.next)])
  )

const entries = (ask: Ask, filter: Filter, action: PageAction): Stream.Stream<Entry, OutboxError.OutboxError> =>
  Stream.flatMap(pages(ask, filter, action), ({ rows }) => Stream.fromIterable(rows.map(toEntry)))

type Reading = "get" | "attempts" | "payload" | "keyed" | "list" | "count" | "stats" | "pausedLanes"

const reading = (ask: Ask, claimedRows: ClaimedRows): Pick<OutboxStore, Reading> => {
  const get = (id: string) => Effect.map(ask("get", id), (row) => row && toEntry(row))
  const counted = (filter: Filter) =>
    Stream.paginate(undefined as PageCursor | undefined, (cursor) =>
      Effect.map(ask("count", filter, cursor), ({ counted, next }) => [[counted], Option.fromUndefinedOr(next)])
    ).pipe(Stream.flatMap(Stream.fromIterable), Stream.runCollect)
  return {
    get,
    attempts: (id) => Effect.zipWith(ask("attempts", id), get(id), EntryRow.toAttempts),
    payload: (id) =>
      Effect.map(
        Effect.flatMap(ask("mail", id), (found) => claimedRows(0, found)),
        ([row]) => row
      ),
    keyed: (prefix) =>
      Stream.paginate(0, (after) =>
        Effect.map(ask("keyed", prefix, after), ({ keys, next, recipients, states }) => [
          EntryRow.toKeyedMails(keys, states, recipients),
          Option.fromUndefinedOr(next)
        ])
      ),
    list: (filter) => entries(ask, filter, { _tag: "List" }),
    count: (filter) => Effect.map(isTallied(filter) ? ask("tallied", filter) : counted(filter), EntryRow.toCounts),
    stats: (now) => Effect.map(ask("stats", now), EntryRow.toStats),
    pausedLanes: Effect.map(ask("paused"), (rows) => rows.map(({ lane }) => lane))
  }
}

const changing = (ask: Ask): Pick<OutboxStore, "retry" | "cancel" | "purge" | "pause" | "resume"> => ({
  retry: (filter, terms) => entries(ask, filter, { _tag: "Retry", ...terms }),
  cancel: (filter, now) => entries(ask, filter, { _tag: "Cancel", now }),
  purge: (filter) =>
    Stream.runFold(
      pages(ask, filter, { _tag: "Purge" }),
      () => 0,
      (sum, { count }) => sum + count
    ),
  pause: (lane, now) => ask("pause", lane, now),
  resume: (lane) => ask("resume", lane)
})

const upkeep = (ask: Ask): Pick<OutboxStore, "occupancy" | "vacuum" | "sweep"> => {
  const space = ({ free, pageSize, total }: Space): Occupancy => ({ free: free * pageSize, total: total * pageSize })
  return {
    occupancy: Effect.map(ask("space"), space),
    // Works in steps, so that others can write in between.
    vacuum: Stream.paginate(undefined as Space | undefined, (before) =>
      Effect.gen(function* () {
        const now = yield* before === undefined ? ask("space") : whileLocked(ask("giveBack", pagesGivenBack))
        const isDone = now.free === 0 || now.free === before?.free
        if (isDone) yield* ask("checkpoint")
        return [[space(now)], isDone ? Option.none() : Option.some(now)]
      })
    ),
    sweep: (retention, now) => ask("sweep", retention, now)
  }
}

const toEntry = (row: SqliteEntry): Entry => EntryRow.toEntry(toEntryRow(row))

/** The pages given back by one transaction of `vacuum`, of 4 KB each, which takes a moment. */
const pagesGivenBack = 512

/** Waits twice more while another process keeps the file locked. */
const whileLocked = <A>(effect: Effect.Effect<A, OutboxError.OutboxError>): Effect.Effect<A, OutboxError.OutboxError> =>
  Effect.retry(effect, { times: 2, while: (error) => error.reason._tag === "Locked" })

/** The part of a claimed row that the thread needs. */
const claimedOf = ({ attempts, epoch, seq }: Claimed): Claimed => ({ attempts, epoch, seq })

type ToOutboxError = (failure: SqliteFailure) => OutboxError.OutboxError

/** Sends rows as columns. A body that many rows share is sent only until the thread has stored it. */
const makeAccept = (thread: SqliteThread.SqliteThread, caps: Caps | undefined, toOutboxError: ToOutboxError) => {
  const stored = new Set<string>()
  const attempt = (rows: ReadonlyArray<NewRow>) =>
    Effect.map(thread.ask("accept", toBatch(rows, stored, caps)), (exceptions) => {
      if (stored.size > 1000) stored.clear()
      for (const row of rows) for (const { hash } of row.shared) stored.add(hash)
      const answers: Array<Accepted> = rows.map(() => simplyStored)
      for (const exception of exceptions) {
        answers[exception.row] =
          exception._tag === "Duplicate"
            ? exception
            : {
                _tag: "Refused",
                error: OutboxError.make(
                  new OutboxError.Busy(busy(exception.cap, caps![exception.cap], rows[exception.row]!.tenant))
                )
              }
      }
      return answers
    })
  return (rows: ReadonlyArray<NewRow>) =>
    attempt(rows).pipe(
      Effect.catchIf(
        (failure) => failure.problem?._tag === "SharedMissing",
        () => {
          stored.clear()
          return attempt(rows)
        }
      ),
      Effect.mapError(toOutboxError)
    )
}

const simplyStored: Accepted = { _tag: "Stored" }

const toBatch = (rows: ReadonlyArray<NewRow>, stored: ReadonlySet<string>, caps: Caps | undefined): AcceptBatch => {
  const indexes = new Map<string, number>()
  const parts: Array<AcceptBatch["parts"][number]> = []
  const indexOf = ({ content, hash }: StoredContent.Shared): number => {
    let index = indexes.get(hash)
    if (index === undefined) {
      indexes.set(hash, (index = parts.length))
      parts.push({ hash, content: stored.has(hash) ? undefined : content })
    }
    return index
  }
  return {
    id: rows.map((row) => row.id),
    tenant: rows.map((row) => row.tenant),
    key: rows.map((row) => row.key),
    lane: rows.map((row) => row.lane),
    bucket: rows.map((row) => row.bucket),
    priority: rows.map((row) => row.priority),
    recipient: rows.map((row) => row.recipient),
    storedMessageId: rows.map(storedMessageId),
    dueAt: rows.map((row) => row.dueAt),
    expiresAt: rows.map((row) => row.expiresAt),
    createdAt: rows.map((row) => row.createdAt),
    trace: rows.map((row) => row.trace),
    envelope: rows.map((row) => row.envelope),
    contents: packContents(rows.map((row) => row.content)),
    size: rows.map((row) => row.size),
    shared: rows.map((row) => (row.shared.length === 0 ? undefined : row.shared.map(indexOf))),
    parts,
    caps
  }
}

/** The Message-ID without the row's id; the column `message_id` restores it. */
const storedMessageId = ({ id, messageId }: NewRow): string =>
  messageId.startsWith(`<${id}@`) ? `<${messageId.slice(1 + id.length)}` : messageId
