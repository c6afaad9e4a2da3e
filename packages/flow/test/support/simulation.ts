/**
 * A relay and a sender with more messages than it can send, in virtual time.
 */

/** A relay at one moment. */
export interface Relay {
  /** Answers a message that arrives at `now`: true if it is accepted, after `serviceMs`. */
  readonly answer: (now: number) => { readonly isAccepted: boolean; readonly serviceMs: number }
}

/** What decides when the sender begins a message. */
export interface Controller {
  readonly availableAt: (now: number) => number
  readonly begin: (now: number) => number
  readonly succeeded: (number: number, now: number, serviceMs: number) => void
  readonly complained: (number: number, now: number) => void
}

/** A message that has ended. */
export interface Ended {
  readonly at: number
  readonly begunAt: number
  readonly isAccepted: boolean
}

/** Random numbers from 0 to 1 that a seed decides (mulberry32). */
export const random = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A limiter as relays have them: `perSecond` messages, and a burst. What it refuses costs nothing. */
export const limiter = (perSecond: number, burst: number): ((now: number) => boolean) => {
  let tokens = burst
  let at = 0
  return (now) => {
    tokens = Math.min(burst, tokens + ((now - at) * perSecond) / 1000)
    at = now
    if (tokens < 1) return false
    tokens--
    return true
  }
}

/** A limiter that counts by the second of the clock. */
export const fixedWindowLimiter = (perSecond: number): ((now: number) => boolean) => {
  let second = -1
  let count = 0
  return (now) => {
    if (Math.floor(now / 1000) !== second) {
      second = Math.floor(now / 1000)
      count = 0
    }
    return count++ < perSecond
  }
}

/** Sends for so long with at most `window` messages on their way; timers fire up to 1 ms late. */
export const run = (
  controller: Controller,
  relay: Relay,
  options: { readonly untilMs: number; readonly window: number; readonly seed: number }
): ReadonlyArray<Ended> => {
  const chance = random(options.seed)
  const ended: Array<Ended> = []
  const underway = new Heap()
  let now = 0
  let wakeAt = 0
  while (now < options.untilMs) {
    while (underway.size < options.window) {
      const at = controller.availableAt(now)
      if (at > now) {
        wakeAt = Math.ceil(at) + chance()
        break
      }
      const number = controller.begin(now)
      const { isAccepted, serviceMs } = relay.answer(now)
      underway.push({ at: now + serviceMs * (0.8 + 0.4 * chance()), begunAt: now, number, isAccepted })
    }
    const next = underway.first?.at ?? Number.POSITIVE_INFINITY
    if (underway.size < options.window && wakeAt > now && wakeAt < next) {
      now = wakeAt
      continue
    }
    const message = underway.pop()!
    now = Math.max(now, message.at)
    ended.push({ at: now, begunAt: message.begunAt, isAccepted: message.isAccepted })
    if (message.isAccepted) controller.succeeded(message.number, now, now - message.begunAt)
    else controller.complained(message.number, now)
  }
  return ended
}

interface Underway extends Ended {
  readonly number: number
}

/** Gives back the message that ends first. */
class Heap {
  private readonly items: Array<Underway> = []

  get size(): number {
    return this.items.length
  }

  get first(): Underway | undefined {
    return this.items[0]
  }

  push(item: Underway): void {
    const { items } = this
    let index = items.push(item) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (items[parent]!.at <= item.at) break
      items[index] = items[parent]!
      index = parent
    }
    items[index] = item
  }

  pop(): Underway | undefined {
    const { items } = this
    const first = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= items.length) break
      if (child + 1 < items.length && items[child + 1]!.at < items[child]!.at) child++
      if (items[child]!.at >= last.at) break
      items[index] = items[child]!
      index = child
    }
    items[index] = last
    return first
  }
}
