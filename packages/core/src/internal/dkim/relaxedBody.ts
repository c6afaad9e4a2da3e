/**
 * A body as DKIM hashes it: "relaxed" (RFC 6376 §3.4.4), then SHA-256.
 *
 * White space at the end of a line is removed, a run of it within a line becomes one space, and empty lines at the end of the
 * body are removed. Lines are hashed as they go over the wire, where a bare CR or LF becomes CRLF (RFC 5321 §2.3.8).
 *
 * Most bodies already have this form except at their end, and are hashed in place, without a copy.
 */
import * as Crypto from "node:crypto"

const space = 0x20
const tab = 0x09
const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Larger pieces are cut, so that the canonical form of a piece takes bounded memory. */
const blockBytes = 32 * 1024

/** Room for the canonical form of one block: each byte may become a line ending of two. */
const scratch = Buffer.allocUnsafeSlow(2 * blockBytes + 1)

const lineEnds = Buffer.from("\r\n".repeat(1024))

/** The hash of a body in base64, as in `bh=`. */
export const hash = (body: Uint8Array): string => {
  const end = endOfText(body)
  if (end === 0) return Crypto.hash("sha256", "", "base64")
  // Most messages end with one line ending, which counts.
  if (body[end] === carriageReturn && body[end + 1] === lineFeed && isRelaxed(body, end))
    return Crypto.hash("sha256", body.subarray(0, end + 2), "base64")
  const state = new RelaxedBody()
  state.push(body)
  return state.digest()
}

/** Hashes a body that arrives in pieces. */
export class RelaxedBody {
  private readonly sha256: Crypto.Hash
  /** Line endings that count only if text follows. */
  private heldLineEnds = 0
  /** White space that counts only if text follows on its line. */
  private holdsSpace = false
  private afterCarriageReturn = false
  private isEmpty = true

  constructor(sha256: Crypto.Hash = Crypto.createHash("sha256")) {
    this.sha256 = sha256
  }

  push(piece: Uint8Array): void {
    for (let start = 0; start < piece.length; start += blockBytes)
      this.pushBlock(piece.subarray(start, start + blockBytes))
  }

  /** A copy of the state, so that a common beginning is hashed once. */
  copy(): RelaxedBody {
    const copy = new RelaxedBody(this.sha256.copy())
    copy.heldLineEnds = this.heldLineEnds
    copy.holdsSpace = this.holdsSpace
    copy.afterCarriageReturn = this.afterCarriageReturn
    copy.isEmpty = this.isEmpty
    return copy
  }

  /** Ends the body; base64. Nothing can be pushed after it. */
  digest(): string {
    if (!this.isEmpty) this.sha256.update("\r\n")
    return this.sha256.digest("base64")
  }

  /** Hashes a block in place if all but its end is in canonical form. */
  private pushBlock(block: Uint8Array): void {
    const end = endOfText(block)
    if (end === 0 || isBlankByte(block[0]!) || !isRelaxed(block, end)) return this.pushBytes(block)
    // The first byte also emits the white space that was held back before it.
    this.pushBytes(block.subarray(0, 1))
    this.sha256.update(block.subarray(1, end))
    this.pushBytes(block.subarray(end))
  }

  private pushBytes(block: Uint8Array): void {
    let used = 0
    for (let i = 0; i < block.length; i++) {
      const byte = block[i]!
      if (!isBlankByte(byte)) {
        if (this.heldLineEnds !== 0) {
          if (this.heldLineEnds > 1) {
            this.sha256.update(scratch.subarray(0, used))
            used = 0
            this.writeLineEnds(this.heldLineEnds - 1)
          }
          scratch[used++] = carriageReturn
          scratch[used++] = lineFeed
          this.heldLineEnds = 0
        }
        if (this.holdsSpace) {
          scratch[used++] = space
          this.holdsSpace = false
        }
        scratch[used++] = byte
        this.isEmpty = false
        this.afterCarriageReturn = false
      } else if (byte === space || byte === tab) {
        this.holdsSpace = true
        this.afterCarriageReturn = false
      } else {
        if (byte === carriageReturn || !this.afterCarriageReturn) this.heldLineEnds++
        this.holdsSpace = false
        this.afterCarriageReturn = byte === carriageReturn
      }
    }
    this.sha256.update(scratch.subarray(0, used))
  }

  private writeLineEnds(count: number): void {
    for (let left = 2 * count; left > 0; left -= lineEnds.length)
      this.sha256.update(left < lineEnds.length ? lineEnds.subarray(0, left) : lineEnds)
  }
}

/** White space and line endings. */
const isBlankByte = (byte: number): boolean =>
  byte <= space && (byte === space || byte === lineFeed || byte === carriageReturn || byte === tab)

/** The index after the last byte that is not blank. */
const endOfText = (body: Uint8Array): number => {
  let end = body.length
  while (end > 0 && isBlankByte(body[end - 1]!)) end--
  return end
}

/** True if a body is in canonical form up to `end`, the index after its text. */
const isRelaxed = (body: Uint8Array, end: number): boolean => {
  for (let i = 0; i < end; i++) {
    const byte = body[i]!
    if (byte > space) continue
    if (byte === space) {
      if (isBlankByte(body[i + 1]!)) return false
    } else if (byte === carriageReturn) {
      if (body[++i] !== lineFeed) return false
    } else if (byte === lineFeed || byte === tab) return false
  }
  return true
}
