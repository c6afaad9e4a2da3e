/**
 * Unguessable tokens for Message-IDs and boundaries: 128 bits from the system's generator, fetched by the block since
 * one call for each message would cost more than the rest of its header.
 */
import { randomFillSync } from "node:crypto"

const tokenBytes = 16

const pool = Buffer.allocUnsafeSlow(256 * tokenBytes)
let used = pool.length

/** 32 hexadecimal digits, never given twice. */
export const next = (): string => {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += tokenBytes
  return pool.toString("hex", used - tokenBytes, used)
}
