/**
 * Content of DATA as it arrives (RFC 5321 §4.5.2): dots doubled at line starts are undone, CRLF . CRLF ends it.
 *
 * Bytes come in pieces cut anywhere. What cannot be judged yet (a line end that could begin the terminator) is held
 * back and put before the next piece, so that `write` always looks at whole marks; all searching is `indexOf`.
 */

/** Receives decoded bytes as ranges of the current piece. */
export interface ByteSink {
  readonly write: (bytes: Buffer, start: number, end: number) => void
}

const mark = Buffer.from("\r\n.")
const dot = 46
const cr = 13
const lf = 10

export class DotDecoder {
  /** Undecided bytes of the last piece: a prefix of CRLF . CRLF. */
  #held: Buffer | undefined
  /** True if the next byte is the first of the content, which counts as the start of a line. */
  #start = true

  /** Readies the decoder for the next content. */
  reset(): void {
    this.#held = undefined
    this.#start = true
  }

  /**
   * Reads a piece from `from`. Gives the index after the terminator when the content ends in it, else -1 when all of
   * the piece was taken.
   */
  write(piece: Buffer, from: number, sink: ByteSink): number {
    if (this.#held === undefined) return this.#scan(piece, from, sink)
    const held = this.#held
    this.#held = undefined
    const end = this.#scan(Buffer.concat([held, from === 0 ? piece : piece.subarray(from)]), 0, sink)
    return end === -1 ? -1 : end - held.length + from
  }

  #scan(bytes: Buffer, from: number, sink: ByteSink): number {
    let position = from
    if (this.#start && from < bytes.length) {
      const verdict = judge(bytes, from)
      if (verdict === "undecided") return this.#hold(bytes, from)
      this.#start = false
      if (verdict === "end") return from + 3
      if (verdict === "stuffed") position = from + 1
    }
    for (;;) {
      const at = bytes.indexOf(mark, position)
      if (at === -1) return this.#finish(bytes, position, sink)
      const verdict = judge(bytes, at + 2)
      if (verdict === "undecided") {
        if (at > position) sink.write(bytes, position, at)
        return this.#hold(bytes, at)
      }
      sink.write(bytes, position, at + 2)
      if (verdict === "end") return at + 5
      position = at + 3
    }
  }

  /** No mark is left; a CR or CRLF at the very end may begin one. */
  #finish(bytes: Buffer, position: number, sink: ByteSink): number {
    const last = bytes.length - 1
    let end = bytes.length
    if (end > position && bytes[last] === cr) end = last
    else if (end - 1 > position && bytes[last] === lf && bytes[last - 1] === cr) end = last - 1
    if (end > position) sink.write(bytes, position, end)
    if (end < bytes.length) this.#hold(bytes, end)
    return -1
  }

  #hold(bytes: Buffer, from: number): number {
    this.#held = Buffer.from(bytes.subarray(from))
    return -1
  }
}

/** The meaning of a line's start that could be a dot. */
const judge = (bytes: Buffer, at: number): "plain" | "stuffed" | "end" | "undecided" => {
  if (bytes[at] !== dot) return "plain"
  if (at + 1 >= bytes.length) return "undecided"
  if (bytes[at + 1] !== cr) return "stuffed"
  if (at + 2 >= bytes.length) return "undecided"
  return bytes[at + 2] === lf ? "end" : "stuffed"
}
