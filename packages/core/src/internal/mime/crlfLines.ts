/**
 * Text in chunks of bytes whose line breaks become CRLF, for messages that are attached from a file and go out as they are.
 */
import * as TextEntity from "./textEntity.ts"

const maxLine = 998

/** Converts chunk by chunk, and sees whether all of it may go out without an encoding (7bit, RFC 2045 §2.7). */
export class CrlfLines {
  private held = ""
  private column = 0
  private isFit = true

  /** True if all so far was ASCII in short lines. */
  get isPlain(): boolean {
    return this.isFit
  }

  /** Converts a chunk; a CR at its end waits for what follows. */
  push(chunk: Uint8Array): string {
    const text = this.held + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1")
    const isCut = text.endsWith("\r")
    this.held = isCut ? "\r" : ""
    return this.convert(isCut ? text.slice(0, -1) : text)
  }

  /** The held-back bytes. */
  end(): string {
    const text = this.held
    this.held = ""
    return this.convert(text)
  }

  private convert(text: string): string {
    const lines = TextEntity.toCrlf(text)
    const first = lines.indexOf("\r\n")
    this.column += first === -1 ? lines.length : first
    if (this.column > maxLine || !/^[\x01-\x7f]*$/.test(lines) || !TextEntity.hasShortLines(lines)) this.isFit = false
    if (first !== -1) this.column = lines.length - lines.lastIndexOf("\r\n") - 2
    return lines
  }
}
