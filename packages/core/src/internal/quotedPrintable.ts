/**
 * Quoted-printable (RFC 2045 §6.7), for text that is mostly ASCII.
 */

const maxLine = 76

/** How a byte is written: 0 as it is, 1 as `=XX`, 2 depending on what stands around it. */
const kind = new Uint8Array(256).fill(1)
for (let byte = 0x21; byte <= 0x7e; byte++) kind[byte] = 0
kind[0x3d] = 1
kind[0x09] = kind[0x20] = kind[0x0d] = kind[0x46] = 2

const digits = Uint8Array.from("0123456789ABCDEF", (digit) => digit.charCodeAt(0))

let scratch = Buffer.allocUnsafeSlow(16 * 1024)
const keptScratch = 1024 * 1024

/**
 * Encodes a text whose line breaks are CRLF already; they stay line breaks.
 *
 * `From ` at the beginning of a line is encoded too, because mailbox files put a `>` in front of it (RFC 2049 §3).
 */
export const encode = (text: string): string => {
  const bytes = Buffer.from(text)
  // At worst each byte takes three, and a line holds 25 such.
  const worst = 3 * bytes.length + 3 * Math.ceil(bytes.length / 24) + 8
  if (scratch.length < worst) scratch = Buffer.allocUnsafeSlow(worst)
  const length = write(scratch, bytes)
  const encoded = scratch.toString("latin1", 0, length)
  if (scratch.length > keptScratch) scratch = Buffer.allocUnsafeSlow(16 * 1024)
  return encoded
}

const write = (out: Uint8Array, bytes: Uint8Array): number => {
  let to = 0
  /** Where the current line of output begins. */
  let line = 0
  const end = bytes.length
  for (let i = 0; i < end; i++) {
    const byte = bytes[i]!
    let quoted = kind[byte] === 1
    if (kind[byte] === 2) {
      if (byte === 0x0d) {
        out[to++] = 0x0d
        out[to++] = 0x0a
        line = to
        i++
        continue
      }
      quoted = byte === 0x46 ? to === line && isFrom(bytes, i) : i + 1 === end || bytes[i + 1] === 0x0d
    }
    const last = i + 1 === end || bytes[i + 1] === 0x0d
    // A soft line break takes the 76th column, so that only the last character of a line may stand there.
    if (to - line + (quoted ? 3 : 1) > (last ? maxLine : maxLine - 1)) {
      out[to++] = 0x3d
      out[to++] = 0x0d
      out[to++] = 0x0a
      line = to
      quoted ||= byte === 0x46 && isFrom(bytes, i)
    }
    if (quoted) {
      out[to++] = 0x3d
      out[to++] = digits[byte >> 4]!
      out[to++] = digits[byte & 15]!
    } else {
      out[to++] = byte
    }
  }
  return to
}

const isFrom = (bytes: Uint8Array, at: number): boolean =>
  bytes[at + 1] === 0x72 && bytes[at + 2] === 0x6f && bytes[at + 3] === 0x6d && bytes[at + 4] === 0x20
