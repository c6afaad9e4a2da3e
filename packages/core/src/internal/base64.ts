/**
 * Base64 as a body is transferred in (RFC 2045 §6.8): lines of 76 characters with CRLF between them, none at the end.
 *
 * Two characters at a time come out of a table, for each twelve bits, straight into their place: no string is made
 * and nothing is copied twice.
 */

const lineBytes = 57

const lineCharacters = 76

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** Two characters for each twelve bits, in the machine's byte order. */
const pairs = new Uint16Array(4096)
const pairBytes = new Uint8Array(pairs.buffer)
for (let i = 0; i < 4096; i++) {
  pairBytes[2 * i] = alphabet.charCodeAt(i >> 6)
  pairBytes[2 * i + 1] = alphabet.charCodeAt(i & 63)
}
const lineBreak = new Uint16Array(Uint8Array.of(13, 10).buffer)[0]!
const padding = 0x3d

/** How many bytes come out for so many that go in. */
export const encodedLength = (size: number): number =>
  size === 0 ? 0 : Math.ceil(size / 3) * 4 + 2 * (Math.ceil(size / lineBytes) - 1)

/** Encodes all at once. */
export const encode = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(encodedLength(bytes.length))
  write(out, bytes, 0, bytes.length, false)
  return out
}

/** Encodes chunks of any length as if they were one; holds back at most 56 bytes. */
export class LineEncoder {
  private readonly held = new Uint8Array(lineBytes)
  private heldBytes = 0
  private begun = false
  private total = 0

  /** Bytes taken in so far. */
  get size(): number {
    return this.total
  }

  /** Encodes the lines that are complete. */
  push(chunk: Uint8Array): Uint8Array {
    this.total += chunk.length
    const lines = Math.floor((this.heldBytes + chunk.length) / lineBytes)
    if (lines === 0) {
      this.held.set(chunk, this.heldBytes)
      this.heldBytes += chunk.length
      return new Uint8Array(0)
    }
    const out = new Uint8Array(lines * (lineCharacters + 2) - (this.begun ? 0 : 2))
    let taken = 0
    let at = 0
    if (this.heldBytes > 0) {
      taken = lineBytes - this.heldBytes
      this.held.set(chunk.subarray(0, taken), this.heldBytes)
      at = write(out, this.held, 0, lineBytes, this.begun)
      this.begun = true
    }
    const end = chunk.length - ((chunk.length - taken) % lineBytes)
    if (end > taken) {
      write(out.subarray(at), chunk, taken, end, this.begun)
      this.begun = true
    }
    this.held.set(chunk.subarray(end))
    this.heldBytes = chunk.length - end
    return out
  }

  /** The last line. */
  end(): Uint8Array {
    if (this.heldBytes === 0) return new Uint8Array(0)
    const out = new Uint8Array(Math.ceil(this.heldBytes / 3) * 4 + (this.begun ? 2 : 0))
    write(out, this.held, 0, this.heldBytes, this.begun)
    this.heldBytes = 0
    return out
  }
}

/** Writes `bytes` from `start` to `end`, after a line break if `broken`; returns how much was written. */
const write = (out: Uint8Array, bytes: Uint8Array, start: number, end: number, broken: boolean): number => {
  const two = new Uint16Array(out.buffer, out.byteOffset, out.length >> 1)
  const whole = end - ((end - start) % 3)
  let to = 0
  if (broken) two[to++] = lineBreak
  let line = start
  while (line < whole) {
    if (line > start) two[to++] = lineBreak
    const lineEnd = Math.min(line + lineBytes, whole)
    for (let i = line; i < lineEnd; i += 3) {
      const bits = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!
      two[to++] = pairs[bits >> 12]!
      two[to++] = pairs[bits & 4095]!
    }
    line = lineEnd
  }
  const rest = end - whole
  if (rest > 0) {
    if (whole > start && (whole - start) % lineBytes === 0) two[to++] = lineBreak
    const bits = (bytes[whole]! << 16) | (rest === 2 ? bytes[whole + 1]! << 8 : 0)
    two[to++] = pairs[bits >> 12]!
    two[to++] = pairs[bits & 4095]!
    out[2 * to - 1] = padding
    if (rest === 1) out[2 * to - 2] = padding
  }
  return 2 * to
}
