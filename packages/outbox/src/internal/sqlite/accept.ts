/**
 * Accepts messages into SQLite, one transaction for each batch.
 *
 * A batch comes as columns, because a list of lists crosses threads at a third of the cost of a list of objects.
 */
import type { StatementSync } from "node:sqlite"
import type { Caps } from "../../OutboxStore.ts"
import { Room, type Waiting } from "../store/caps.ts"
import { unpackContents, type PackedContents } from "../store/packedContents.ts"
import type { SqliteDatabase } from "./file/database.ts"
import { SqliteProblemError, stateNumber } from "./file/database.ts"
import { pack, type Content } from "../store/storedContent.ts"
import * as Sql from "./sql/accept.ts"

/** Rows as columns; `NewRow` explains each. */
export interface AcceptBatch {
  readonly id: ReadonlyArray<string>
  readonly tenant: ReadonlyArray<string>
  readonly key: ReadonlyArray<string | undefined>
  readonly lane: ReadonlyArray<string>
  readonly bucket: ReadonlyArray<number>
  readonly priority: ReadonlyArray<number>
  readonly recipient: ReadonlyArray<string>
  /** The Message-ID; without the row's id if it begins with the id. */
  readonly storedMessageId: ReadonlyArray<string>
  readonly dueAt: ReadonlyArray<number>
  readonly expiresAt: ReadonlyArray<number>
  readonly createdAt: ReadonlyArray<number>
  readonly trace: ReadonlyArray<string | undefined>
  readonly envelope: ReadonlyArray<string | undefined>
  readonly contents: PackedContents
  readonly size: ReadonlyArray<number>
  /** The indexes in `parts` of the contents that each row refers to; `undefined` for none. */
  readonly shared: ReadonlyArray<ReadonlyArray<number> | undefined>
  /** The contents that the batch refers to; the content is left out if this thread has stored it before. */
  readonly parts: ReadonlyArray<{ readonly hash: string; readonly content: Content | undefined }>
  readonly caps: Caps | undefined
}

/** A row that was not stored: a duplicate, or one that a cap refuses. */
export type AcceptException =
  | { readonly row: number; readonly _tag: "Duplicate"; readonly id: string; readonly messageId: string }
  | { readonly row: number; readonly _tag: "Refused"; readonly cap: keyof Caps }

export class SqliteAccept {
  private readonly database: SqliteDatabase
  private readonly insert: StatementSync
  private readonly insertBody: StatementSync
  private readonly findKey: StatementSync
  private readonly findShared: StatementSync
  private readonly insertShared: StatementSync
  private readonly countShared: StatementSync
  private readonly pending: StatementSync
  private readonly pendingOfTenant: StatementSync

  constructor(database: SqliteDatabase) {
    this.database = database
    this.insert = database.prepare(Sql.insert)
    this.insertBody = database.prepare(Sql.insertBody)
    this.findKey = database.prepare(Sql.findKey)
    this.findShared = database.prepare(Sql.findShared)
    this.insertShared = database.prepare(Sql.insertShared)
    this.countShared = database.prepare(Sql.countShared)
    this.pending = database.prepare(Sql.pending)
    this.pendingOfTenant = database.prepare(Sql.pendingOfTenant)
  }

  /** Stores a batch; returns the rows that were not stored. Throws `SharedMissing` if a part's content is needed. */
  accept(batch: AcceptBatch): ReadonlyArray<AcceptException> {
    return this.database.transaction(() => {
      const exceptions: Array<AcceptException> = []
      const references = batch.parts.map((part) => this.reference(part))
      const uses = references.map(() => 0)
      const room = batch.caps === undefined ? undefined : this.room(batch.caps)
      const contents = unpackContents(batch.contents)
      for (let row = 0; row < batch.id.length; row++) {
        const tenant = batch.tenant[row]!
        const size = batch.size[row]!
        const exceeded = room?.exceeded(tenant, size)
        if (exceeded !== undefined) {
          exceptions.push(this.duplicate(batch, row) ?? { row, _tag: "Refused", cap: exceeded })
          continue
        }
        const { changes, lastInsertRowid: seq } = this.insertRow(batch, row)
        if (Number(changes) === 0) {
          const duplicate = this.duplicate(batch, row)
          // No key, or the same id, means the same row: an answer was lost and the call repeated.
          if (duplicate !== undefined && duplicate.id !== batch.id[row]) exceptions.push(duplicate)
          continue
        }
        const { data, format } = pack(contents[row]!, this.database.options.compressAbove)
        const shared = batch.shared[row]
        for (const part of shared ?? []) uses[part]!++
        this.insertBody.run(
          seq,
          format,
          batch.envelope[row] ?? null,
          shared === undefined ? null : shared.map((part) => references[part]).join(","),
          data
        )
        this.database.tally(tenant, size, undefined, stateNumber.due)
        room?.take(tenant, size)
      }
      references.forEach((ref, part) => {
        if (uses[part]! > 0) this.countShared.run(uses[part]!, ref)
      })
      return exceptions
    })
  }

  private insertRow(batch: AcceptBatch, row: number) {
    return this.insert.run(
      batch.id[row]!,
      batch.tenant[row]!,
      batch.key[row] ?? null,
      batch.lane[row]!,
      batch.bucket[row]!,
      batch.priority[row]!,
      batch.dueAt[row]!,
      batch.expiresAt[row]!,
      batch.recipient[row]!,
      batch.storedMessageId[row]!,
      batch.size[row]!,
      batch.createdAt[row]!,
      batch.createdAt[row]!,
      batch.trace[row] ?? null
    )
  }

  private duplicate(batch: AcceptBatch, row: number) {
    const key = batch.key[row]
    if (key === undefined) return undefined
    const found = this.findKey.get(batch.tenant[row]!, key) as
      | { readonly id: string; readonly message_id: string }
      | undefined
    return found && { row, _tag: "Duplicate" as const, id: found.id, messageId: found.message_id }
  }

  private reference(part: AcceptBatch["parts"][number]): number {
    const found = this.findShared.get(part.hash) as { readonly ref: number } | undefined
    if (found !== undefined) return found.ref
    if (part.content === undefined) throw new SqliteProblemError({ _tag: "SharedMissing" })
    const { data, format } = pack(part.content, this.database.options.compressAbove)
    return (this.insertShared.get(part.hash, format, data) as { readonly ref: number }).ref
  }

  /** The room that the caps leave; it starts from the stored tallies and shrinks while the batch goes in. */
  private room(caps: Caps): Room {
    const tenants = new Map<string, Waiting>()
    return new Room(caps, this.pending.get() as unknown as Waiting, (tenant) => {
      let waiting = tenants.get(tenant)
      if (waiting === undefined) {
        tenants.set(tenant, (waiting = this.pendingOfTenant.get(tenant) as unknown as Waiting))
      }
      return waiting
    })
  }
}
