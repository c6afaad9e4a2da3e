/**
 * Places messages on sessions, and says when another session is worth opening.
 *
 * Relays take their time for a message and answer each connection's messages in order, so that a message behind n others
 * waits for all of them, while a connection beside it may stand idle. Hence breadth before depth:
 *
 * - A message goes to the session that is expected to be done with it first. A session that has no room left by its depth
 *   (`ServiceTime`) gets none; what has no place waits here, in one queue, and goes to whichever session is ready first.
 * - Another session is opened when the expected wait behind the open ones exceeds the cost of opening, which is measured.
 *   With a backlog of B messages of S milliseconds over m sessions the last waits (B/m)·S − S; so ⌈B·S / (C + S)⌉ sessions
 *   are worth it. All that are missing are opened at once, once the first is there. Before the first reply S is unknown;
 *   after as long as opening took without a reply it is taken to be twice the time that has passed, and earlier where the
 *   round trip is known and a relay that does not think would have answered.
 * - A queue that does not get empty for twice the cost of opening is worth another session whatever the estimates say.
 * - A session that is much slower than the others is used only while the queue is longer than it would take.
 * - A session that stalls gives back what it has not begun, and gets nothing more while it does.
 * - A line from which no session has taken a message for `maxWaitMs` is given up as a whole. A line that moves is not,
 *   however long it is: a campaign lines up hundreds of messages before a relay that may allow one connection.
 * - Three of four places go to urgent messages while there are any, so that a lone message does not wait behind a
 *   campaign, and the campaign never stands still.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 */
import { quickMs } from "../session/serviceTime.ts"
import { WaitingLine } from "./waitingLine.ts"

/** A session as the scheduler sees it. */
export interface Session {
  /** The number of messages that keeps it busy, from 1. */
  readonly depth: number
  /** The time in milliseconds that one more message costs those behind it; `undefined` before the first reply. */
  readonly pace: number | undefined
  /** The time in milliseconds in which a relay that does not think answers a first message; `undefined` before that is known. */
  readonly promptMs?: number | undefined
}

/** The limits of the scheduler. */
export interface Options {
  readonly maxSessions: number
  /** Sessions that stay open even if idle. */
  readonly minSessions: number
  /** The most messages that a session takes at once. */
  readonly maxDepth: number
  /** How long in milliseconds a session beyond `minSessions` may be idle. */
  readonly idleTimeToLiveMs: number
  /** How long in milliseconds messages wait while no session takes any. */
  readonly maxWaitMs: number
}

/** How a message is to be placed. */
export interface Wish {
  /** How many places of a session it takes, from 1; see `ServiceTime.unitsOf`. */
  readonly units: number
  readonly isUrgent: boolean
  /** It needs a session to itself. */
  readonly isAlone: boolean
}

/** Of this many places in a row one goes to a message that is not urgent, if one waits. */
const urgentShare = 4

/** The smallest difference in waits that decides, in milliseconds. */
const noticeableMs = 5

/** A wait in milliseconds that is not worth avoiding; see `ServiceTime`. */
const freeWaitMs = 32
const longFreeWaitMs = 256

/** A session has stalled without a reply for this many times its pace, and for at least this many milliseconds. */
const stallFactor = 8
const shortestStallMs = 1_000

/** A first reply is late after the time of a prompt one, a quarter of it, and this many milliseconds. */
const lateness = 1.25
const shortestLatenessMs = 10

/** A session is much slower than another when it takes this many times as long. */
const slowFactor = 4

/** A message from its arrival to its end. */
export abstract class Place<S extends Session> {
  /** How many places of a session it takes. */
  readonly units: number
  readonly isUrgent: boolean
  readonly isAlone: boolean
  /** Where it is placed. */
  slot: Slot<S> | undefined
  /** The line in which it waits for a place, and its neighbours there. */
  line: WaitingLine<this> | undefined
  previous: this | undefined
  next: this | undefined

  constructor({ isAlone, isUrgent, units }: Wish) {
    this.units = units
    this.isUrgent = isUrgent
    this.isAlone = isAlone
  }

  /** Called once, with the session, when the message has a place. */
  abstract onPlaced(session: S): void
}

/** An open session and its messages. */
class Slot<S extends Session> {
  readonly session: S
  count = 0
  units = 0
  /** It carries a message that needs it to itself. */
  isExclusive = false
  /** Its session takes no more messages. */
  isRetired = false
  /** When its last message ended, or the first of those that it carries was placed. */
  progressAt: number
  /** Its place among the sessions by their last reply. */
  line: WaitingLine<this> | undefined
  previous: this | undefined
  next: this | undefined

  constructor(session: S, now: number) {
    this.session = session
    this.progressAt = now
  }
}

/** Places messages on sessions. */
export class MessageScheduler<S extends Session> {
  private readonly options: Options
  private slots: ReadonlyArray<Slot<S>> = []
  private readonly queue = new WaitingLine<Place<S>>()
  private readonly urgent = new WaitingLine<Place<S>>()
  private isPlacing = false
  private urgentInARow = 0
  /** Messages that have a place, those of retired sessions included. */
  private placed = 0
  /** How many sessions are being opened. */
  private opening = 0
  private openingCost: number | undefined
  private hasOpenedTwice = false
  /** The open sessions in the order of the last message that ended on each. */
  private readonly recent = new WaitingLine<Slot<S>>()
  /** The pace that was last seen on any session. */
  private lastPace: number | undefined
  /** Since when there have been messages without a place, or since the last session was opened for them. */
  private queuedSince = 0
  /** Since when no waiting message has got a place. */
  private stillSince = 0

  constructor(options: Options) {
    this.options = options
  }

  /** How many messages have no place. */
  get waiting(): number {
    return this.queue.size + this.urgent.size
  }

  /** How many messages wait or are on their way. */
  get backlog(): number {
    return this.waiting + this.placed
  }

  /** How many sessions are open, those that take no more messages not counted. */
  get open(): number {
    return this.slots.length
  }

  /** How many sessions are being opened. */
  get beingOpened(): number {
    return this.opening
  }

  /** How many open sessions carry no message. */
  get idle(): number {
    let idle = 0
    for (const { count } of this.slots) if (count === 0) idle++
    return idle
  }

  /** True if messages wait, or are on their way, beyond one for each session. */
  get isBusy(): boolean {
    return this.backlog > this.slots.length
  }

  /** Takes a message. It gets its place now if none could be better, else by `placeAll`. */
  add(place: Place<S>, now: number): void {
    if (this.waiting === 0) {
      this.queuedSince = now
      this.stillSince = now
      if (this.slots.length === this.options.maxSessions) {
        const slot = this.quickFor(place) ?? this.bestFor(place, now)
        if (slot !== undefined) {
          this.assign(place, slot, now)
          return
        }
      }
    }
    this.queueOf(place).add(place)
  }

  /** A message has ended, or is not to be sent any more. */
  remove(place: Place<S>, now: number): void {
    const { slot } = place
    if (slot === undefined) {
      this.queueOf(place).delete(place)
      return
    }
    place.slot = undefined
    this.placed--
    slot.count--
    slot.units = slot.count === 0 ? 0 : slot.units - place.units
    if (place.isAlone) slot.isExclusive = false
    slot.progressAt = now
    if (!slot.isRetired && slot !== this.recent.last) {
      this.recent.delete(slot)
      this.recent.add(slot)
    }
    this.lastPace = slot.session.pace ?? this.lastPace
  }

  /** Removes and returns all waiting messages, which the caller fails. */
  takeWaiting(): ReadonlyArray<Place<S>> {
    return [...this.urgent.takeAll(), ...this.queue.takeAll()]
  }

  /** A session is being opened. */
  openingBegan(): void {
    this.opening++
  }

  /** A session is open after this many milliseconds. */
  opened(session: S, costMs: number, now: number): void {
    this.opening--
    this.hasOpenedTwice = this.openingCost !== undefined
    this.openingCost = this.openingCost === undefined ? costMs : this.openingCost + (costMs - this.openingCost) / 4
    this.slots = [...this.slots, new Slot(session, now)]
    this.queuedSince = now
  }

  /** A session could not be opened. */
  openingFailed(): void {
    this.opening--
  }

  /** A session takes no more messages; those that it carries go on. */
  retired(session: S): void {
    for (const slot of this.slots) {
      if (slot.session !== session) continue
      slot.isRetired = true
      this.recent.delete(slot)
    }
    this.slots = this.slots.filter(({ isRetired }) => !isRetired)
  }

  /** Places waiting messages while there are free places. */
  placeAll(now: number): void {
    // A message that ends at once re-enters this function.
    if (this.isPlacing) return
    this.isPlacing = true
    try {
      for (let place = this.next(); place !== undefined; place = this.next()) {
        const slot = this.quickFor(place) ?? this.bestFor(place, now)
        if (slot === undefined) return
        this.queueOf(place).delete(place)
        this.stillSince = now
        this.assign(place, slot, now)
      }
    } finally {
      this.isPlacing = false
    }
  }

  /** How many sessions should be opened now, where `allowed` may be open or opening in all. */
  missing(now: number, allowed: number): number {
    const { maxSessions, minSessions } = this.options
    const count = this.slots.length + this.opening
    const most = Math.min(maxSessions, allowed)
    if (count >= most) return 0
    // The first session shows whether there is a relay at all.
    if (this.slots.length === 0) return count === 0 && Math.max(this.backlog, minSessions) > 0 ? 1 : 0
    const wanted = Math.min(most, Math.max(minSessions, this.worthwhile(now)))
    return Math.max(0, wanted - count)
  }

  /** Sessions that have been idle for too long. */
  expired(now: number): ReadonlyArray<S> {
    const { idleTimeToLiveMs, minSessions } = this.options
    return this.slots
      .filter(({ count, progressAt }) => count === 0 && now - progressAt >= idleTimeToLiveMs)
      .toSorted((a, b) => a.progressAt - b.progressAt)
      .slice(0, Math.max(0, this.slots.length - minSessions))
      .map(({ session }) => session)
  }

  /** The sessions beyond so many, those with the fewest messages first. */
  beyond(most: number): ReadonlyArray<S> {
    return this.slots
      .toSorted((a, b) => a.count - b.count)
      .slice(0, Math.max(0, this.slots.length - most))
      .map(({ session }) => session)
  }

  /** Sessions that carry messages and have stalled, while another could take them. */
  stalled(now: number): ReadonlyArray<S> {
    const stalled = this.slots.filter((slot) => slot.count > 1 && this.hasStalled(slot, now))
    return stalled.length < this.slots.length ? stalled.map(({ session }) => session) : []
  }

  /** No session may be opened until then, and none is open; so the line stands still by the caller's own wish. */
  heldUntil(at: number): void {
    this.stillSince = Math.max(this.stillSince, at)
  }

  /** True if messages wait and none has got a place for too long. */
  isStuck(now: number): boolean {
    return this.waiting > 0 && now - this.stillSince >= this.options.maxWaitMs
  }

  /** Milliseconds until the passing of time alone may change something; infinite if only events do. */
  changesIn(now: number): number {
    const { idleTimeToLiveMs, minSessions } = this.options
    let soonest = Number.POSITIVE_INFINITY
    if (this.slots.length > minSessions) {
      for (const { count, progressAt } of this.slots) {
        if (count === 0) soonest = Math.min(soonest, progressAt + idleTimeToLiveMs - now)
      }
    }
    if (this.waiting > 0 && this.slots.length > 0) {
      const { tellingSilence } = this
      const silence = this.firstSilence(now)
      soonest = Math.min(soonest, silence < tellingSilence ? tellingSilence - silence : tellingSilence)
    }
    if (this.waiting > 0) soonest = Math.min(soonest, this.stillSince + this.options.maxWaitMs - now)
    if (this.placed > this.slots.length) soonest = Math.min(soonest, shortestStallMs)
    return Math.max(1, soonest)
  }

  /** After this many milliseconds without the first reply the relay is thinking: opening takes twice as many round trips. */
  private get tellingSilence(): number {
    let soonest = this.openingCost ?? 0
    for (const { session } of this.slots) {
      if (session.promptMs !== undefined) soonest = Math.min(soonest, lateness * session.promptMs + shortestLatenessMs)
    }
    return Math.max(1, soonest)
  }

  /** The cost of opening a session in milliseconds; the first one's is the only one known at first, and counts twice. */
  private get cost(): number {
    const cost = Math.max(1, this.openingCost ?? 0)
    return this.hasOpenedTwice ? cost : 2 * cost
  }

  /** How many sessions the backlog is worth. */
  private worthwhile(now: number): number {
    const { backlog, cost } = this
    const pace = this.expectedPace(now)
    const byWait = pace === undefined ? 1 : Math.ceil((backlog * pace) / (cost + pace))
    const byDepth = Math.ceil(backlog / this.options.maxDepth)
    const isQueueStuck = this.waiting > this.opening && now - this.queuedSince > 2 * cost
    const byQueue = isQueueStuck ? this.slots.length + 1 : 0
    return Math.min(backlog, Math.max(byWait, byDepth, byQueue))
  }

  /** The joint pace of the sessions; before the first reply, the pace that their silence shows. */
  private expectedPace(now: number): number | undefined {
    let rate = 0
    let known = 0
    for (const { session } of this.slots) {
      if (session.pace === undefined) continue
      rate += 1 / Math.max(session.pace, 1e-3)
      known++
    }
    if (known > 0) return known / rate
    if (this.lastPace !== undefined) return this.lastPace
    const silence = this.firstSilence(now)
    // A reply that has taken so long is likely to take as long again; and no relay is worth fewer sessions for having been found out early.
    return silence >= this.tellingSilence ? 2 * Math.max(silence, this.openingCost ?? 0) : undefined
  }

  /** For how long in milliseconds a session has been without its first reply. */
  private firstSilence(now: number): number {
    let silence = 0
    for (const { count, progressAt, session } of this.slots) {
      if (session.pace === undefined && count > 0) silence = Math.max(silence, now - progressAt)
    }
    return silence
  }

  private queueOf({ isUrgent }: Place<S>): WaitingLine<Place<S>> {
    return isUrgent ? this.urgent : this.queue
  }

  private next(): Place<S> | undefined {
    const prefersUrgent = this.urgentInARow < urgentShare - 1 || this.queue.size === 0
    return prefersUrgent ? (this.urgent.first ?? this.queue.first) : this.queue.first
  }

  private assign(place: Place<S>, slot: Slot<S>, now: number): void {
    this.urgentInARow = place.isUrgent ? this.urgentInARow + 1 : 0
    if (slot.count === 0) slot.progressAt = now
    slot.count++
    slot.units += place.units
    if (place.isAlone) slot.isExclusive = true
    this.placed++
    place.slot = slot
    place.onPlaced(slot.session)
  }

  /** Of the sessions that are quick enough for a wait to be free, and have room, the one that had the latest reply. */
  private quickFor(place: Place<S>): Slot<S> | undefined {
    for (let slot = this.recent.last; slot !== undefined; slot = slot.previous) {
      const { pace } = slot.session
      if (pace === undefined || pace > quickMs) return undefined
      if (slot.count > 0 && hasRoom(slot, place)) return slot
    }
    return undefined
  }

  /** The session that should finish the message first, if it is to be placed now. */
  private bestFor(place: Place<S>, now: number): Slot<S> | undefined {
    let best: Slot<S> | undefined
    let bestEnd = Number.POSITIVE_INFINITY
    let fastest = Number.POSITIVE_INFINITY
    let soonest = Number.POSITIVE_INFINITY
    let rate = 0
    for (const slot of this.slots) {
      const known = slot.session.pace ?? this.lastPace
      const pace = known ?? 0
      const end = (slot.count === 0 ? 0 : this.wait(slot, pace, now)) + pace * place.units
      if (known !== undefined) {
        rate += 1 / Math.max(known, 1e-3)
        if (known < fastest) fastest = known
        if (end < soonest) soonest = end
      }
      if (!hasRoom(slot, place)) continue
      if (best === undefined || isBetter(slot, end, best, bestEnd, pace)) {
        best = slot
        bestEnd = end
      }
    }
    if (best === undefined) return undefined
    // A placed message cannot move. So it must be finished before the others reach the middle of the queue; a longer queue
    // leaves enough messages to even out a bad placement.
    // Beside quick sessions a pace often measures the sender's own work, so that only a real wait counts.
    const free = fastest <= quickMs ? longFreeWaitMs : freeWaitMs
    const isLate = bestEnd > free && bestEnd > soonest + this.waiting / rate / 2
    if (best.count > 0)
      return !(isLate && bestEnd - soonest > noticeableMs) && this.canQueue(best, now) ? best : undefined
    return isLate && bestEnd > slowFactor * soonest ? undefined : best
  }

  /** True if a message may wait behind others on this session rather than for one that is being opened. */
  private canQueue(slot: Slot<S>, now: number): boolean {
    if (this.hasStalled(slot, now)) return false
    if (this.opening === 0 || this.waiting > this.opening) return true
    return this.wait(slot, slot.session.pace ?? this.lastPace ?? 0, now) <= this.cost
  }

  /** How long in milliseconds a session is busy with what it carries. */
  private wait({ progressAt, units }: Slot<S>, pace: number, now: number): number {
    const elapsed = now - progressAt
    // The longer a reply is overdue, the longer it may still take.
    return (units - 1) * pace + Math.abs(pace - elapsed)
  }

  private hasStalled({ count, progressAt, session }: Slot<S>, now: number): boolean {
    const elapsed = now - progressAt
    if (count === 0 || elapsed < shortestStallMs) return false
    return elapsed > stallFactor * (session.pace ?? this.lastPace ?? this.cost)
  }
}

/**
 * Compares two slots by when each should be done. On a relay with almost no service time all waits are short, and the
 * session that has just had replies writes the next messages in one piece.
 */
const isBetter = <S extends Session>(
  slot: Slot<S>,
  end: number,
  other: Slot<S>,
  otherEnd: number,
  pace: number
): boolean => {
  const isEven = end === otherEnd || (pace <= quickMs && slot.count > 0 && other.count > 0)
  return isEven ? slot.progressAt > other.progressAt : end < otherEnd
}

const hasRoom = <S extends Session>({ count, isExclusive, session, units }: Slot<S>, place: Place<S>): boolean =>
  count === 0 || (!isExclusive && !place.isAlone && units < session.depth)
