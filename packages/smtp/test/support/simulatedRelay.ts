/**
 * A relay and the scheduler in simulated time: the relay answers each connection's messages in order, each after a service
 * time drawn from a seeded generator, and the network takes half a round trip each way. Nothing here waits.
 */
import { ConnectionLimit } from "../../src/internal/pool/connectionLimit.ts"
import { MessageScheduler, Place } from "../../src/internal/pool/messageScheduler.ts"
import { ServiceTime } from "../../src/internal/session/serviceTime.ts"

/** What the relay and the load are like; times in milliseconds. */
export interface Options {
  /** The service time of a message on the n-th connection at a time. */
  readonly service: (random: () => number, connection: number, at: number) => number
  readonly roundTrip?: number
  /** Round trips that opening a connection takes. */
  readonly openingTrips?: number
  readonly maxSessions?: number
  /** Connections that the relay allows; more are refused. */
  readonly allowed?: number
  readonly maxDepth?: number
  /** When messages arrive. */
  readonly arrivals: ReadonlyArray<{ readonly at: number; readonly isUrgent?: boolean }>
  /** How many messages the sender has at hand at once; the rest arrive when others have ended. */
  readonly concurrency?: number
  readonly idleTimeToLiveMs?: number
  readonly seed?: number
}

/** What became of a message; times in milliseconds. */
export interface Ended {
  readonly isUrgent: boolean
  readonly arrivedAt: number
  /** When the sender took it up, which is later where it has enough at hand. */
  readonly takenAt: number
  readonly endedAt: number
  readonly connection: number
}

/** What the run came to. */
export interface Outcome {
  readonly ended: ReadonlyArray<Ended>
  readonly opened: number
  readonly refused: number
  /** The most messages that one connection had at once. */
  readonly deepest: number
  /** When the last message ended. */
  readonly endedAt: number
  /** The time that connections were busy serving, summed. */
  readonly busyMs: number
}

class Job extends Place<SimulatedSession> {
  readonly arrivedAt: number
  readonly takenAt: number
  private readonly begin: (session: SimulatedSession, job: Job) => void

  constructor(
    isUrgent: boolean,
    arrivedAt: number,
    takenAt: number,
    begin: (session: SimulatedSession, job: Job) => void
  ) {
    super({ units: 1, isUrgent, isAlone: false })
    this.arrivedAt = arrivedAt
    this.takenAt = takenAt
    this.begin = begin
  }

  override onPlaced(session: SimulatedSession): void {
    this.begin(session, this)
  }
}

/** One connection: the relay serves what is handed over in order. */
class SimulatedSession {
  readonly id: number
  readonly service: ServiceTime
  readonly underway: Array<Job> = []
  /** When the relay is done with what it has. */
  freeAt = 0

  constructor(id: number, maxDepth: number) {
    this.id = id
    this.service = new ServiceTime(maxDepth)
  }

  get depth(): number {
    return this.service.depth
  }

  get pace(): number | undefined {
    return this.service.pace
  }

  get promptMs(): number | undefined {
    return Number.isFinite(this.service.roundTrip) ? 2 * this.service.roundTrip : undefined
  }
}

/** Runs the load to its end, or until nothing can happen any more. */
export const simulate = (options: Options): Outcome => {
  const { allowed = Number.POSITIVE_INFINITY, maxDepth = 32, maxSessions = 10, roundTrip = 0.2 } = options
  const idleTimeToLiveMs = options.idleTimeToLiveMs ?? 60_000
  const openingMs = Math.max(1, (options.openingTrips ?? 4) * roundTrip)
  const random = generator(options.seed ?? 1)
  const scheduler = new MessageScheduler<SimulatedSession>({
    maxSessions,
    minSessions: 0,
    maxDepth,
    idleTimeToLiveMs,
    maxWaitMs: 600_000
  })
  const limit = new ConnectionLimit()
  const events = new Events()
  const ended: Array<Ended> = []
  const outcome = { opened: 0, refused: 0, deepest: 0, busyMs: 0 }
  let now = 0
  let open = 0
  let next = 0
  let inHand = 0

  const begin = (session: SimulatedSession, job: Job): void => {
    if (session.underway.length === 0) {
      session.service.begunAlone(now)
      session.service.answered(now + roundTrip)
      session.service.handedOver(now)
    }
    session.underway.push(job)
    outcome.deepest = Math.max(outcome.deepest, session.underway.length)
    const startsAt = Math.max(session.freeAt, now + roundTrip / 2)
    const service = options.service(random, session.id, startsAt)
    session.freeAt = startsAt + service
    outcome.busyMs += service
    events.add(session.freeAt + roundTrip / 2, () => finish(session))
  }

  const finish = (session: SimulatedSession): void => {
    const job = session.underway.shift()!
    const { arrivedAt, isUrgent, takenAt } = job
    ended.push({ isUrgent, arrivedAt, takenAt, endedAt: now, connection: session.id })
    inHand--
    session.service.completed(1)
    session.service.batchEnded(now, session.underway.length > 0)
    scheduler.remove(job, now)
    arrive()
  }

  const arrive = (): void => {
    while (next < options.arrivals.length && inHand < (options.concurrency ?? Number.POSITIVE_INFINITY)) {
      const { at, isUrgent = false } = options.arrivals[next]!
      if (at > now) break
      next++
      inHand++
      scheduler.add(new Job(isUrgent, at, now, begin), now)
    }
  }

  const react = (): void => {
    const missing = scheduler.missing(now, limit.allowed(now, open + scheduler.beingOpened, open === 0))
    for (let i = 0; i < missing; i++) {
      limit.attempted(now, open + scheduler.beingOpened)
      scheduler.openingBegan()
      events.add(now + openingMs, () => {
        if (open >= allowed) {
          outcome.refused++
          scheduler.openingFailed()
          limit.refused(now, open)
          return
        }
        open++
        outcome.opened++
        limit.opened(now, open)
        scheduler.opened(new SimulatedSession(open, maxDepth), openingMs, now)
      })
    }
    scheduler.placeAll(now)
  }

  for (const { at } of options.arrivals) events.add(at, () => arrive())
  for (let steps = 0; steps < 2_000_000 && ended.length < options.arrivals.length; steps++) {
    const event = events.take()
    const wakeAt =
      now + Math.max(0.1, Math.min(scheduler.changesIn(now), scheduler.waiting > 0 ? limit.changesIn(now) : 1e12))
    if (event !== undefined && event.at <= wakeAt) {
      now = Math.max(now, event.at)
      event.run()
    } else {
      if (event !== undefined) events.add(event.at, event.run)
      now = wakeAt
      for (const session of scheduler.expired(now)) {
        scheduler.retired(session)
        open--
        limit.gone(now)
      }
    }
    react()
  }
  return { ...outcome, ended, endedAt: now }
}

/** Events by time; those of one time in the order in which they were added. */
class Events {
  private readonly heap: Array<{ readonly at: number; readonly order: number; readonly run: () => void }> = []
  private order = 0

  add(at: number, run: () => void): void {
    const { heap } = this
    heap.push({ at, order: this.order++, run })
    for (let i = heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1
      if (!this.isBefore(i, parent)) break
      this.swap(i, parent)
      i = parent
    }
  }

  take(): { readonly at: number; readonly run: () => void } | undefined {
    const { heap } = this
    const [top] = heap
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    heap[0] = last
    for (let i = 0; ;) {
      const left = 2 * i + 1
      if (left >= heap.length) break
      const child = left + 1 < heap.length && this.isBefore(left + 1, left) ? left + 1 : left
      if (!this.isBefore(child, i)) break
      this.swap(i, child)
      i = child
    }
    return top
  }

  private isBefore(a: number, b: number): boolean {
    const [x, y] = [this.heap[a]!, this.heap[b]!]
    return x.at === y.at ? x.order < y.order : x.at < y.at
  }

  private swap(a: number, b: number): void {
    const { heap } = this
    ;[heap[a], heap[b]] = [heap[b]!, heap[a]!]
  }
}

/** A seeded generator of numbers in [0, 1) (mulberry32). */
const generator = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

/** So many messages at once. */
export const burst = (count: number, at = 0): Options["arrivals"] => Array.from({ length: count }, () => ({ at }))
