/**
 * Estimates how long a relay takes for a message on one connection, and how many transactions keep the connection busy.
 *
 * A relay answers a connection's messages one after the other, each after its service time S. A message's round trip adds
 * the network's RTT, so ⌈1 + RTT/S⌉ transactions keep the relay busy, and every further one only waits.
 *
 * **What is measured**
 *
 * - *RTT*: the shortest time from a transaction that begins alone to the reply to its first command (RSET or MAIL). Final
 *   replies contain S, and a command behind other transactions waits for theirs.
 * - *S*: the spacing of final replies, while the relay had the next content at hand. Spacing at an empty connection is the
 *   sender's own. Replies that are read in one chunk are one sample of as many messages. Where all that was under way is answered
 *   at once, S is the time from the end of the first content to the reply, less the RTT, over their number.
 * - *Pace*: the time that one more message costs the messages behind it, round trips included. Where one transaction is
 *   under way at a time it is the whole transaction.
 *
 * **How the depth finds its value**
 *
 * It begins at 1 and doubles with each round of replies while ⌈1 + RTT/S⌉ is larger than it is. As long as too few
 * transactions are under way, the spacing of their replies is RTT over their number, so that the estimate of S falls with
 * each doubling, and the target runs ahead of the depth. Once the relay is busy, the spacing stays and so does the depth.
 * A queue of less than 32 ms costs nobody anything and fills packets and system calls, so that a relay with S ≈ 0 gets the
 * most transactions that are allowed.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 */

/** A wait behind other messages below this many milliseconds is not worth avoiding. */
const freeWaitMs = 32

/** A relay that takes at most this many milliseconds a message is quick: what counts then is the sender's own time. */
export const quickMs = 4

/** A gain of this share of the relay's time is not worth a second transaction that can no longer be moved. */
const negligible = 0.02

/** The mean deviation of S, as a share of it, above which one transaction more bridges the quick replies. */
const uneven = 0.25

/** The weight of one message in the running averages. */
const gain = 0.25

/** This much content, in bytes, counts as a message more. */
const bytesPerUnit = 65_536

/** Estimates one connection's service time and depth. */
export class ServiceTime {
  /** The weight of a message of this many bytes: large ones take longer, and fill a connection alone. */
  static unitsOf(bytes: number): number {
    return Math.max(1, bytes / bytesPerUnit)
  }

  /** How many transactions keep the connection busy, from 1. */
  depth = 1
  /** The time in milliseconds that one more message costs those behind it; `undefined` before the first reply. */
  pace: number | undefined
  /** The shortest round trip seen, in milliseconds. */
  roundTrip = Number.POSITIVE_INFINITY
  private readonly maxDepth: number
  private service: number | undefined
  private deviation = 0
  private isRamping = true
  /** When the relay became busy with the transactions in flight. */
  private busySince = 0
  private aloneSince: number | undefined
  private handedOverAt: number | undefined
  /** True if the relay had the next content at hand when the last replies came. */
  private wasBacklogged = false
  private units = 0
  private roundUnits = 0
  private roundMs = 0

  /** At most `maxDepth` transactions are to be under way. */
  constructor(maxDepth: number) {
    this.maxDepth = maxDepth
  }

  /** A transaction begins while no other is under way. */
  begunAlone(now: number): void {
    this.busySince = now
    this.aloneSince = now
    this.handedOverAt = undefined
    this.wasBacklogged = false
  }

  /** True if the next reply is to the first command of a transaction that is alone, which shows the round trip. */
  get awaitsRoundTrip(): boolean {
    return this.aloneSince !== undefined
  }

  /** That reply has come. */
  answered(now: number): void {
    if (this.aloneSince === undefined) return
    this.roundTrip = Math.min(this.roundTrip, now - this.aloneSince)
    this.aloneSince = undefined
  }

  /** The content of a transaction that is alone is out. */
  handedOver(now: number): void {
    this.handedOverAt = now
  }

  /** A transaction of this weight has ended by a reply. */
  completed(units: number): void {
    this.units += units
  }

  /**
   * All replies that came together have been taken. `isBacklogged` tells whether the relay now has the content of the next
   * transaction.
   */
  batchEnded(now: number, isBacklogged: boolean): void {
    const { handedOverAt, units, wasBacklogged } = this
    if (units === 0) return
    const spanMs = Math.max(0, now - this.busySince)
    this.units = 0
    this.busySince = now
    this.wasBacklogged = isBacklogged
    this.handedOverAt = undefined
    this.pace = average(this.pace, spanMs / units, units)
    if (wasBacklogged) {
      this.roundUnits += units
      this.roundMs += spanMs
      this.note(spanMs / units, units)
      if (this.roundUnits >= this.depth) this.adapt()
    } else if (handedOverAt !== undefined && units >= this.depth) {
      const roundTrip = this.roundTrip === Number.POSITIVE_INFINITY ? 0 : this.roundTrip
      const sample = Math.max(0, now - handedOverAt - roundTrip) / units
      this.note(sample, units)
      this.roundUnits = units
      this.roundMs = sample * units
      this.adapt()
    }
  }

  private note(sample: number, units: number): void {
    if (this.service !== undefined) {
      this.deviation = average(this.deviation, Math.abs(sample - this.service), units)
    }
    this.service = average(this.service, sample, units)
  }

  private adapt(): void {
    // While it ramps up each round has another spacing, so that only the last one counts.
    if (this.isRamping) this.service = this.roundMs / this.roundUnits
    this.roundUnits = 0
    this.roundMs = 0
    const target = this.target(this.service!)
    if (target > this.depth) {
      if (target >= 2 * this.depth) this.isRamping = true
      this.depth = Math.min(this.maxDepth, this.isRamping ? 2 * this.depth : target)
    } else {
      this.isRamping = false
      this.depth = target
    }
  }

  private target(service: number): number {
    // A lower depth means smaller writes and more of them, which the sender's own CPU shows as a slower relay.
    if (service <= quickMs) return this.maxDepth
    const roundTrip = this.roundTrip === Number.POSITIVE_INFINITY ? 0 : this.roundTrip
    const ahead = Math.ceil(roundTrip / service - negligible)
    const spare = ahead > 0 && this.deviation > uneven * service ? 1 : 0
    return Math.max(1, Math.min(this.maxDepth, Math.max(1 + ahead + spare, Math.floor(freeWaitMs / service))))
  }
}

/** A running average that takes `units` samples of one value at once. */
const average = (before: number | undefined, sample: number, units: number): number =>
  before === undefined ? sample : sample + (before - sample) * (1 - gain) ** units
