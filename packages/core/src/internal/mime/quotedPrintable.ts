/**
 * Quoted-printable (RFC 2045 §6.7), for text that is mostly ASCII.
 */

const maxLine = 76

/** How a byte is written: unchanged, as `=XX`, or depending on its neighbours. */
const literal = 0
const special = 1
const space = 2
const from = 3
const lineBreak = 4

const kind = new Uint8Array(256).fill(special)
for (let byte = 0x21; byte <= 0x7e; byte++) kind[byte] = literal
kind[0x3d] = special
kind[0x09] = kind[0x20] = space
kind[0x46] = from
kind[0x0d] = lineBreak

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
    const sort = kind[byte]
    // Nearly all of a text is such: no encoding, and not at the end of a line. A soft break needs the 76th column.
    if (to - line < maxLine - 1 && (sort === literal || (sort === space && i + 1 < end && bytes[i + 1] !== 0x0d))) {
      out[to++] = byte
      continue
    }
    if (sort === lineBreak) {
      out[to++] = 0x0d
      out[to++] = 0x0a
      line = to
      i++
      continue
    }
    const last = i + 1 === end || bytes[i + 1] === 0x0d
    let quoted = sort === special || (sort === space && last) || (sort === from && to === line && isFrom(bytes, i))
    if (to - line + (quoted ? 3 : 1) > (last ? maxLine : maxLine - 1)) {
      out[to++] = 0x3d
      out[to++] = 0x0d
      out[to++] = 0x0a
      line = to
      quoted ||= sort === from && isFrom(bytes, i)
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

/** Decodes `=XX`, also in lower case. What stands for nothing stays as it is (RFC 2045 §6.7). */
export const decode = (text: string): Buffer =>
  Buffer.from(
    text.replace(/=([\da-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16))),
    "latin1"
  )
