/**
 * Applies the limits of tenants to claims, and knows the lanes in which only messages of tenants at their limit are left.
 *
 * A store knows which tenants have messages in a lane, the dispatcher does not. So each claim says how many messages of each
 * tenant it may bring, and its answer names the lanes in which others were left. Those rest until the tenant's limit opens, or
 * for a few seconds, because their messages may be gone and others may have come.
 */
import type { FlowControl } from "@mailrace/flow/FlowControl"
import { oneMessage } from "@mailrace/flow/RateLimit"
import type { ClaimedRow, DueLane, HeldTenant, TenantQuota } from "../../OutboxStore.ts"
import type { ByteQuota } from "./byteQuota.ts"

/** How long a tenant counts as one with due messages after a claim brought or left some, in milliseconds. */
const knownMs = 2_000

/** A lane is claimed from again after this many milliseconds, although its tenants are at their limits. */
const restMs = 5_000

/** The interval at which the limits of waiting tenants are looked at, in milliseconds. */
const everyMs = 25

interface RestingLane {
  readonly dueLane: DueLane
  readonly since: number
}

/** The gates of the tenants with limits or weights. */
export class TenantGates {
  private readonly flow: FlowControl
  private readonly byteQuota: ByteQuota | undefined
  /** Messages that were claimed and not begun. */
  private readonly queued = new Map<string, number>()
  /** When a claim last brought or left a message of a tenant. */
  private readonly seenAt = new Map<string, number>()
  /** The lanes with messages of each tenant at its limit, by name. */
  private readonly resting = new Map<string, Map<string, RestingLane>>()
  private readonly restingLanes = new Map<string, number>()
  private lookedAt = Number.NEGATIVE_INFINITY

  constructor(flow: FlowControl, byteQuota: ByteQuota | undefined) {
    this.flow = flow
    this.byteQuota = byteQuota
  }

  /** The number of lanes that rest. */
  get size(): number {
    return this.restingLanes.size
  }

  /**
   * How many messages of each tenant a claim may bring: as many as its limits let through until `until`. A tenant without
   * an entry is not bounded.
   */
  quotas(budget: number, now: number, until: number, recipientsEach: number): ReadonlyArray<TenantQuota> {
    const quotas: Array<TenantQuota> = []
    for (const [tenant, { limits, warmUp, weight }] of this.flow.tenantRates) {
      const isLimited = limits.length > 0 || warmUp !== undefined
      const limit = isLimited ? this.countUntil(tenant, now, until, recipientsEach) : budget
      if (limit < budget || weight !== 1) quotas.push({ tenant, limit: Math.max(0, Math.min(budget, limit)), weight })
    }
    return quotas
  }

  /** Records what a claim brought, and where it left messages. */
  note(
    rows: ReadonlyArray<ClaimedRow>,
    held: ReadonlyArray<HeldTenant>,
    dueLaneOf: (lane: string) => DueLane,
    now: number
  ): void {
    for (const { tenant } of rows) if (this.flow.tenantRates.has(tenant)) this.seenAt.set(tenant, now)
    for (const { lane, tenant } of held) {
      this.seenAt.set(tenant, now)
      let lanes = this.resting.get(tenant)
      if (lanes === undefined) this.resting.set(tenant, (lanes = new Map()))
      if (!lanes.has(lane)) this.restingLanes.set(lane, (this.restingLanes.get(lane) ?? 0) + 1)
      lanes.set(lane, { dueLane: dueLaneOf(lane), since: now })
    }
    // A quota left over by one claim may serve the next.
    this.lookedAt = Number.NEGATIVE_INFINITY
  }

  /** Counts messages that are queued, or fewer if negative. */
  queue(tenant: string, count: number): void {
    if (this.flow.tenantRates.has(tenant)) this.queued.set(tenant, (this.queued.get(tenant) ?? 0) + count)
  }

  /** The lanes that may be claimed from again; they rest no longer. */
  wake(now: number, until: number, recipientsEach: number): ReadonlyArray<DueLane> {
    if (this.resting.size === 0 || now < this.lookedAt + everyMs) return none
    this.lookedAt = now
    const awake: Array<DueLane> = []
    for (const [tenant, lanes] of this.resting) {
      const isOpen = this.countUntil(tenant, now, until, recipientsEach) >= 1
      for (const [lane, { dueLane, since }] of lanes) {
        if (!isOpen && now - since < restMs) continue
        this.forget(tenant, lane)
        awake.push(dueLane)
      }
    }
    return awake
  }

  /** When the first lane wakes, `aheadMs` before its tenant may send. */
  wakesAt(now: number, aheadMs: number): number {
    let first = Number.POSITIVE_INFINITY
    for (const [tenant, lanes] of this.resting) {
      const opensAt = this.flow.tenantAvailableAt(tenant, oneMessage, now)
      // The limit lets one through, but those that are queued use it up.
      first = Math.min(first, opensAt > now + aheadMs ? opensAt - aheadMs : now + everyMs)
      for (const { since } of lanes.values()) {
        first = Math.min(first, since + restMs)
        // They are in the order in which they began to rest, but for those that rested before.
        break
      }
    }
    return first
  }

  /** Forgets the lanes of buckets that are left. */
  leave(buckets: ReadonlySet<number>): void {
    for (const [tenant, lanes] of this.resting) {
      for (const [lane, { dueLane }] of lanes) if (buckets.has(dueLane.bucket)) this.forget(tenant, lane)
    }
  }

  private forget(tenant: string, lane: string): void {
    const lanes = this.resting.get(tenant)!
    lanes.delete(lane)
    if (lanes.size === 0) this.resting.delete(tenant)
    const left = this.restingLanes.get(lane)! - 1
    if (left > 0) this.restingLanes.set(lane, left)
    else this.restingLanes.delete(lane)
  }

  /** 0 for a tenant of which no message is known: leased limits would lease for nobody. */
  private countUntil(tenant: string, now: number, until: number, recipientsEach: number): number {
    const queued = this.queued.get(tenant) ?? 0
    const isKnown = queued > 0 || this.resting.has(tenant) || now - (this.seenAt.get(tenant) ?? -Infinity) < knownMs
    if (!isKnown) return 0
    const weighed = this.byteQuota?.countOfTenant(tenant, now, until) ?? Infinity
    return Math.floor(Math.min(weighed, this.flow.tenantCountUntil(tenant, now, until, recipientsEach)) - queued)
  }
}

const none: ReadonlyArray<DueLane> = []
