/**
 * Content as it goes over the wire: lines ended by CRLF, and for DATA a dot doubled at each line's start.
 *
 * Content is never sent with a bare CR or LF (RFC 5321 §2.3.8): receivers differ in what they make of one, and the
 * difference has been used to smuggle commands past a relay ("SMTP smuggling", 2023). A bare CR or LF becomes CRLF, in
 * DATA and BDAT alike.
 *
 * Content that is already clean is found by one scan and sent as it is, without a copy.
 *
 * @since 0.1.0
 */

/**
 * The result of a scan.
 *
 * @since 0.1.0
 */
export interface Scan {
  /** A CR without LF after it, or an LF without CR before it. */
  readonly hasBareLineEnding: boolean
  /** How many lines begin with a dot. */
  readonly dotLines: number
  /** The last line ends with CRLF, or there is no line. */
  readonly endsLine: boolean
}

/**
 * Scans content once, sixteen and then four bytes at a time where none of them can end a line. That is nearly all of a message,
 * and nearly all that it costs here.
 *
 * @since 0.1.0
 */
export const scan = (content: Uint8Array): Scan => {
  const length = content.length
  const words = new DataView(content.buffer, content.byteOffset, length)
  let hasBareLineEnding = false
  let dotLines = length > 0 && content[0] === dot ? 1 : 0
  let lineStart = 0
  let i = 0
  while (i < length) {
    while (i + 16 <= length) {
      const controls =
        controlsOf(words.getInt32(i)) |
        controlsOf(words.getInt32(i + 4)) |
        controlsOf(words.getInt32(i + 8)) |
        controlsOf(words.getInt32(i + 12))
      if ((controls & highBits) !== 0) break
      i += 16
    }
    while (i + 4 <= length && (controlsOf(words.getInt32(i)) & highBits) === 0) i += 4
    for (const end = Math.min(i + 4, length); i < end; i++) {
      const byte = content[i]!
      if (byte > carriageReturn) continue
      if (byte === carriageReturn && content[i + 1] === lineFeed) {
        lineStart = i + 2
        if (content[lineStart] === dot) dotLines++
        i++
      } else if (byte === lineFeed || byte === carriageReturn) {
        hasBareLineEnding = true
      }
    }
  }
  return { hasBareLineEnding, dotLines, endsLine: lineStart === length }
}

/** One of four bytes is CR or less where a high bit is set: subtracting 14 from each borrows it, unless it was set before. */
const controlsOf = (word: number): number => (word - 0x0e0e0e0e) & ~word

/**
 * Content for BDAT (RFC 3030): line endings made CRLF; the same bytes when they were already.
 *
 * @since 0.1.0
 */
export const forBdat = (content: Uint8Array): Uint8Array => {
  const { endsLine, hasBareLineEnding } = scan(content)
  return endsLine && !hasBareLineEnding ? content : encodeWhole(content, false)
}

/**
 * Content for DATA (RFC 5321 §4.5.2), without the final dot; the same bytes when nothing had to change.
 *
 * @since 0.1.0
 */
export const forData = (content: Uint8Array): Uint8Array => {
  const { dotLines, endsLine, hasBareLineEnding } = scan(content)
  if (hasBareLineEnding || !endsLine) return encodeWhole(content, true)
  return dotLines > 0 ? withDotsDoubled(content, dotLines) : content
}

/**
 * The end of the content of a DATA command, after its last line (RFC 5321 §4.1.1.4).
 *
 * @since 0.1.0
 */
export const endOfData = ".\r\n"

/**
 * The same for content that comes in pieces.
 *
 * @since 0.1.0
 */
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
    // Unchanged bytes are copied in runs, from `run` up to the next byte that gets something in front.
    let run = 0
    let { afterCarriageReturn, atLineStart } = this
    const insert = (byte: number, at: number): void => {
      out.set(piece.subarray(run, at), used)
      used += at - run
      out[used++] = byte
      run = at
    }
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!
      if (byte > dot && !afterCarriageReturn) {
        atLineStart = false
        continue
      }
      if (byte === lineFeed) {
        if (!afterCarriageReturn) insert(carriageReturn, i)
        afterCarriageReturn = false
        atLineStart = true
        continue
      }
      if (afterCarriageReturn) {
        insert(lineFeed, i)
        atLineStart = true
      }
      if (byte === dot && atLineStart && this.stuffDots) insert(dot, i)
      afterCarriageReturn = byte === carriageReturn
      atLineStart = false
    }
    out.set(piece.subarray(run), used)
    this.afterCarriageReturn = afterCarriageReturn
    this.atLineStart = atLineStart
    return out.subarray(0, used + piece.length - run)
  }

  /** Ends the last line, if it has not ended. */
  end(): Uint8Array {
    if (this.afterCarriageReturn) return Uint8Array.of(lineFeed)
    return this.atLineStart ? new Uint8Array(0) : Uint8Array.of(carriageReturn, lineFeed)
  }
}

/** The highest bit of each of four bytes. */
const highBits = 0x80808080 | 0

const lineFeed = 10
const carriageReturn = 13
const dot = 46

/** Doubles the dots at line starts, where nothing else is to be done: a native search, and copies of what lies between. */
const withDotsDoubled = (content: Uint8Array, dotLines: number): Uint8Array => {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length)
  const out = Buffer.allocUnsafe(bytes.length + dotLines)
  let used = 0
  if (bytes[0] === dot) out[used++] = dot
  let start = 0
  for (let at = bytes.indexOf(dotLine); at !== -1; at = bytes.indexOf(dotLine, start)) {
    used += bytes.copy(out, used, start, at + 2)
    out[used++] = dot
    start = at + 2
  }
  bytes.copy(out, used, start)
  return out
}

const dotLine = Buffer.from("\r\n.")

const encodeWhole = (content: Uint8Array, stuffDots: boolean): Uint8Array => {
  const encoder = new LineEncoder(stuffDots)
  return Buffer.concat([encoder.push(content), encoder.end()])
}
