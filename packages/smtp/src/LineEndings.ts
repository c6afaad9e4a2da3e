/**
 * Content as it goes over the wire: lines ended by CRLF, and for DATA a dot doubled at each line's start.
 *
 * Content is never sent with a bare CR or LF (RFC 5321 §2.3.8): receivers differ in what they make of one, and the
 * difference has been used to smuggle commands past a relay ("SMTP smuggling", 2023). A bare CR or LF becomes CRLF, in
 * DATA and BDAT alike.
 *
 * Content that is already clean is found by one scan and sent as it is, without a copy.
 */

/** What a scan found. */
export interface Scan {
  /** A CR without LF after it, or an LF without CR before it. */
  readonly hasBareLineEnding: boolean
  /** A line that begins with a dot. */
  readonly hasDotLine: boolean
  /** The last line ends with CRLF, or there is no line. */
  readonly endsLine: boolean
}

/** Looks through content once; nearly every byte costs one comparison. */
export const scan = (content: Uint8Array): Scan => {
  const length = content.length
  let hasBareLineEnding = false
  let hasDotLine = length > 0 && content[0] === dot
  let lineStart = 0
  for (let i = 0; i < length; i++) {
    const byte = content[i]!
    if (byte > carriageReturn) continue
    if (byte === carriageReturn && content[i + 1] === lineFeed) {
      lineStart = i + 2
      if (content[lineStart] === dot) hasDotLine = true
      i++
    } else if (byte === lineFeed || byte === carriageReturn) {
      hasBareLineEnding = true
    }
  }
  return { hasBareLineEnding, hasDotLine, endsLine: lineStart === length }
}

/** Content for BDAT (RFC 3030): line endings made CRLF; the same bytes when they were already. */
export const forBdat = (content: Uint8Array): Uint8Array => {
  const { endsLine, hasBareLineEnding } = scan(content)
  return endsLine && !hasBareLineEnding ? content : encodeWhole(content, false)
}

/** Content for DATA (RFC 5321 §4.5.2), without the final dot; the same bytes when nothing had to change. */
export const forData = (content: Uint8Array): Uint8Array => {
  const { endsLine, hasBareLineEnding, hasDotLine } = scan(content)
  return endsLine && !hasBareLineEnding && !hasDotLine ? content : encodeWhole(content, true)
}

/** What ends the content of a DATA command once its last line has ended (RFC 5321 §4.1.1.4). */
export const endOfData = ".\r\n"

/** The same for content that comes in pieces. */
export class LineEncoder {
  private readonly stuffDots: boolean
  private atLineStart = true
  private afterCarriageReturn = false

  constructor(stuffDots: boolean) {
    this.stuffDots = stuffDots
  }

  /** Encodes the next piece; at most twice as long as what went in, plus one byte. */
  push(piece: Uint8Array): Uint8Array {
    const out = Buffer.allocUnsafe(piece.length * 2 + 1)
    let used = 0
    for (const byte of piece) {
      if (byte === lineFeed) {
        if (!this.afterCarriageReturn) out[used++] = carriageReturn
        out[used++] = lineFeed
        this.atLineStart = true
        this.afterCarriageReturn = false
        continue
      }
      if (this.afterCarriageReturn) {
        out[used++] = lineFeed
        this.atLineStart = true
      }
      if (byte === dot && this.atLineStart && this.stuffDots) out[used++] = dot
      out[used++] = byte
      this.afterCarriageReturn = byte === carriageReturn
      this.atLineStart = false
    }
    return out.subarray(0, used)
  }

  /** Ends the last line, if it has not ended. */
  end(): Uint8Array {
    if (this.afterCarriageReturn) return Uint8Array.of(lineFeed)
    return this.atLineStart ? new Uint8Array(0) : Uint8Array.of(carriageReturn, lineFeed)
  }
}

const lineFeed = 10
const carriageReturn = 13
const dot = 46

const encodeWhole = (content: Uint8Array, stuffDots: boolean): Uint8Array => {
  const encoder = new LineEncoder(stuffDots)
  return Buffer.concat([encoder.push(content), encoder.end()])
}
