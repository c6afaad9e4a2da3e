/**
 * Claims and settles messages in PostgreSQL, each by one statement.
 */
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type {
  Claim,
  Claimed,
  ClaimedRow,
  DueLanes,
  ExpiredRow,
  DueLane,
  HeldTenant,
  LaneCursor,
  LaneQuota,
  Settlement,
  TenantQuota
} from "../../OutboxStore.ts"
import * as Lane from "../../Lane.ts"
import type { BucketStore, OwnedBucket } from "../dispatch/possession.ts"
import { PartCache } from "../store/partCache.ts"
import { TenantRounds } from "../store/tenantRounds.ts"
import { integer, integers, number, numbers, text, texts, type PostgresSession } from "./session.ts"
import { unpack, type Shared, type Stored } from "../store/storedContent.ts"
import * as Sql from "./sql/dispatch.ts"

/** A claimed row with its body, as the database returns it; see `claimedColumns`. */
export type PostgresClaimed = readonly [
  seq: number,
  id: string,
  state: number,
  tenant: string,
  lane: string,
  priority: number,
  recipient: string,
  messageId: string,
  key: string | null,
  attempts: number,
  retriedAt: number,
  watched: number,
  epoch: number,
  expiresAt: number,
  createdAt: number,
  trace: string | null,
  recipients: string | null,
  format: number | null,
  envelope: string | null,
  shared: string | null,
  payload: Uint8Array | null
]

/** A row that ended without an attempt, as the database returns it. */
export interface PostgresExpired {
  readonly seq: number
  readonly id: string
  readonly tenant: string
  readonly lane: string
  readonly message_id: string
  readonly attempts: number
}

/** A row of `claimingByTenant`. If it claimed nothing, the only row has null in all columns but the last two. */
type HeldBeside = readonly [...PostgresClaimed, held: string | null, last: string | null]

const columnOfHeld = 21
const columnOfLast = 22

/** The number of claimed messages, and those that are given up. */
export interface Recovered {
  readonly recovered: number
  readonly givenUp: ReadonlyArray<ExpiredRow>
}

/** Runs statements: the pool, or one connection. */
export type Statements = Pick<PostgresSession, "rows">

/** Claims for an owner of buckets. */
export class PostgresDispatch implements BucketStore<Statements> {
  private readonly session: PostgresSession
  private readonly parts: PartCache
  private readonly rounds = new TenantRounds()
  private hasTenantIndex = false

  constructor(session: PostgresSession) {
    this.session = session
    this.parts = new PartCache((refs) =>
      Effect.map(session.rows<{ ref: number; hash: string } & Stored>(Sql.sharedContents, [numbers(refs)]), (parts) =>
        parts.map(({ hash, ref, ...stored }) => ({ ref, hash, content: unpack(stored) }))
      )
    )
  }

  dueLanes(
    after: LaneCursor,
    limit: number,
    now: number,
    owned: ReadonlySet<number>
  ): Effect.Effect<DueLanes, OutboxError> {
    return Effect.gen({ self: this }, function* () {
      const rows = yield* this.session.rows<{ bucket: number; lane: string; due_at: number; paused: boolean }>(
        Sql.lanesAfter,
        [integer(after?.bucket ?? -1), after?.lane ?? "", integer(limit)]
      )
      let nextDueAt: number | undefined
      const lanes: Array<DueLane> = []
      let before = after ?? { bucket: -1, lane: "" }
      for (const { bucket: found, due_at, lane, paused } of rows) {
        const bucket = Lane.bucket(lane)
        const isElsewhere = found !== bucket
        if (isElsewhere && owned.has(found) && !(yield* this.move(found, lane))) {
          return { lanes, nextDueAt, next: before }
        }
        before = { bucket: found, lane }
        if (paused || !owned.has(bucket) || (isElsewhere && !owned.has(found))) continue
        if (due_at <= now) lanes.push({ bucket, lane })
        else nextDueAt = Math.min(nextDueAt ?? Infinity, due_at)
      }
      return { lanes, nextDueAt, next: rows.length < limit ? undefined : before }
    })
  }

  /**
   * Moves waiting messages to their lane's bucket, if a process with fewer buckets stored them in another one (see `Lane`).
   * A waiting message belongs to nobody, so it can be moved. Returns true if none is left to move.
   */
  private move(bucket: number, lane: string): Effect.Effect<boolean, OutboxError> {
    return Effect.map(
      this.session.rows<{ seq: number }>(Sql.moveSome, [integer(bucket), lane, integer(Lane.bucket(lane))]),
      (moved) => moved.length < Sql.movedAtOnce
    )
  }

  /** Becomes the owner of buckets. No other dispatcher may do so at the same time. */
  take(
    buckets: ReadonlyArray<number>,
    owner: string,
    on: Statements = this.session
  ): Effect.Effect<ReadonlyArray<OwnedBucket>, OutboxError> {
    return on.rows<OwnedBucket>(Sql.takeBuckets, [integers(buckets), owner])
  }

  claim(
    quotas: ReadonlyArray<LaneQuota>,
    now: number,
    owner: string,
    tenants?: ReadonlyArray<TenantQuota>
  ): Effect.Effect<Claim, OutboxError> {
    const parameters = [
      integers(quotas.map(({ bucket }) => bucket)),
      texts(quotas.map(({ lane }) => lane)),
      integers(quotas.map(({ limit }) => limit)),
      number(now),
      owner,
      // Offsets of each class within its share; see `priorityChoice`.
      number(Math.random()),
      number(Math.random()),
      number(Math.random())
    ]
    if (tenants === undefined)
      return Effect.flatMap(this.session.tuples<PostgresClaimed>(Sql.claiming, parameters), (found) =>
        this.claimOf(found)
      )
    const byTenant = this.session.tuples<HeldBeside>(Sql.claimingByTenant, [
      ...parameters,
      texts(tenants.map(({ tenant }) => tenant)),
      integers(tenants.map(({ limit }) => limit)),
      numbers(tenants.map(({ weight }) => weight)),
      texts(quotas.map(({ lane }) => this.rounds.after(lane)))
    ])
    return Effect.flatMap(Effect.andThen(this.indexTenants, byTenant), (rows) => {
      const held = JSON.parse(rows[0]?.[columnOfHeld] ?? "[]") as ReadonlyArray<HeldTenant>
      const last = new Map(Object.entries(JSON.parse(rows[0]?.[columnOfLast] ?? "{}") as Record<string, string>))
      for (const { lane } of quotas) this.rounds.note(lane, last.get(lane))
      const found = rows.filter(([seq]) => (seq as number | null) !== null)
      return Effect.map(this.claimOf(found as unknown as ReadonlyArray<PostgresClaimed>), (claim) => ({
        ...claim,
        held
      }))
    })
  }

  private claimOf(found: ReadonlyArray<PostgresClaimed>): Effect.Effect<Claim, OutboxError> {
    const expired = found
      .filter(([, , state]) => state !== 1)
      .map(([seq, id, , tenant, lane, , , messageId, , attempts]) => ({ seq, id, tenant, lane, messageId, attempts }))
    const claimed = expired.length === 0 ? found : found.filter(([, , state]) => state === 1)
    return Effect.map(this.complete(claimed), (rows) => ({ rows, expired }))
  }

  /**
   * Creates the index for claims by tenant, if it is missing. For a user who may not create it, claims by tenant are slow.
   * Even if the index exists, the statement waits for all writers and needs that right, so this looks first.
   */
  private readonly indexTenants: Effect.Effect<void, OutboxError> = Effect.gen({ self: this }, function* () {
    if (this.hasTenantIndex) return
    if (!(yield* this.findTenantIndex)) {
      yield* Effect.catchIf(
        this.session.rows(Sql.tenantIndex, []),
        (error) => !error.isRetryable,
        (error) =>
          // Another dispatcher may have made it at the same time.
          Effect.flatMap(this.findTenantIndex, (isFound) =>
            isFound ? Effect.void : Effect.logWarning(`claims by tenant are slow without an index: ${error.message}`)
          )
      )
    }
    this.hasTenantIndex = true
  })

  private get findTenantIndex(): Effect.Effect<boolean, OutboxError> {
    return Effect.map(this.session.rows<{ isFound: boolean }>(Sql.findTenantIndex, []), ([row]) => row!.isFound)
  }

  /** Completes rows with their shared contents. */
  complete(rows: ReadonlyArray<PostgresClaimed>): Effect.Effect<ReadonlyArray<ClaimedRow>, OutboxError> {
    const wanted: Array<number> = []
    for (const row of rows) wanted.push(...refs(row[columnOfShared]))
    return Effect.map(this.parts.resolve(wanted), (resolve) => rows.map((row) => toClaimed(row, resolve)))
  }

  settle(batch: ReadonlyArray<Settlement>): Effect.Effect<ReadonlyArray<number>, OutboxError> {
    const [first] = batch
    if (first === undefined) return Effect.succeed([])
    const seqs = batch.map(({ seq }) => seq)
    const own = [
      numbers(seqs),
      numbers(batch.map(({ epoch }) => epoch)),
      integers(batch.map(({ attempts }) => attempts)),
      numbers(batch.map(({ at }) => at)),
      texts(batch.map(({ reply }) => reply))
    ]
    const recorded = batch.every((end) => isAlike(end, first))
      ? this.session.tuples<Recorded>(Sql.settlingAlike, [
          ...own,
          integer(ends[first.state]),
          text(first.outcome),
          text(first.relay),
          integer(first.code ?? null),
          text(first.enhanced)
        ])
      : this.session.tuples<Recorded>(Sql.settling, [
          ...own,
          integers(batch.map(({ state }) => ends[state])),
          texts(batch.map(({ outcome }) => outcome)),
          texts(batch.map(({ relay }) => relay)),
          integers(batch.map(({ code }) => code)),
          texts(batch.map(({ enhanced }) => enhanced)),
          numbers(batch.map(({ dueAt }) => dueAt)),
          texts(batch.map(({ recipients }) => recipients))
        ])
    return Effect.map(recorded, ([row]) => row![0] ?? seqs)
  }

  /** Marks watched messages before their attempt begins. */
  begin(rows: ReadonlyArray<Claimed>): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(this.session.rows(Sql.markBegun, claims(rows)))
  }

  release(rows: ReadonlyArray<Claimed>): Effect.Effect<void, OutboxError> {
    return Effect.asVoid(this.session.rows(Sql.release, claims(rows)))
  }

  /** The claimed messages of these buckets. */
  claimed(buckets: Iterable<number>) {
    return this.session.rows<{ seq: number; epoch: number; attempts: number; bucket: number; updated_at: number }>(
      Sql.claimed,
      [integers([...buckets])]
    )
  }

  /**
   * Puts back the messages that other dispatchers left claimed in these buckets, except those during which `maxCrashes`
   * processes ended.
   */
  recover(
    buckets: ReadonlyArray<number>,
    now: number,
    maxCrashes: number,
    on: Statements = this.session
  ): Effect.Effect<Recovered, OutboxError> {
    return Effect.map(
      on.rows<PostgresExpired & { readonly state: number }>(Sql.recovering, [
        integers(buckets),
        number(now),
        number(maxCrashes)
      ]),
      (rows) => ({ recovered: rows.length, givenUp: rows.filter(({ state }) => state !== 0).map(toExpired) })
    )
  }
}

const toClaimed = (
  [
    seq,
    id,
    ,
    tenant,
    lane,
    priority,
    recipient,
    messageId,
    key,
    attempts,
    retriedAt,
    watched,
    epoch,
    expiresAt,
    createdAt,
    trace,
    recipients,
    format,
    envelope,
    shared,
    payload
  ]: PostgresClaimed,
  resolve: (refs: ReadonlyArray<number>) => ReadonlyArray<Shared>
): ClaimedRow => ({
  seq,
  id,
  tenant,
  lane,
  priority,
  recipient,
  messageId,
  key: key ?? undefined,
  attempts,
  retriedAt,
  isWatched: watched > 0,
  epoch,
  expiresAt,
  createdAt,
  trace: trace ?? undefined,
  recipients: recipients ?? undefined,
  envelope: envelope ?? undefined,
  content: payload === null ? "" : unpack({ format: format!, data: payload }),
  shared: resolve(refs(shared))
})

/** A message that ended without an attempt. */
export const toExpired = ({ attempts, id, lane, message_id, seq, tenant }: PostgresExpired): ExpiredRow => ({
  attempts,
  id,
  lane,
  messageId: message_id,
  seq,
  tenant
})

const claims = (rows: ReadonlyArray<Claimed>) => [
  numbers(rows.map(({ seq }) => seq)),
  numbers(rows.map(({ epoch }) => epoch)),
  integers(rows.map(({ attempts }) => attempts))
]

/** The seqs that were recorded; NULL for all. */
type Recorded = readonly [seqs: ReadonlyArray<number> | null]

/** True if two outcomes differ only in the time and in the text of the reply. */
const isAlike = (end: Settlement, other: Settlement): boolean =>
  end.state === other.state &&
  end.relay === other.relay &&
  end.code === other.code &&
  end.enhanced === other.enhanced &&
  end.outcome === other.outcome &&
  end.dueAt === undefined &&
  end.recipients === undefined

const ends = { due: 0, accepted: 2, rejected: 3, expired: 4, dead: 5 } as const

/** The place of `shared` in a `PostgresClaimed`. */
const columnOfShared = 19

const refs = (shared: string | null): ReadonlyArray<number> => (shared === null ? none : shared.split(",").map(Number))

const none: ReadonlyArray<number> = []
