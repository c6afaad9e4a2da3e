/**
 * A queue in which no tenant, lane or priority starves another.
 *
 * Tenants take turns by weight (stride scheduling), the lanes of a tenant one after the other, and the messages of a lane in
 * their order. Of four messages at most three are urgent while others wait. A lane that must wait sleeps, so that it costs
 * nothing while others go.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 *
 * @since 0.1.0
 */

/**
 * Where a message belongs.
 *
 * @since 0.1.0
 */
export interface Place {
  readonly tenant: string
  readonly lane: string
  readonly isUrgent: boolean
}

interface Lane<A> {
  readonly tenant: Tenant<A>
  readonly name: string
  /** Taken up to `start`. */
  items: Array<A | undefined>
  start: number
  wakesAt: number
}

interface Tenant<A> {
  readonly name: string
  readonly weight: number
  readonly lanes: Map<string, Lane<A>>
  /** Lanes that are awake, in turn. */
  turn: Array<Lane<A>>
  /** How much the tenant has had, divided by its weight. */
  pass: number
}

/** The queue of one priority. */
class Level<A> {
  readonly tenants = new Map<string, Tenant<A>>()
  readonly asleep = new Set<Lane<A>>()
  /** The earliest time at which a sleeping lane wakes. */
  wakesAt = Number.POSITIVE_INFINITY
  size = 0
  private pass = 0
  private readonly weightOf: (tenant: string) => number

  constructor(weightOf: (tenant: string) => number) {
    this.weightOf = weightOf
  }

  add(item: A, { lane: name, tenant: tenantName }: Place): Lane<A> {
    let tenant = this.tenants.get(tenantName)
    if (tenant === undefined) {
      tenant = { name: tenantName, weight: this.weightOf(tenantName), lanes: new Map(), turn: [], pass: this.pass }
      this.tenants.set(tenantName, tenant)
    }
    let lane = tenant.lanes.get(name)
    if (lane === undefined) {
      lane = { tenant, name, items: [], start: 0, wakesAt: Number.NEGATIVE_INFINITY }
      tenant.lanes.set(name, lane)
      tenant.turn.push(lane)
    }
    lane.items.push(item)
    this.size++
    return lane
  }

  take(now: number, availableAt: (item: A) => number): A | undefined {
    if (this.size === 0) return undefined
    this.wake(now)
    for (;;) {
      const tenant = this.nextTenant()
      if (tenant === undefined) return undefined
      const lane = tenant.turn.shift()!
      this.skipRemoved(lane)
      const item = lane.items[lane.start]
      if (item === undefined) {
        this.forget(lane)
        continue
      }
      const at = availableAt(item)
      if (at > now) {
        this.sleep(lane, at)
        continue
      }
      lane.items[lane.start++] = undefined
      this.size--
      this.pass = tenant.pass
      tenant.pass += 1 / tenant.weight
      if (lane.start === lane.items.length) this.forget(lane)
      else tenant.turn.push(lane)
      return item
    }
  }

  remove(item: A, lane: Lane<A>): boolean {
    const index = lane.items.indexOf(item, lane.start)
    if (index === -1) return false
    lane.items[index] = undefined
    this.size--
    return true
  }

  wakeAll(): void {
    for (const lane of this.asleep) this.rouse(lane)
    this.asleep.clear()
    this.wakesAt = Number.POSITIVE_INFINITY
  }

  /** A tenant that could not go for a while has nothing to catch up. */
  private rouse(lane: Lane<A>): void {
    const { tenant } = lane
    if (tenant.turn.length === 0) tenant.pass = Math.max(tenant.pass, this.pass)
    tenant.turn.push(lane)
  }

  private nextTenant(): Tenant<A> | undefined {
    let next: Tenant<A> | undefined
    for (const tenant of this.tenants.values()) {
      if (tenant.turn.length > 0 && (next === undefined || tenant.pass < next.pass)) next = tenant
    }
    return next
  }

  private skipRemoved(lane: Lane<A>): void {
    while (lane.start < lane.items.length && lane.items[lane.start] === undefined) lane.start++
    if (lane.start < 1024 || lane.start < lane.items.length / 2) return
    lane.items = lane.items.slice(lane.start)
    lane.start = 0
  }

  private forget(lane: Lane<A>): void {
    const { lanes, name } = lane.tenant
    lanes.delete(lane.name)
    if (lanes.size === 0) this.tenants.delete(name)
  }

  private sleep(lane: Lane<A>, until: number): void {
    lane.wakesAt = until
    this.asleep.add(lane)
    this.wakesAt = Math.min(this.wakesAt, until)
  }

  private wake(now: number): void {
    if (now < this.wakesAt) return
    this.wakesAt = Number.POSITIVE_INFINITY
    for (const lane of this.asleep) {
      if (lane.wakesAt > now) {
        this.wakesAt = Math.min(this.wakesAt, lane.wakesAt)
        continue
      }
      this.asleep.delete(lane)
      this.rouse(lane)
    }
  }
}

/** One message in this many is not urgent, if any such wait. */
const urgentShare = 4

/**
 * Takes back a message that has not been taken. Returns false if it has been.
 *
 * @since 0.1.0
 */
export type Remove = () => boolean

/**
 * The queue.
 *
 * @since 0.1.0
 */
export class FairQueue<A> {
  private readonly urgent: Level<A>
  private readonly normal: Level<A>
  private urgentInRow = 0

  /** Starts empty; `weightOf` gives the weight of a tenant, more than 0, by default 1. */
  constructor(weightOf: (tenant: string) => number = () => 1) {
    this.urgent = new Level(weightOf)
    this.normal = new Level(weightOf)
  }

  /** The number of messages in it. */
  get size(): number {
    return this.urgent.size + this.normal.size
  }

  /** The earliest time at which a sleeping lane wakes; infinite if none sleeps. */
  get wakesAt(): number {
    return Math.min(this.urgent.wakesAt, this.normal.wakesAt)
  }

  /** Adds a message. */
  add(item: A, place: Place): Remove {
    const level = place.isUrgent ? this.urgent : this.normal
    const lane = level.add(item, place)
    return () => level.remove(item, lane)
  }

  /** Takes the next message whose time has come; `availableAt` gives the time of a message. */
  take(now: number, availableAt: (item: A) => number): A | undefined {
    const isNormalDue = this.urgentInRow >= urgentShare - 1
    const [first, second] = isNormalDue ? [this.normal, this.urgent] : [this.urgent, this.normal]
    const item = first.take(now, availableAt)
    const taken = item ?? second.take(now, availableAt)
    const wasUrgent = (item === undefined ? second : first) === this.urgent
    if (taken !== undefined) this.urgentInRow = wasUrgent && this.normal.size > 0 ? this.urgentInRow + 1 : 0
    return taken
  }

  /** Wakes all lanes, because what they wait for may have changed. */
  wakeAll(): void {
    this.urgent.wakeAll()
    this.normal.wakeAll()
  }
}
