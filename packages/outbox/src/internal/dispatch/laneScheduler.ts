/**
 * What the dispatcher knows of lanes: which have something due, what is claimed of each, and who goes next.
 *
 * Mails wait in a short queue for each lane, filled by claims in equal shares, and leave them one from each lane in
 * turn. So a lane with a million mails delays one with a single mail by one place, and one that is closed by its gate
 * keeps no place at all.
 */
import type { ClaimedRow, DueLane, LaneQuota } from "../../OutboxStore.ts"
import { bucket } from "../../Lane.ts"
import { LaneGate } from "./laneGate.ts"

/** A mail on its way. */
export interface Begun {
  readonly row: ClaimedRow
  /** Its number among all that were begun. */
  readonly number: number
}

/** What an attempt says about its lane and about the relay. */
export type Feedback =
  | { readonly _tag: "Success" }
  | { readonly _tag: "Neutral" }
  /** The mail failed for now; about its lane that says something only when it goes on. */
  | { readonly _tag: "Deferral" }
  | { readonly _tag: "Complaint"; readonly about: "lane" | "relay"; readonly askedMs: number }

interface Lane {
  readonly dueLane: DueLane
  readonly gate: LaneGate
  queue: Array<ClaimedRow>
}

/** Lanes asked for in one claim at most; a lane costs a few seeks of the index. */
const lanesInClaim = 250

/** Mails asked of a lane in one claim, at most, where there are more lanes than that leaves places for. */
const mostOfLane = 4

/** Lanes looked for before they are put in order. */
const lanesInOrder = 4096

/** Keeps the lanes. */
export class LaneScheduler {
  private readonly concurrency: number
  /** Mails to be kept ready beside those on their way. */
  readonly prefetch: number
  private readonly due = new Map<string, DueLane>()
  /** Lanes found by looking and not put in order yet. */
  private readonly found = new Map<string, DueLane>()
  private isLooking = false
  private readonly lanes = new Map<string, Lane>()
  private readonly relay = new LaneGate()
  /** Lanes with something in their queue, in turn. */
  private turn: Array<Lane> = []
  private next = 1
  /** Mails asked of a lane where lanes are many: more while they have them, fewer when most have less. */
  private ofLane = 2
  /** Mails in the queues. */
  queued = 0

  constructor(concurrency: number, prefetch: number) {
    this.concurrency = concurrency
    this.prefetch = prefetch
  }

  /** Mails begun and not ended. */
  get sending(): number {
    return this.relay.inFlight
  }

  get dueLanes(): number {
    return this.due.size + this.found.size
  }

  /**
   * Whether more lanes are to be looked for: from when fewer are known than a claim asks, until many are, so that they can
   * be put in order.
   */
  get wantsLanes(): boolean {
    if (this.due.size < lanesInClaim / this.ofLane) this.isLooking = true
    return this.isLooking
  }

  /** Whether the queues are to be filled again; not for each mail that leaves them. */
  get isLow(): boolean {
    return this.queued <= this.prefetch / 2
  }

  /** Whether a lane, or the relay, is closed for now. */
  isClosed(lane: string, now: number): boolean {
    return this.relay.opensAt(now) !== undefined || this.lanes.get(lane)?.gate.opensAt(now) !== undefined
  }

  /** A lane may have something due. */
  addDue(dueLane: DueLane): void {
    if (!this.due.has(dueLane.lane)) this.due.set(dueLane.lane, dueLane)
  }

  /** Looking found a lane that has something due. */
  addFound(dueLane: DueLane): void {
    if (!this.due.has(dueLane.lane)) this.found.set(dueLane.lane, dueLane)
  }

  /**
   * Lines up the lanes found, once there are many, or `isRoundOver`, or none is left, in the order of their first mails. Mails of a hundred
   * lanes that were enqueued one after the other lie side by side in the database, and are claimed and settled at a
   * fraction of what mails from everywhere in it cost: by the names of 10,000 lanes, a claim of 250 mails and their ends
   * changed 700 pages of a SQLite file, so lined up 150.
   */
  lineUp(isRoundOver: boolean): void {
    const isEnough = isRoundOver || this.found.size >= lanesInOrder
    if (!isEnough && this.due.size > 0) return
    if (isEnough) this.isLooking = false
    const dueLanes = [...this.found.values()].sort((a, b) => (a.first ?? 0) - (b.first ?? 0))
    this.found.clear()
    for (const dueLane of dueLanes) this.addDue(dueLane)
  }

  /** What to claim with `budget` places left: equal shares for lanes that have room, `allowed` of each at most. */
  quotas(budget: number, now: number, allowed: (lane: string) => number): ReadonlyArray<LaneQuota> {
    if (this.relay.room(now) === 0 && this.relay.opensAt(now) !== undefined) return []
    const open: Array<LaneQuota> = []
    const share = Math.max(this.ofLane, Math.ceil(this.prefetch / Math.max(1, this.due.size)))
    const most = Math.min(lanesInClaim, Math.max(1, Math.floor(budget / this.ofLane)))
    for (const dueLane of this.due.values()) {
      if (open.length === most) break
      const lane = this.lanes.get(dueLane.lane)
      const queued = lane?.queue.length ?? 0
      const room = lane === undefined ? Infinity : lane.gate.room(now) - queued
      const limit = Math.min(share - queued, room, allowed(dueLane.lane))
      if (limit >= 1) open.push({ ...dueLane, limit: Math.floor(limit) })
    }
    const fair = Math.max(1, Math.floor(budget / Math.max(1, open.length)))
    let left = budget
    const quotas: Array<LaneQuota> = []
    for (const quota of open) {
      const limit = Math.min(quota.limit, open.length === 1 ? left : fair, left)
      if (limit < 1) break
      left -= limit
      quotas.push({ ...quota, limit })
    }
    return quotas
  }

  /** Queues what a claim brought. A lane that gave less than it was asked for has no more. */
  add(
    quotas: ReadonlyArray<LaneQuota>,
    rows: ReadonlyArray<ClaimedRow>,
    expired: ReadonlyArray<{ lane: string }>
  ): void {
    const brought = new Map<string, number>()
    for (const { lane } of expired) brought.set(lane, (brought.get(lane) ?? 0) + 1)
    for (const row of rows) brought.set(row.lane, (brought.get(row.lane) ?? 0) + 1)
    this.learn(quotas, rows.length + expired.length)
    for (const { bucket, lane, limit } of quotas) {
      this.due.delete(lane)
      // To the end of the line.
      if ((brought.get(lane) ?? 0) >= limit) this.due.set(lane, { bucket, lane, first: undefined })
    }
    const dueLanes = new Map(quotas.map((quota) => [quota.lane, quota]))
    for (const row of rows) this.enqueue(row, dueLanes.get(row.lane)!)
  }

  /** Notes how much lanes have, when many were asked. */
  private learn(quotas: ReadonlyArray<LaneQuota>, brought: number): void {
    const asked = quotas.reduce((sum, { limit }) => sum + limit, 0)
    if (quotas.length * mostOfLane < lanesInClaim) return
    this.ofLane =
      brought >= asked * 0.8
        ? Math.min(mostOfLane, this.ofLane * 2)
        : Math.min(this.ofLane, Math.ceil(brought / quotas.length))
    this.ofLane = Math.max(1, this.ofLane)
  }

  /** Begins at most `max` mails, one from each lane in turn. */
  take(max: number, now: number): Array<Begun> {
    const begun: Array<Begun> = []
    let skipped = 0
    let room = Math.min(max, this.relay.room(now))
    while (room > 0 && skipped < this.turn.length) {
      const lane = this.turn.shift()!
      if (lane.gate.room(now) < 1) {
        this.turn.push(lane)
        skipped++
        continue
      }
      skipped = 0
      room--
      begun.push({ row: lane.queue.shift()!, number: this.next++ })
      this.queued--
      lane.gate.inFlight++
      this.relay.inFlight++
      if (lane.queue.length > 0) this.turn.push(lane)
    }
    return begun
  }

  /** A mail ended; returns queued mails that are to be given back because their gate closed. */
  end({ number, row }: Begun, feedback: Feedback, now: number): ReadonlyArray<ClaimedRow> {
    const lane = this.lanes.get(row.lane)!
    let closed: ReadonlyArray<ClaimedRow> = []
    if (feedback._tag === "Success") {
      lane.gate.succeeded(this.concurrency)
      this.relay.succeeded(this.concurrency)
    } else if (feedback._tag === "Complaint" || (feedback._tag === "Deferral" && lane.gate.deferred())) {
      const isAboutRelay = feedback._tag === "Complaint" && feedback.about === "relay"
      const gate = isAboutRelay ? this.relay : lane.gate
      gate.failed(number, this.next, now, feedback._tag === "Complaint" ? feedback.askedMs : 0)
      if (gate.opensAt(now) !== undefined) closed = gate === this.relay ? this.giveBackAll() : this.giveBack(lane)
    }
    lane.gate.inFlight--
    this.relay.inFlight--
    if (lane.gate.isQuiet && lane.queue.length === 0) this.lanes.delete(row.lane)
    return closed
  }

  /** Forgets lanes that nothing is heard of any more, so that there are never more of them than had trouble lately. */
  forget(now: number): void {
    for (const [name, { gate, queue }] of this.lanes) {
      if (queue.length === 0 && gate.isStale(now)) this.lanes.delete(name)
    }
  }

  /** Empties the queues. */
  giveBackAll(): ReadonlyArray<ClaimedRow> {
    return [...this.lanes.values()].flatMap((lane) => this.giveBack(lane))
  }

  /** Forgets the lanes of buckets that are left, and empties their queues. */
  leave(buckets: ReadonlySet<number>): ReadonlyArray<ClaimedRow> {
    const rows = [...this.lanes.values()].flatMap((lane) =>
      buckets.has(lane.dueLane.bucket) ? this.giveBack(lane) : []
    )
    for (const dueLanes of [this.due, this.found]) {
      for (const [name, { bucket }] of dueLanes) if (buckets.has(bucket)) dueLanes.delete(name)
    }
    return rows
  }

  /** When the first closed gate opens again, of those that keep something waiting. */
  opensAt(now: number): number | undefined {
    const relay = this.relay.opensAt(now)
    if (relay !== undefined) return relay
    let first: number | undefined
    for (const { gate, dueLane } of this.lanes.values()) {
      const opens = this.due.has(dueLane.lane) ? gate.opensAt(now) : undefined
      if (opens !== undefined) first = Math.min(first ?? Infinity, opens)
    }
    return first
  }

  /** Queues a mail that was tried before all others of its lane. */
  putFirst(row: ClaimedRow): void {
    const lane = this.laneOf(row, bucket(row.lane))
    if (lane.queue.length === 0) this.turn.push(lane)
    lane.queue.unshift(row)
    this.queued++
  }

  private enqueue(row: ClaimedRow, dueLane: DueLane): void {
    const lane = this.laneOf(row, dueLane.bucket)
    if (lane.queue.length === 0) this.turn.push(lane)
    lane.queue.push(row)
    this.queued++
  }

  private laneOf({ lane: name }: ClaimedRow, bucket: number): Lane {
    let lane = this.lanes.get(name)
    if (lane === undefined) {
      lane = { dueLane: { bucket, lane: name }, gate: new LaneGate(), queue: [] }
      this.lanes.set(name, lane)
    }
    return lane
  }

  private giveBack(lane: Lane): ReadonlyArray<ClaimedRow> {
    const rows = lane.queue
    if (rows.length === 0) return rows
    lane.queue = []
    this.queued -= rows.length
    this.turn = this.turn.filter((other) => other !== lane)
    this.due.set(lane.dueLane.lane, lane.dueLane)
    return rows
  }
}
