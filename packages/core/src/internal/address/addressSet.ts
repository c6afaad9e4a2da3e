/**
 * A set of addresses as 64-bit hashes, 8 bytes each in one table, for lists that hold millions.
 *
 * Two addresses of a list of a million share a hash with odds of one in 10^7; then the set mistakes one for the other. Each
 * process seeds the hash anew, so that nobody can choose addresses that collide.
 */
import { randomInt } from "node:crypto"
import * as Address from "../../Address.ts"
import * as AddressSyntax from "./addressSyntax.ts"

const smallest = 1024

/** The load at which the table doubles, so that look-ups take two or three slots. */
const fullest = 0.7

const seed = randomInt(2 ** 32)

/** A set of strings that keeps only their hashes. */
export class AddressSet {
  private table = new Uint32Array(2 * smallest)
  private count = 0

  /** The number of strings in the set. */
  get size(): number {
    return this.count
  }

  /** The memory of the set, in bytes. */
  get bytes(): number {
    return this.table.byteLength
  }

  has(key: string): boolean {
    hash(key)
    return this.slot(high, low) < 0
  }

  /** Adds a string; true if it is new. */
  add(key: string): boolean {
    hash(key)
    const slot = this.slot(high, low)
    if (slot < 0) return false
    this.table[slot] = high
    this.table[slot + 1] = low
    this.count++
    if (2 * this.count > fullest * this.table.length) this.grow()
    return true
  }

  /** The free slot for a hash, or -1 if the hash is there. */
  private slot(a: number, b: number): number {
    const { table } = this
    const mask = table.length - 1
    let at = (b << 1) & mask
    for (;;) {
      const x = table[at]
      const y = table[at + 1]
      if (x === 0 && y === 0) return at
      if (x === a && y === b) return -1
      at = (at + 2) & mask
    }
  }

  private grow(): void {
    const before = this.table
    this.table = new Uint32Array(2 * before.length)
    for (let at = 0; at < before.length; at += 2) {
      const a = before[at]!
      const b = before[at + 1]!
      if (a === 0 && b === 0) continue
      const slot = this.slot(a, b)
      this.table[slot] = a
      this.table[slot + 1] = b
    }
  }
}

/**
 * The form in which a list compares addresses: lower case, also in the local part (servers may distinguish case and in practice
 * do not), the domain in ASCII, without unnecessary quotes and backslashes.
 */
export const keyOf = (address: Address.Address): string => {
  const local = Address.localPart(address)
  const plain = local.startsWith('"') ? unquoted(local) : local
  return `${plain.normalize("NFC").toLowerCase()}@${domainKey(Address.domain(address))}`
}

/** A quoted local part in its simplest spelling (RFC 5321 §4.1.2). */
const unquoted = (local: string): string => {
  const inside = local.slice(1, -1).replace(/\\(.)/g, "$1")
  return dotAtom.test(inside) ? inside : `"${inside}"`
}

const dotAtom = /^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+)*$/

/** The same for a domain alone. */
export const domainKey = (domain: string): string => (AddressSyntax.domainToAscii(domain) ?? domain).toLowerCase()

// The results of `hash`, kept here so that it makes no object for each address.
let high = 0
let low = 0

/** Two lanes of 32 bits with one multiplication for each character, mixed at the end so that each character moves each bit. */
const hash = (text: string): void => {
  let a = seed ^ text.length
  let b = ~seed
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = Math.imul(a ^ code, 0x2c1b3c6d)
    a = (a << 13) | (a >>> 19)
    b = Math.imul(b ^ code, 0x297a2d39)
    b = (b << 17) | (b >>> 15)
  }
  high = mix(a ^ Math.imul(b, 0x1b56c4e9))
  low = mix(b ^ Math.imul(high, 0x7f4a7c15))
  // Two zeros mark a free slot.
  if (high === 0 && low === 0) low = 1
}

const mix = (x: number): number => {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
