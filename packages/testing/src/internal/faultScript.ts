/** Decides at each event whether a fault happens, with odds that repeat for a seed. */
import type * as Fault from "../Fault.ts"
import type { Event } from "./options.ts"

interface Entry {
  readonly fault: Fault.Fault
  readonly from: RegExp | undefined
  readonly to: RegExp | undefined
  readonly salt: number
  asked: number
  fired: number
}

export class FaultScript {
  readonly #byPhase = new Map<Fault.Phase, Array<Entry>>()
  readonly #decide: ((event: Event) => Fault.Action | undefined) | undefined

  constructor(
    faults: ReadonlyArray<Fault.Fault>,
    seed: number,
    decide: ((event: Event) => Fault.Action | undefined) | undefined
  ) {
    this.#decide = decide
    for (const [index, fault] of faults.entries()) {
      const entries = this.#byPhase.get(fault.phase) ?? []
      entries.push({
        fault,
        from: glob(fault.match?.from),
        to: glob(fault.match?.to),
        salt: Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b),
        asked: 0,
        fired: 0
      })
      this.#byPhase.set(fault.phase, entries)
    }
  }

  /** True if anything can happen at all, so that a server without faults never builds an event. */
  get isEmpty(): boolean {
    return this.#byPhase.size === 0 && this.#decide === undefined
  }

  /** True if anything can happen at a phase. */
  concerns(phase: Fault.Phase): boolean {
    return this.#decide !== undefined || this.#byPhase.has(phase)
  }

  /** The fault at this event; `undefined` for the right answer. */
  pick(event: Event): Fault.Action | undefined {
    const decided = this.#decide?.(event)
    if (decided !== undefined) return decided
    for (const entry of this.#byPhase.get(event.phase) ?? []) {
      if (matches(entry, event) && fires(entry)) return entry.fault.action
    }
    return undefined
  }
}

const matches = (entry: Entry, event: Event): boolean =>
  (entry.from === undefined || (event.from !== undefined && entry.from.test(event.from))) &&
  (entry.to === undefined || event.to.some((address) => entry.to!.test(address)))

const fires = (entry: Entry): boolean => {
  const { probability, nth, count } = entry.fault
  entry.asked++
  if (nth !== undefined && entry.asked !== nth) return false
  if (count !== undefined && entry.fired >= count) return false
  if (probability !== undefined && draw(entry.salt, entry.asked) >= probability) return false
  entry.fired++
  return true
}

/** A number in [0, 1) that depends on nothing but the two given (a finalizer of MurmurHash3). */
const draw = (salt: number, index: number): number => {
  let hash = (salt + Math.imul(index, 0x9e3779b9)) | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

const glob = (pattern: string | undefined): RegExp | undefined =>
  pattern === undefined
    ? undefined
    : new RegExp(
        `^${pattern
          .split("*")
          .map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`))
          .join(".*")}$`,
        "i"
      )
