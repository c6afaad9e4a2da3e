/**
 * Schedules lanes: which have due messages, which messages are claimed of each, and which lane goes next.
 *
 * Claims fill a short queue for each lane in equal shares, and the scheduler takes one message from each lane in
 * turn. So a lane with a million messages delays one with a single message by one turn, and a lane whose gate is
 * closed takes no turn at all.
 */
import type { ClaimedRow, DueLane, HeldTenant, LaneQuota, TenantQuota } from "../../OutboxStore.ts"
import { bucket } from "../../Lane.ts"
import { CongestionWindow } from "@mailrace/flow/CongestionWindow"
import type { Feedback as FlowFeedback } from "@mailrace/flow/Feedback"
import type { Change } from "@mailrace/flow/FlowChange"
import type { Admission, Facts, FlowControl, Gates, LaneGates, Wait } from "@mailrace/flow/FlowControl"
import { oneMessage } from "@mailrace/flow/RateLimit"
import { ByteQuota, weightOf } from "./byteQuota.ts"
import { LaneQueue } from "./laneQueue.ts"
import { LaneRows } from "./laneRows.ts"
import { TenantGates } from "./tenantGates.ts"

/** A message on its way. */
export interface Begun {
  readonly row: ClaimedRow
  /** Its number in the order of all messages that were begun. */
  readonly number: number
  /** Its admission by the limits, if there are any. */
  readonly admission: Admission | undefined
}

/** The meaning of an attempt for its lane and for the relay. */
export type Feedback =
  | { readonly _tag: "Success" }
  | { readonly _tag: "Neutral" }
  /** The message failed temporarily; only a series of these says something about its lane. */
  | { readonly _tag: "Deferral" }
  | { readonly _tag: "Complaint"; readonly about: "lane" | "relay"; readonly askedMs: number }
  /** A rule leaves the relay or the lane alone. */
  | { readonly _tag: "Pause"; readonly about: "lane" | "relay"; readonly ms: number }

/** The size of claims, in messages. */
export interface ClaimSize {
  /** Messages to keep ready beside those on their way. */
  readonly ready: number
  /** The most in one claim. */
  readonly most: number
  /**
   * The least room to claim for. With less, it is cheaper to wait until more messages are settled: each claim has a cost.
   */
  readonly least: number
}

interface Lane {
  readonly dueLane: DueLane
  readonly gate: CongestionWindow
  queue: LaneRows
}

/** The largest number of lanes in one claim; a lane costs a few seeks of the index. */
const lanesInClaim = 250

/**
 * The largest number of messages asked of a lane in one claim, if there are more lanes than the claim has room for. Each
 * lane costs a page of the index: with 16 messages a claim and its settlements cost half of what they cost with 4. The
 * price is the time until all lanes had their turn, so more than `fewOfLane` are asked for only as long as a round over
 * all of them takes `roundMs` at most.
 */
const mostOfLane = 16
const fewOfLane = 4
const roundMs = 5000

/** The time over which the rate is measured, in milliseconds. */
const rateMs = 250

/** The largest number of closed lanes whose replies are remembered. */
const mostClosures = 1000

/** The number of lanes to find before they are sorted; a lane takes about 200 bytes. */
const lanesInOrder = 16_384

/**
 * Claims from many lanes are twice as large, and twice as many messages are kept ready, as long as the contents of all
 * these messages take at most this many bytes. A lane's messages lie in pages far apart, which it shares with its
 * neighbours in the claim: a claim of 450 messages of 28 lanes changed 127 pages of a SQLite file, one of 205 messages of
 * 13 lanes 82.
 */
const bytesReady = 16_000_000

/** Under limits, a claim takes as many messages as they let through in this many milliseconds. */
const aheadMs = 1000

/** The weight of one message's recipients in their average. */
const newShare = 0.1

const noLimits: Gates = {
  inFlight: 0,
  window: Infinity,
  perSecond: Infinity,
  phase: "open",
  circuit: "closed",
  lanes: []
}

/** Options about messages and relays. */
export interface Options {
  /** Tells whether one relay takes all messages, so that its pause holds for all lanes. Defaults to true. */
  readonly isOneRelay?: (() => boolean) | undefined
  /** Counts a message's recipients for limits. Defaults to one. */
  readonly recipientsOf?: ((row: ClaimedRow) => number) | undefined
}

/** The lanes and their queues. */
export class LaneScheduler {
  private readonly concurrency: number
  private readonly flow: FlowControl | undefined
  private readonly isOneRelay: () => boolean
  private readonly recipientsOf: (row: ClaimedRow) => number
  /** The recipients of a message on average, as limits count them. */
  private recipientsEach = 1
  /** Present if limits count bytes. */
  private readonly byteQuota: ByteQuota | undefined
  /** Present if tenants have limits or weights. */
  private readonly tenants: TenantGates | undefined
  /** The time of the last quotas. */
  private quotedAt = 0
  /** The time at which limits open for a lane without queued messages; infinite if they hold back none. */
  private heldUntil = Infinity
  /** The lanes that replies have closed, and since when and by which reply; `undefined` stands for the relay. */
  private readonly closures = new Map<string | undefined, { readonly since: number; reply: string | undefined }>()
  /** Called once when a reply closes a lane or the relay, and once when it takes a message again. */
  onChange: (change: Change) => void = () => {}
  private readonly prefetch: number
  private readonly usual: ClaimSize
  private readonly large: ClaimSize
  private readonly due = new LaneQueue()
  /** Lanes that the scan found and that are not sorted yet. */
  private readonly found = new Map<string, DueLane>()
  /** Due lanes that may have no more messages: the last claim brought as many as it asked for. */
  private readonly unsure = new Set<string>()
  private isLooking = false
  private readonly lanes = new Map<string, Lane>()
  /** Lanes whose gate closed and has not been seen open since. */
  private readonly closed = new Set<Lane>()
  private readonly relay = new CongestionWindow()
  /** Lanes with queued messages, in turn. */
  private turn: Array<Lane> = []
  private next = 1
  /**
   * The number of messages to ask of each lane if there are many lanes. It grows while lanes have that many, and shrinks if
   * most have fewer.
   */
  private ofLane = 2
  /** True if the last claim had no room for all due lanes. */
  private isCrowded = false
  /** The average length of the contents that the last claim from many lanes brought. */
  private contentLength = Infinity
  /** Messages brought since `countedFrom`, and their number a millisecond in the `rateMs` before. */
  private brought = 0
  private countedFrom = 0
  private rate = 0
  /** The number of queued messages. */
  queued = 0

  /**
   * `prefetch` is the number of messages to keep ready beside those on their way. `flow` holds limits of the relay, of
   * lanes and of tenants, and may follow the relay's complaints.
   */
  constructor(
    concurrency: number,
    prefetch: number,
    flow?: FlowControl,
    { isOneRelay = () => true, recipientsOf = () => 1 }: Options = {}
  ) {
    this.isOneRelay = isOneRelay
    this.recipientsOf = recipientsOf
    this.concurrency = concurrency
    this.prefetch = prefetch
    this.usual = { ready: prefetch, most: prefetch / 2, least: prefetch / 4 }
    this.large = { ready: prefetch * 2, most: prefetch, least: prefetch * 0.8 }
    this.flow = flow
    this.byteQuota =
      flow?.countsBytes === true
        ? new ByteQuota(flow, {
            total: () => this.turn.reduce((sum, lane) => sum + weightOfAll(lane), 0),
            ofLane: (name) => weightOfAll(this.lanes.get(name))
          })
        : undefined
    this.tenants = flow === undefined || flow.tenantRates.size === 0 ? undefined : new TenantGates(flow, this.byteQuota)
  }

  /** The number of messages begun and not ended. */
  get sending(): number {
    return this.relay.inFlight
  }

  get dueLanes(): number {
    return this.due.size + this.found.size + (this.tenants?.size ?? 0)
  }

  /**
   * True if more lanes are wanted: from when fewer are known than a claim asks for, until many are known, so that
   * they can be sorted.
   */
  get wantsLanes(): boolean {
    if (this.due.size < lanesInClaim / Math.min(fewOfLane, this.ofLane)) this.isLooking = true
    return this.isLooking
  }

  /** The size of the next claim: larger where lanes are many and messages small. */
  get claimSize(): ClaimSize {
    return this.isCrowded && this.contentLength * this.large.ready <= bytesReady ? this.large : this.usual
  }

  /** True if the queues should be filled again, which is not after each message. */
  get isLow(): boolean {
    return this.queued <= this.claimSize.ready / 2
  }

  /** True if a lane, or the relay, is closed for now. */
  isClosed(lane: string, now: number): boolean {
    return this.relay.opensAt(now) !== undefined || this.lanes.get(lane)?.gate.opensAt(now) !== undefined
  }

  /** How far the gates are open: the windows of this scheduler and, with limits, those of `flow`. */
  gates(now: number): Gates {
    const limits = this.flow?.gates(now) ?? noLimits
    const slowed = new Map(limits.lanes.map((one): [string, LaneGates] => [one.lane, one]))
    for (const [lane, { gate }] of this.lanes) {
      const window = gate.size(now)
      if (window !== Infinity)
        slowed.set(lane, { perSecond: Infinity, phase: "open", ...slowed.get(lane), lane, window })
    }
    return {
      ...limits,
      inFlight: this.sending,
      window: Math.min(limits.window, this.relay.size(now)),
      lanes: [...slowed.values()].sort((a, b) => (a.lane < b.lane ? -1 : 1))
    }
  }

  /** Why messages wait, and since when, the longest first: lanes and the relay that replies have closed, and the limits. */
  waits(now: number): ReadonlyArray<Wait> {
    const closed = [...this.closures].map(([lane, { reply, since }]): Wait => {
      const opensAt = lane === undefined ? this.relay.opensAt(now) : this.lanes.get(lane)?.gate.opensAt(now)
      return { gate: lane === undefined ? "pace" : "lane", key: lane, since, until: opensAt ?? now, reply }
    })
    return [...(this.flow?.waiting(now) ?? []), ...closed].sort((a, b) => a.since - b.since)
  }

  /** Adds a lane that may have a due message. */
  addDue(dueLane: DueLane): void {
    this.unsure.delete(dueLane.lane)
    this.due.add(dueLane)
  }

  /** Adds a lane in which the scan found a due message. */
  addFound(dueLane: DueLane): void {
    this.unsure.delete(dueLane.lane)
    if (!this.due.has(dueLane.lane)) this.found.set(dueLane.lane, dueLane)
  }

  /** Forgets the lanes that may have no more messages, so that a scan decides; true if there were any. */
  forgetUnsure(): boolean {
    if (this.unsure.size === 0) return false
    for (const lane of this.unsure) this.due.delete(lane)
    this.unsure.clear()
    return true
  }

  /**
   * Sorts the found lanes by their first messages, once there are many or the round is over. Messages of a hundred lanes
   * that were enqueued one after the other lie side by side in the database, and cost a fraction of what messages from all
   * over it cost: with 10,000 lanes by name, a claim of 250 messages and their settlements changed 700 pages of a SQLite
   * file; sorted like this, 150.
   *
   * If no other lane is left before that, the first of those found so far fill one claim. The others wait until the rest
   * are found, because lanes keep the order in which they are lined up.
   */
  lineUp(isRoundOver: boolean): void {
    const isEnough = isRoundOver || this.found.size >= lanesInOrder
    if (!isEnough && this.due.size > 0) return
    if (isEnough) this.isLooking = false
    const dueLanes = [...this.found.values()].sort((a, b) => (a.first ?? 0) - (b.first ?? 0))
    for (const dueLane of isEnough ? dueLanes : dueLanes.slice(0, lanesInClaim)) {
      this.found.delete(dueLane.lane)
      this.addDue(dueLane)
    }
  }

  /**
   * The quotas of the next claim with room for `budget` messages: equal shares for lanes with room, at most `allowed`
   * for each.
   */
  quotas(budget: number, now: number, allowed: (lane: string) => number): ReadonlyArray<LaneQuota> {
    this.heldUntil = Infinity
    if (this.relay.room(now) === 0 && this.relay.opensAt(now) !== undefined) return []
    const { byteQuota, flow } = this
    this.quotedAt = now
    const until = now + aheadMs
    for (const dueLane of this.tenants?.wake(now, until, this.recipientsEach) ?? []) this.due.add(dueLane)
    if (flow !== undefined) {
      budget = Math.min(budget, flow.relayCountUntil(now, until, this.recipientsEach) - this.queued)
      if (byteQuota !== undefined) budget = Math.min(budget, byteQuota.countOf(this.due, now, until))
      if (budget < 1) {
        // The question tells the limits that messages wait.
        if (this.due.size > 0 && this.queued === 0) this.heldUntil = flow.relayAvailableAt(now)
        return []
      }
    }
    this.measure(now)
    const open: Array<LaneQuota> = []
    const share = Math.max(this.ofLane, Math.ceil(this.prefetch / Math.max(1, this.due.size)))
    const most = Math.min(lanesInClaim, Math.max(1, Math.floor(budget / this.ofLane)))
    for (const dueLane of this.due) {
      if (open.length === most) break
      const lane = this.lanes.get(dueLane.lane)
      const queued = lane?.queue.length ?? 0
      const room = lane === undefined ? Infinity : lane.gate.room(now) - queued
      const limited =
        flow === undefined ? Infinity : flow.laneCountUntil(dueLane.lane, now, until, this.recipientsEach) - queued
      if (limited < 1 && queued === 0) {
        const facts = { lane: dueLane.lane, tenant: "", cost: oneMessage }
        this.heldUntil = Math.min(this.heldUntil, flow?.ownAvailableAt(facts, now) ?? Infinity)
      }
      const weighed = byteQuota?.countOfLane(dueLane.lane, now, until) ?? Infinity
      const limit = Math.min(share - queued, room, limited, weighed, allowed(dueLane.lane))
      if (limit >= 1) open.push({ ...dueLane, limit: Math.floor(limit) })
    }
    if (this.tenants !== undefined)
      this.heldUntil = Math.min(this.heldUntil, this.tenants.wakesAt(now, aheadMs) + aheadMs)
    this.isCrowded = open.length === most && most < this.due.size
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

  /**
   * The quotas of tenants for the claim with these quotas of lanes; `undefined` if no tenant has limits or weights, so that
   * it does not matter whose messages are claimed.
   */
  tenantQuotas(quotas: ReadonlyArray<LaneQuota>, now: number): ReadonlyArray<TenantQuota> | undefined {
    const budget = quotas.reduce((sum, { limit }) => sum + limit, 0)
    return this.tenants?.quotas(budget, now, now + aheadMs, this.recipientsEach)
  }

  /**
   * Queues the result of a claim. A lane that gave fewer messages than asked has no more, but for those of tenants at their
   * limits (`held`). Returns messages to give back because limits leave too few bytes for them.
   */
  add(
    quotas: ReadonlyArray<LaneQuota>,
    rows: ReadonlyArray<ClaimedRow>,
    expired: ReadonlyArray<{ lane: string }>,
    held: ReadonlyArray<HeldTenant> = []
  ): ReadonlyArray<ClaimedRow> {
    const brought = new Map<string, number>()
    for (const { lane } of expired) brought.set(lane, (brought.get(lane) ?? 0) + 1)
    for (const row of rows) brought.set(row.lane, (brought.get(row.lane) ?? 0) + 1)
    this.learn(quotas, rows, rows.length + expired.length)
    for (const { bucket, lane, limit } of quotas) {
      this.due.delete(lane)
      this.unsure.delete(lane)
      if ((brought.get(lane) ?? 0) < limit) continue
      // Moves the lane to the end.
      this.due.add({ bucket, lane, first: undefined })
      this.unsure.add(lane)
    }
    const dueLanes = new Map(quotas.map((quota) => [quota.lane, quota]))
    this.tenants?.note(rows, held, (lane) => dueLanes.get(lane)!, this.quotedAt)
    const { fitting, over } = this.byteQuota?.divide(quotas, rows, this.quotedAt, this.quotedAt + aheadMs) ?? {
      fitting: rows,
      over: none
    }
    this.learnRecipients(fitting)
    for (const row of fitting) this.enqueue(row, dueLanes.get(row.lane)!)
    for (const { lane } of over) {
      const { bucket } = dueLanes.get(lane)!
      this.due.add({ bucket, lane, first: undefined })
      this.unsure.add(lane)
    }
    return over
  }

  private learnRecipients(rows: ReadonlyArray<ClaimedRow>): void {
    if (this.flow?.countsRecipients(this.quotedAt) !== true) {
      this.recipientsEach = 1
      return
    }
    for (const row of rows) this.recipientsEach += (this.recipientsOf(row) - this.recipientsEach) * newShare
  }

  /** Learns how many messages lanes have, and how long these are, if there are more lanes than were asked. */
  private learn(quotas: ReadonlyArray<LaneQuota>, rows: ReadonlyArray<ClaimedRow>, brought: number): void {
    this.brought += brought
    if (!this.isCrowded) return
    if (rows.length > 0) this.contentLength = rows.reduce((sum, { content }) => sum + content.length, 0) / rows.length
    const asked = quotas.reduce((sum, { limit }) => sum + limit, 0)
    const inRound = Math.floor((this.rate * roundMs) / this.dueLanes)
    const most = Math.min(mostOfLane, Math.max(fewOfLane, inRound))
    this.ofLane =
      brought >= asked * 0.8
        ? Math.min(most, this.ofLane * 2)
        : Math.min(most, this.ofLane, Math.max(1, Math.ceil(brought / quotas.length)))
  }

  private measure(now: number): void {
    const elapsed = now - this.countedFrom
    if (elapsed < rateMs) return
    this.rate = this.brought / elapsed
    this.brought = 0
    this.countedFrom = now
  }

  /** Begins at most `max` messages, one from each lane in turn. */
  take(max: number, now: number): Array<Begun> {
    const begun: Array<Begun> = []
    let skipped = 0
    let room = Math.min(max, this.relay.room(now))
    while (room > 0 && skipped < this.turn.length && this.relayOpensAt(now) <= now) {
      const lane = this.turn.shift()!
      const ready = lane.gate.room(now) < 1 ? undefined : this.readyOf(lane, now)
      if (ready === undefined) {
        this.turn.push(lane)
        skipped++
        continue
      }
      skipped = 0
      room--
      const { facts, row } = ready
      const admission = facts && this.flow!.admit(facts, now)
      begun.push({ row: lane.queue.take(row), number: this.next++, admission })
      this.count(row, -1)
      lane.gate.inFlight++
      this.relay.inFlight++
      if (lane.queue.length > 0) this.turn.push(lane)
    }
    return begun
  }

  /** The message of a lane that may go now: the first one of a tenant that is not at its limit. */
  private readyOf(
    lane: Lane,
    now: number
  ): { readonly row: ClaimedRow; readonly facts: Facts | undefined } | undefined {
    const { flow } = this
    if (flow === undefined) return { row: lane.queue.first!, facts: undefined }
    for (const row of lane.queue.heads()) {
      const facts = this.factsOf(row, now)
      if (flow.availableAt(facts, now) <= now) return { row, facts }
      // A limit of the lane or of the relay holds back every tenant.
      if (flow.tenantAvailableAt(row.tenant, facts.cost, now) <= now) return undefined
    }
    return undefined
  }

  /**
   * The time from which a lane that got no quota last time, because of limits, can be claimed from; infinite if there is
   * none.
   */
  get claimsOpenAt(): number {
    return this.heldUntil - aheadMs
  }

  /** The time at which the limits let a queued message begin; `undefined` if they hold back none. */
  limitsOpenAt(now: number): number | undefined {
    const { flow } = this
    if (flow === undefined || this.queued === 0) return undefined
    const relay = this.relayOpensAt(now)
    // A limit without a known end opens when a message ends.
    if (relay > now) return relay === Infinity ? undefined : relay
    let first: number | undefined
    for (const lane of this.turn) {
      if (lane.gate.room(now) < 1) continue
      for (const row of lane.queue.heads()) {
        const at = flow.availableAt(this.factsOf(row, now), now)
        if (at > now) first = Math.min(first ?? Infinity, at)
      }
    }
    return first
  }

  /**
   * Ends a message; returns queued messages to give back because their gate closed. `learned` is what the limits learn
   * from it, if anything, and `reply` what the relay said.
   */
  end(
    begun: Begun,
    feedback: Feedback,
    now: number,
    learned?: FlowFeedback,
    reply?: string
  ): ReadonlyArray<ClaimedRow> {
    const { admission, number, row } = begun
    if (admission !== undefined) this.flow?.end(admission, learned, now)
    const lane = this.lanes.get(row.lane)!
    let closed: ReadonlyArray<ClaimedRow> = []
    if (feedback._tag === "Success") {
      lane.gate.succeeded(this.concurrency)
      this.relay.succeeded(this.concurrency)
      if (this.closures.size > 0) {
        this.noteTaken(row.lane, lane.gate, now)
        this.noteTaken(undefined, this.relay, now)
      }
    } else if (feedback._tag === "Pause" && feedback.about === "lane") {
      lane.gate.close(now, feedback.ms)
      this.closed.add(lane)
      closed = this.giveBack(lane)
      this.noteClosure(row.lane, now, lane.gate.opensAt(now)!, reply)
    } else if (feedback._tag === "Pause") {
      // Of several relays, another one takes the messages.
      if (this.isOneRelay()) {
        this.relay.close(now, feedback.ms)
        closed = this.giveBackAll()
        this.noteClosure(undefined, now, this.relay.opensAt(now)!, reply)
      }
    } else if (feedback._tag === "Complaint" || (feedback._tag === "Deferral" && lane.gate.deferred())) {
      const isAboutRelay = feedback._tag === "Complaint" && feedback.about === "relay"
      const gate = isAboutRelay ? this.relay : lane.gate
      gate.failed(number, this.next, now, feedback._tag === "Complaint" ? feedback.askedMs : 0)
      const until = gate.opensAt(now)
      if (until !== undefined) {
        if (!isAboutRelay) this.closed.add(lane)
        closed = isAboutRelay ? this.giveBackAll() : this.giveBack(lane)
        this.noteClosure(isAboutRelay ? undefined : row.lane, now, until, reply)
      }
    }
    lane.gate.inFlight--
    this.relay.inFlight--
    if (lane.gate.isQuiet && lane.queue.length === 0) this.lanes.delete(row.lane)
    return closed
  }

  /** A message was taken. One that was on its way when the gate closed does not open it. */
  private noteTaken(lane: string | undefined, gate: CongestionWindow, now: number): void {
    if (gate.opensAt(now) === undefined && this.closures.delete(lane)) this.onChange({ _tag: "TakesAgain", lane })
  }

  private noteClosure(lane: string | undefined, now: number, until: number, reply: string | undefined): void {
    const before = this.closures.get(lane)
    if (before !== undefined) before.reply = reply ?? before.reply
    else if (this.closures.size < mostClosures) {
      this.closures.set(lane, { since: now, reply })
      this.onChange({ _tag: "LeftAlone", lane, until, reply })
    }
  }

  /** Forgets lanes without recent attempts, so that it remembers only lanes that had trouble lately. */
  forget(now: number): void {
    for (const [name, { gate, queue }] of this.lanes) {
      if (queue.length > 0 || !gate.isStale(now)) continue
      this.lanes.delete(name)
      this.closures.delete(name)
    }
  }

  /** Empties the queues. */
  giveBackAll(): ReadonlyArray<ClaimedRow> {
    return [...this.lanes.values()].flatMap((lane) => this.giveBack(lane))
  }

  /** Forgets the lanes of left buckets and empties their queues. */
  leave(buckets: ReadonlySet<number>): ReadonlyArray<ClaimedRow> {
    const rows = [...this.lanes.values()].flatMap((lane) =>
      buckets.has(lane.dueLane.bucket) ? this.giveBack(lane) : []
    )
    for (const { bucket, lane } of [...this.due, ...this.found.values()]) {
      if (!buckets.has(bucket)) continue
      this.due.delete(lane)
      this.found.delete(lane)
    }
    this.tenants?.leave(buckets)
    return rows
  }

  /** The time at which the first closed gate opens that has due messages behind it. */
  opensAt(now: number): number | undefined {
    const relay = this.relay.opensAt(now)
    if (relay !== undefined) return relay
    let first: number | undefined
    for (const lane of this.closed) {
      const opens = lane.gate.opensAt(now)
      if (opens === undefined) this.closed.delete(lane)
      else if (this.due.has(lane.dueLane.lane)) first = Math.min(first ?? Infinity, opens)
    }
    return first
  }

  /** Puts a message that was tried already at the head of its lane. */
  putFirst(row: ClaimedRow): void {
    const lane = this.laneOf(row, bucket(row.lane))
    if (lane.queue.length === 0) this.turn.push(lane)
    lane.queue.unshift(row)
    this.count(row, 1)
  }

  private count({ tenant }: ClaimedRow, more: number): void {
    this.queued += more
    this.tenants?.queue(tenant, more)
  }

  private factsOf(row: ClaimedRow, now: number): Facts {
    const bytes = this.byteQuota === undefined ? 0 : weightOf(row)
    const recipients = this.flow?.countsRecipients(now) === true ? this.recipientsOf(row) : 1
    return { lane: row.lane, tenant: row.tenant, cost: { recipients, bytes } }
  }

  private readonly weightOf = (tenant: string): number => this.flow?.tenantRates.get(tenant)?.weight ?? 1

  private relayOpensAt(now: number): number {
    return this.flow?.relayAvailableAt(now) ?? now
  }

  private enqueue(row: ClaimedRow, dueLane: DueLane): void {
    const lane = this.laneOf(row, dueLane.bucket)
    if (lane.queue.length === 0) this.turn.push(lane)
    lane.queue.push(row)
    this.count(row, 1)
  }

  private laneOf({ lane: name }: ClaimedRow, bucket: number): Lane {
    let lane = this.lanes.get(name)
    if (lane === undefined) {
      lane = { dueLane: { bucket, lane: name }, gate: new CongestionWindow(), queue: new LaneRows(this.weightOf) }
      this.lanes.set(name, lane)
    }
    return lane
  }

  private giveBack(lane: Lane): ReadonlyArray<ClaimedRow> {
    if (lane.queue.length === 0) return none
    const rows = lane.queue.all()
    lane.queue = new LaneRows(this.weightOf)
    for (const row of rows) this.count(row, -1)
    this.turn = this.turn.filter((other) => other !== lane)
    this.due.add(lane.dueLane)
    return rows
  }
}

const none: ReadonlyArray<ClaimedRow> = []

const weightOfAll = (lane: Lane | undefined): number =>
  lane === undefined ? 0 : lane.queue.all().reduce((sum, row) => sum + weightOf(row), 0)
