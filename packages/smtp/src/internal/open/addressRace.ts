/**
 * Which of a relay's addresses to try, and when (RFC 8305).
 *
 * Attempts run side by side. A quarter of a second after one has begun, or as soon as it has failed, the next begins, with the families
 * in turn; the first to connect wins. An attempt is never cut short because another has begun: a relay on another
 * continent needs longer than that for its handshake. Addresses that lately failed, or were beaten by one that began later,
 * come last.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 */
import type { AddressRecord } from "./addressRecord.ts"

/** An address of a relay. */
export interface Address {
  readonly address: string
  readonly family: 4 | 6
}

/** An attempt that failed. */
export interface Failure<E> {
  readonly address: string
  readonly problem: E
}

/** How long an attempt is alone before the next begins, in milliseconds (RFC 8305 §5). */
const attemptDelayMs = 250

/** The most addresses of one relay that are tried. */
const maxAddresses = 32

/** Which address to try, and when. `E` is why an attempt failed. */
export class AddressRace<E> {
  readonly failures: Array<Failure<E>> = []
  private readonly record: AddressRecord
  private readonly known = new Set<string>()
  private waiting: Array<Address> = []
  /** When each attempt that is under way began. */
  private readonly running = new Map<string, number>()
  private lastFamily: 4 | 6 | undefined
  private nextAt = Number.NEGATIVE_INFINITY

  constructor(record: AddressRecord) {
    this.record = record
  }

  /** Adds addresses, in the resolver's order, up to 32 in all. Those that it has already are passed over. */
  add(addresses: ReadonlyArray<Address>): void {
    for (const address of addresses) {
      if (this.known.has(address.address) || this.known.size === maxAddresses) continue
      this.known.add(address.address)
      this.waiting.push(address)
    }
  }

  /** The number of addresses known so far. */
  get size(): number {
    return this.known.size
  }

  /** True if every address known has failed. */
  get isLost(): boolean {
    return this.waiting.length === 0 && this.running.size === 0
  }

  /** The address to try now, if it is time to try one; its attempt has then begun. */
  next(now: number): Address | undefined {
    if (now < this.nextAt || this.waiting.length === 0) return undefined
    const promising = this.waiting.filter(({ address }) => !this.record.isDoubtful(address, now))
    const candidates = promising.length > 0 ? promising : this.waiting
    const chosen = candidates.find(({ family }) => family !== this.lastFamily) ?? candidates[0]!
    this.waiting = this.waiting.filter((address) => address !== chosen)
    this.running.set(chosen.address, now)
    this.lastFamily = chosen.family
    this.nextAt = now + attemptDelayMs
    return chosen
  }

  /** How long until `next` may give an address, in milliseconds; infinite where only a failure or another answer helps. */
  changesIn(now: number): number {
    return this.waiting.length === 0 ? Number.POSITIVE_INFINITY : Math.max(0, this.nextAt - now)
  }

  /** An attempt has failed, so that the next may begin at once. */
  failed(address: string, problem: E, now: number): void {
    this.running.delete(address)
    this.failures.push({ address, problem })
    this.record.failed(address, now)
    this.nextAt = now
  }

  /** An attempt has won. Those that had a head start and lost it are doubtful from now on. */
  connected(winner: string, now: number): void {
    const begunAt = this.running.get(winner)!
    this.record.connected(winner)
    for (const [address, at] of this.running) if (at < begunAt) this.record.failed(address, now)
  }
}
