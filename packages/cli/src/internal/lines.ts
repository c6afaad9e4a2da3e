/**
 * Cuts a stream of bytes into lines, holding no more than one line at a time.
 *
 * A line ends with LF; a CR before it belongs to the ending. A line longer than the limit is not kept: it comes out
 * without bytes, so that one endless line costs its limit in memory and no more.
 */

/** A line without its ending. */
export interface Line {
  /** The line's bytes; absent when it is longer than the limit. */
  readonly bytes: Uint8Array | undefined
  /** The line's number, from 1. */
  readonly number: number
  /** Bytes of the input up to the line's end, its ending included. */
  readonly end: number
}

const LF = 10
const CR = 13

/** Push chunks, take whole lines. */
export class LineSplitter {
  private readonly maxBytes: number
  private held: Array<Uint8Array> = []
  private heldBytes = 0
  private tooLong = false
  private number = 1
  private offset = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  push(chunk: Uint8Array): Array<Line> {
    const lines: Array<Line> = []
    let start = 0
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, start)) {
      const rest = chunk.subarray(start, at)
      lines.push(this.take(rest, this.offset + at + 1))
      start = at + 1
    }
    if (start < chunk.length) this.hold(chunk.subarray(start))
    this.offset += chunk.length
    return lines
  }

  /** The last line, when the input does not end with LF. */
  finish(): Array<Line> {
    return this.heldBytes === 0 ? [] : [this.take(new Uint8Array(0), this.offset)]
  }

  private hold(rest: Uint8Array): void {
    this.heldBytes += rest.length
    if (this.heldBytes > this.maxBytes) {
      this.tooLong = true
      this.held = []
    } else {
      // The source may use its buffer again.
      this.held.push(rest.slice())
    }
  }

  private take(rest: Uint8Array, end: number): Line {
    const total = this.heldBytes + rest.length
    const bytes = this.tooLong || total > this.maxBytes ? undefined : trimCr(join(this.held, rest, total))
    this.held = []
    this.heldBytes = 0
    this.tooLong = false
    return { bytes, number: this.number++, end }
  }
}

const join = (held: ReadonlyArray<Uint8Array>, rest: Uint8Array, total: number): Uint8Array => {
  if (held.length === 0) return rest
  const whole = new Uint8Array(total)
  let at = 0
  for (const part of held) {
    whole.set(part, at)
    at += part.length
  }
  whole.set(rest, at)
  return whole
}

const trimCr = (bytes: Uint8Array): Uint8Array =>
  bytes.length > 0 && bytes[bytes.length - 1] === CR ? bytes.subarray(0, -1) : bytes
