/**
 * Counts the bytes by which DATA carries a content (RFC 5321 §4.5.2): every line with CR LF, a dot in front of lines that
 * begin with one, and the last line's end with the final dot. nodemailer reports this number.
 */

const carriageReturn = 13
const lineFeed = 10
const dot = 46

/** Counts pieces of one content. */
export class DataSize {
  /** The number for a content in one piece. */
  static of(content: Uint8Array): number {
    const size = new DataSize()
    size.add(content)
    return size.total
  }

  private bytes = 0
  /** The last byte; before the first a line feed, because a line begins there. */
  private last = lineFeed

  restart(): void {
    this.bytes = 0
    this.last = lineFeed
  }

  /** Counts another piece. */
  add(piece: Uint8Array): void {
    let { last } = this
    let added = 0
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i]!
      const isLineStart = last === lineFeed || last === carriageReturn
      if (last === carriageReturn && byte !== lineFeed) added++
      else if (byte === lineFeed && last !== carriageReturn) added++
      if (byte === dot && isLineStart) added++
      last = byte
    }
    this.bytes += piece.length + added
    this.last = last
  }

  /** The bytes so far, with the end of the last line and the final dot. */
  get total(): number {
    if (this.last === lineFeed) return this.bytes + 3
    return this.bytes + (this.last === carriageReturn ? 4 : 5)
  }
}
