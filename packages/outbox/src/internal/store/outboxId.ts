/**
 * Ids of messages: 20 characters of Crockford's base 32 in lower case, as in `01jq8z6m4k7c2w9x3t5v`.
 *
 * The first ten are the time in milliseconds and the last ten are 50 random bits, counted up within one millisecond.
 * Ids that follow each other in time follow each other in the index, which keeps a b-tree's inserts at its end.
 */
import { randomBytes } from "node:crypto"

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

let lastTime = -1
let prefix = ""
let high = 0
let low = 0

/** A new id for the time `now` in milliseconds. Two processes collide with a chance of 1 in 10¹⁵ a millisecond. */
export const make = (now: number): string => {
  if (now === lastTime) {
    low = (low + 1) & 0x1ffffff
    if (low === 0) high = (high + 1) & 0x1ffffff
  } else {
    lastTime = now
    prefix = base32(Math.floor(now / 0x2000000), 5) + base32(now % 0x2000000, 5)
    const random = randomBytes(8)
    high = random.readUInt32BE(0) & 0x1ffffff
    low = random.readUInt32BE(4) & 0x1ffffff
  }
  return prefix + base32(high, 5) + base32(low, 5)
}

const base32 = (value: number, length: number): string => {
  let text = ""
  for (let i = 0; i < length; i++) {
    text = alphabet[value & 31]! + text
    value >>>= 5
  }
  return text
}
