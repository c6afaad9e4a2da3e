/**
 * Applies limits on bytes to claims: how many messages to ask for, and which of the claimed ones go back.
 *
 * Only a claim shows how large a message is. If a lane's first message does not fit, it goes back, the quota remembers its
 * weight, and nothing is claimed from the lane until the limits leave that much. If the limit is the relay's, nothing is
 * claimed from the other lanes either, or small messages would keep a large one waiting forever.
 */
import type { FlowControl } from "@mailrace/flow/FlowControl"
import type { ByteRoom } from "@mailrace/flow/RateLimit"
import type { ClaimedRow } from "../../OutboxStore.ts"

/** The expected size of a message before any was claimed, in bytes. */
const firstGuess = 4096

/** The share of a new weight in the average. */
const newShare = 0.1

/** Composing adds header fields and boundaries to what is stored, up to about this many bytes. */
const composedMore = 512

/**
 * The bytes of a message on the wire: exact for a message that was composed before it was stored, else an estimate that is
 * rather too high. Attachments go over the wire as Base64 (RFC 2045 §6.8).
 */
export const weightOf = ({ content, envelope, shared }: ClaimedRow): number =>
  shared.reduce(
    (sum, { content: part }) => sum + (typeof part === "string" ? part.length : Math.ceil((part.length * 4) / 3)),
    content.length + (envelope === undefined ? composedMore : 0)
  )

/** The claimed bytes that are not admitted yet, of all lanes and of one. */
export interface Queued {
  readonly total: () => number
  readonly ofLane: (lane: string) => number
}

/** The quota of bytes under the limits of a `FlowControl`. */
export class ByteQuota {
  private readonly flow: FlowControl
  private readonly queued: Queued
  /** The weight of the first message of each lane that did not fit. */
  private readonly needs = new Map<string, number>()
  private average = firstGuess

  constructor(flow: FlowControl, queued: Queued) {
    this.flow = flow
    this.queued = queued
  }

  /** About how many messages the relay's limits leave bytes for; 0 while one of these lanes waits for more bytes. */
  countOf(lanes: Iterable<{ readonly lane: string }>, now: number, until: number): number {
    const room = this.relayRoom(now, until)
    for (const { lane } of this.needs.size === 0 ? [] : lanes) {
      const need = this.needs.get(lane)
      if (need === undefined || fits(room, need)) continue
      // Reports the wait, and how much a lease has to bring.
      this.flow.relayAvailableAt(now, { recipients: 1, bytes: need })
      return 0
    }
    return this.countIn(room)
  }

  /** About how many messages a lane's limits leave bytes for. */
  countOfLane(lane: string, now: number, until: number): number {
    const room = this.laneRoom(lane, now, until)
    const need = this.needs.get(lane)
    if (need !== undefined && !fits(room, need)) {
      this.flow.ownAvailableAt({ lane, tenant: "", cost: { recipients: 1, bytes: need } }, now)
      return 0
    }
    return this.countIn(room)
  }

  /** Divides claimed messages into those that fit, and those that go back. */
  divide(
    asked: ReadonlyArray<{ readonly lane: string }>,
    rows: ReadonlyArray<ClaimedRow>,
    now: number,
    until: number
  ): { readonly fitting: ReadonlyArray<ClaimedRow>; readonly over: ReadonlyArray<ClaimedRow> } {
    for (const { lane } of asked) this.needs.delete(lane)
    let relay = this.relayRoom(now, until)
    const rooms = new Map<string, ByteRoom>()
    const fitting: Array<ClaimedRow> = []
    const over: Array<ClaimedRow> = []
    let isRelayFull = false
    for (const row of rows) {
      const weight = weightOf(row)
      this.average += (weight - this.average) * newShare
      const room = rooms.get(row.lane) ?? this.laneRoom(row.lane, now, until)
      isRelayFull ||= !fits(relay, weight)
      if (isRelayFull || this.needs.has(row.lane) || !fits(room, weight)) {
        over.push(row)
        if (!this.needs.has(row.lane)) this.needs.set(row.lane, weight)
        continue
      }
      relay = without(relay, weight)
      rooms.set(row.lane, without(room, weight))
      fitting.push(row)
    }
    return { fitting, over }
  }

  private relayRoom(now: number, until: number): ByteRoom {
    return without(this.flow.relayBytesUntil(now, until), this.queued.total())
  }

  private laneRoom(lane: string, now: number, until: number): ByteRoom {
    return without(this.flow.laneBytesUntil(lane, now, until), this.queued.ofLane(lane))
  }

  /** About how many messages a tenant's limits leave bytes for, beside those that are queued. */
  countOfTenant(tenant: string, now: number, until: number): number {
    return this.countIn(this.flow.tenantBytesUntil(tenant, now, until))
  }

  private countIn({ bytes, isWhole }: ByteRoom): number {
    if (bytes === Infinity) return Infinity
    return bytes >= 1 || isWhole ? Math.max(1, Math.floor(bytes / Math.max(1, this.average))) : 0
  }
}

const fits = ({ bytes, isWhole }: ByteRoom, weight: number): boolean => weight <= bytes || isWhole

const without = ({ bytes, isWhole }: ByteRoom, weight: number): ByteRoom =>
  weight === 0 ? { bytes, isWhole } : { bytes: bytes - weight, isWhole: isWhole && bytes === Infinity }
