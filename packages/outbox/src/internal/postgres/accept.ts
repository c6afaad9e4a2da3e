/**
 * Accepts messages into PostgreSQL: one statement for each batch, so one round trip and one commit.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as OutboxError from "../../OutboxError.ts"
import type { Accepted, Caps, NewRow } from "../../OutboxStore.ts"
import { busy, Room, type Waiting } from "../store/caps.ts"
import { contents, integers, number, numbers, texts, type PostgresSession } from "./session.ts"
import { pack, type Shared } from "../store/storedContent.ts"
import * as Sql from "./sql/accept.ts"

/** The time for which a count of waiting messages is used, in milliseconds. */
const countedFor = 250

/**
 * The time for which a stored body is taken for granted, in milliseconds. Housekeeping deletes unused bodies a day
 * after their last use, so a batch never refers to a deleted one.
 */
const knownFor = 600_000

export class PostgresAccept {
  private readonly session: PostgresSession
  private readonly caps: Caps | undefined
  private readonly compressAbove: number
  private readonly shared = new Map<string, { readonly ref: number; readonly until: number }>()
  private counted: { all: Waiting; tenants: Map<string, Waiting>; until: number } | undefined

  constructor(session: PostgresSession, caps: Caps | undefined, compressAbove: number) {
    this.session = session
    this.caps = caps
    this.compressAbove = compressAbove
  }

  /** Stores rows, in the transaction of the calling fiber if there is one. */
  readonly accept = (rows: ReadonlyArray<NewRow>): Effect.Effect<ReadonlyArray<Accepted>, OutboxError.OutboxError> =>
    Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      const refused = yield* this.refused(rows, now)
      const wanted = rows.filter((row) => !refused.has(row.id))
      const references = yield* this.references(wanted, now)
      const stored = wanted.length === 0 ? [] : yield* this.insert(wanted, references)
      if (stored.length === rows.length) return rows.map(() => simplyStored)
      const isStored = new Set(stored)
      const known = yield* this.known(rows.filter((row) => row.key !== undefined && !isStored.has(row.id)))
      return rows.map((row): Accepted => {
        const existing = known.get(row.id)
        // The same id means the same row: an answer was lost and the call repeated.
        if (existing !== undefined && existing.id !== row.id) return { _tag: "Duplicate", ...existing }
        const error = refused.get(row.id)
        return error === undefined || existing !== undefined ? simplyStored : { _tag: "Refused", error }
      })
    })

  private insert(rows: ReadonlyArray<NewRow>, references: ReadonlyMap<string, number>) {
    const packed = rows.map((row) => pack(row.content, this.compressAbove))
    return Effect.map(
      this.session.rows<{ readonly id: string }>(Sql.insertion, [
        texts(rows.map((row) => row.id)),
        texts(rows.map((row) => row.tenant)),
        texts(rows.map((row) => row.key)),
        texts(rows.map((row) => row.lane)),
        integers(rows.map((row) => row.bucket)),
        integers(rows.map((row) => row.priority)),
        numbers(rows.map((row) => row.dueAt)),
        numbers(rows.map((row) => row.expiresAt)),
        texts(rows.map((row) => row.recipient)),
        texts(rows.map((row) => row.messageId)),
        integers(rows.map((row) => row.size)),
        numbers(rows.map((row) => row.createdAt)),
        texts(rows.map((row) => row.trace)),
        integers(packed.map(({ format }) => format)),
        texts(rows.map((row) => row.envelope)),
        texts(
          rows.map((row) =>
            row.shared.length === 0 ? undefined : row.shared.map(({ hash }) => references.get(hash)).join(",")
          )
        ),
        contents(packed.map(({ data }) => data))
      ]),
      (stored) => stored.map(({ id }) => id)
    )
  }

  private known(rows: ReadonlyArray<NewRow>) {
    if (rows.length === 0) return Effect.succeed(new Map<string, { id: string; messageId: string }>())
    return Effect.map(
      this.session.rows<{ own: string; id: string; message_id: string }>(Sql.known, [
        texts(rows.map((row) => row.id)),
        texts(rows.map((row) => row.tenant)),
        texts(rows.map((row) => row.key))
      ]),
      (found) => new Map(found.map(({ id, message_id, own }) => [own, { id, messageId: message_id }]))
    )
  }

  /** Stores the contents that rows refer to, unless they are known to be there; returns their references by hash. */
  private references(rows: ReadonlyArray<NewRow>, now: number) {
    return Effect.gen({ self: this }, function* () {
      const references = new Map<string, number>()
      const missing = new Map<string, Shared>()
      for (const row of rows) {
        for (const shared of row.shared) {
          const known = this.shared.get(shared.hash)
          if (known !== undefined && known.until > now) references.set(shared.hash, known.ref)
          else missing.set(shared.hash, shared)
        }
      }
      if (missing.size === 0) return references
      const parts = [...missing.values()].map(({ content, hash }) => ({ hash, ...pack(content, this.compressAbove) }))
      // Every batch uses the same order, or two batches could wait for each other.
      parts.sort((a, b) => (a.hash < b.hash ? -1 : 1))
      const stored = yield* this.session.rows<{ hash: string; ref: number }>(Sql.insertShared, [
        texts(parts.map(({ hash }) => hash)),
        integers(parts.map(({ format }) => format)),
        contents(parts.map(({ data }) => data)),
        number(now)
      ])
      if (this.shared.size > 1000) this.shared.clear()
      for (const { hash, ref } of stored) {
        references.set(hash, ref)
        this.shared.set(hash, { ref, until: now + knownFor })
      }
      return references
    })
  }

  /**
   * The rows that a cap refuses. Waiting messages are counted a few times a second and estimated in between, so
   * several processes together may overrun a cap by what they accept in that time.
   */
  private refused(rows: ReadonlyArray<NewRow>, now: number) {
    const refused = new Map<string, OutboxError.OutboxError>()
    const { caps } = this
    if (caps === undefined) return Effect.succeed(refused)
    return Effect.gen({ self: this }, function* () {
      if (this.counted === undefined || this.counted.until <= now) {
        const tallies = yield* this.session.rows<{ tenant: string } & Waiting>(Sql.pending)
        const all = { mails: 0, bytes: 0 }
        for (const { bytes, mails } of tallies) {
          all.mails += mails
          all.bytes += bytes
        }
        const tenants = new Map(tallies.map(({ bytes, mails, tenant }) => [tenant, { mails, bytes }]))
        this.counted = { all, tenants, until: now + countedFor }
      }
      const { all, tenants } = this.counted
      const room = new Room(caps, all, (tenant) => {
        const waiting = tenants.get(tenant) ?? { mails: 0, bytes: 0 }
        tenants.set(tenant, waiting)
        return waiting
      })
      for (const { id, size, tenant } of rows) {
        const cap = room.exceeded(tenant, size)
        if (cap === undefined) room.take(tenant, size)
        else refused.set(id, OutboxError.make(new OutboxError.Busy(busy(cap, caps[cap], tenant))))
      }
      return refused
    })
  }
}

const simplyStored: Accepted = { _tag: "Stored" }
