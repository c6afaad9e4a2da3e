/**
 * The relays that a message may go by, and the messages that wait for one of them.
 *
 * Primary relays go first; backup relays get messages only while no primary one is usable. Within a class the relays with
 * room take turns by weight (stride scheduling): each has a pass, which grows by 1/weight with each message, and the
 * smallest pass is next. A relay that was full, tried or down catches up with the chosen one's pass, so that its turns do
 * not add up to a burst.
 *
 * Messages wait here and not at a relay, so that the next relay with room takes them.
 *
 * Pure: no clock, no fibers.
 */
import * as HashRing from "effect/HashRing"
import * as PrimaryKey from "effect/PrimaryKey"
import type { RelayHealth } from "./relayHealth.ts"

/** One relay with what the router knows of it. */
export interface Relay {
  readonly name: string
  readonly weight: number
  readonly isBackup: boolean
  /** The most messages at once. */
  readonly room: number
  readonly health: RelayHealth
  /** The messages on their way. */
  inFlight: number
  /** The messages given to it so far, divided by its weight. */
  pass: number
}

/** A message that looks for a relay. */
export interface Seeker {
  /** The relays that it was at already. */
  readonly tried: ReadonlyArray<Relay>
  readonly isUrgent: boolean
  /** The key whose messages go by one relay, in a group with sticky keys. */
  readonly key: string
}

/** A seeker that waits. */
export interface Waiter extends Seeker {
  /** Takes the relay, on which a place is taken already, or none if there will be none. */
  readonly resume: (relay: Relay | undefined) => void
}

/** Without a relay: `full` and `down` may change, `none` cannot. */
export type Choice = Relay | "full" | "down" | "none"

/** The virtual nodes of a relay of average weight on the ring. */
const virtualNodes = 128

/**
 * Before a name and before a key on the ring. `Hash.string` mixes the characters near the end more than those at the
 * beginning, so that the places of a short name lie side by side: over 200 sets of names and 10,000 domains the shares were
 * up to 5 times too large, with these words before them at most 1.2 times.
 */
const relayPlace = "mailrace relay "
const keyPlace = "mailrace lane "

/** The keys whose relay is remembered. */
const rememberedKeys = 10_000

interface Node extends PrimaryKey.PrimaryKey {
  readonly relay: Relay
}

const hasRoom = (relay: Relay): boolean => relay.inFlight < relay.health.limit(relay.room)

const isProven = ({ health }: Relay): boolean => health.health === "proven"

/** True if the relay takes messages now, or will when one of its own ends. */
const isUsable = (relay: Relay): boolean =>
  relay.health.health === "proven" || relay.health.health === "unproven" || hasRoom(relay)

/** Takes a place on a relay for a message. */
export const take = (relay: Relay): void => {
  relay.inFlight++
  relay.pass += 1 / relay.weight
}

/** The relays of a route. */
export class RelayGroup {
  readonly relays: ReadonlyArray<Relay>
  /** True if messages without a usable relay are no longer held back. */
  isGivenUp = false
  /** Counts the times without a usable relay that are over. */
  outage = 0
  private readonly classes: ReadonlyArray<ReadonlyArray<Relay>>
  private readonly waiting = { urgent: new Set<Waiter>(), normal: new Set<Waiter>() }
  private readonly ring: HashRing.HashRing<Node> | undefined
  private readonly homes = new Map<string, Relay | undefined>()
  private ringHealth = ""

  constructor(relays: ReadonlyArray<Relay>, isSticky: boolean) {
    this.relays = relays
    this.classes = [relays.filter(({ isBackup }) => !isBackup), relays.filter(({ isBackup }) => isBackup)]
    this.ring = isSticky ? HashRing.make<Node>({ baseWeight: virtualNodes }) : undefined
  }

  /** The number of messages that wait. */
  get waiters(): number {
    return this.waiting.urgent.size + this.waiting.normal.size
  }

  /** True if some relay takes messages, or soon will. */
  get isUsable(): boolean {
    return this.relays.some(isUsable)
  }

  /** Chooses a relay for a message; the caller takes the place. */
  choose(seeker: Seeker): Choice {
    if (seeker.tried.length === 0) {
      // Most routers have one relay, and most messages go by their first.
      const [only] = this.relays
      if (this.relays.length === 1 && hasRoom(only!)) return only!
    }
    for (const relays of this.classes) {
      const usable = relays.filter((relay) => !seeker.tried.includes(relay) && isUsable(relay))
      if (usable.length > 0) return this.chooseAmong(usable, relays, seeker)
    }
    return this.relays.every((relay) => seeker.tried.includes(relay)) ? "none" : "down"
  }

  /** Makes a message wait; returns what takes it out again. */
  wait(waiter: Waiter): () => void {
    const queue = waiter.isUrgent ? this.waiting.urgent : this.waiting.normal
    queue.add(waiter)
    return () => void queue.delete(waiter)
  }

  /** Gives relays to the messages that wait, the urgent ones first, then by age. */
  resume(): void {
    if (this.waiters === 0) return
    for (const queue of [this.waiting.urgent, this.waiting.normal])
      for (const waiter of queue) {
        if (!this.relays.some(hasRoom)) return
        const choice = this.choose(waiter)
        if (typeof choice === "string") continue
        queue.delete(waiter)
        take(choice)
        waiter.resume(choice)
      }
  }

  /** One of the relays answers again. */
  endOutage(): void {
    this.outage++
    this.isGivenUp = false
  }

  /** Ends the waiting of all messages. */
  giveUp(): void {
    this.isGivenUp = true
    for (const queue of [this.waiting.urgent, this.waiting.normal])
      for (const waiter of queue) {
        queue.delete(waiter)
        waiter.resume(undefined)
      }
  }

  private chooseAmong(usable: ReadonlyArray<Relay>, peers: ReadonlyArray<Relay>, seeker: Seeker): Choice {
    const isFirstTry = seeker.tried.length === 0
    const home = this.ring !== undefined && isFirstTry ? this.homeOf(this.ring, usable, seeker.key) : undefined
    if (home !== undefined) return hasRoom(home) ? home : "full"
    // A message that already lost time, or has none to lose, is no trial.
    const proven = seeker.isUrgent || !isFirstTry ? usable.filter(isProven) : []
    const candidates = proven.length > 0 ? proven : usable
    let best: Relay | undefined
    for (const relay of candidates) {
      // The transport lets urgent messages pass its own.
      const isOpen = hasRoom(relay) || (seeker.isUrgent && isProven(relay))
      if (isOpen && (best === undefined || relay.pass < best.pass)) best = relay
    }
    if (best === undefined) return "full"
    for (const relay of peers) if (relay.pass < best.pass && !hasRoom(relay)) relay.pass = best.pass
    return best
  }

  /** The relay of a key among the usable ones. When one leaves or returns, only the keys that are its own move. */
  private homeOf(ring: HashRing.HashRing<Node>, usable: ReadonlyArray<Relay>, key: string): Relay | undefined {
    const state = usable.map(({ name }) => name).join("\n")
    if (state !== this.ringHealth) {
      this.ringHealth = state
      this.homes.clear()
      const average = this.relays.reduce((sum, { weight }) => sum + weight, 0) / this.relays.length
      for (const relay of this.relays) {
        const node: Node = { relay, [PrimaryKey.symbol]: () => relayPlace + relay.name }
        if (!usable.includes(relay)) HashRing.remove(ring, node)
        else if (!HashRing.has(ring, node)) HashRing.add(ring, node, { weight: relay.weight / average })
      }
    }
    let home = this.homes.get(key)
    if (home === undefined) {
      home = HashRing.get(ring, keyPlace + key)?.relay
      if (this.homes.size >= rememberedKeys) this.homes.clear()
      this.homes.set(key, home)
    }
    return home
  }
}
