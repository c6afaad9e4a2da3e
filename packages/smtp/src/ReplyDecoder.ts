/**
 * Decodes replies from bytes (RFC 5321 §4.2): incremental, pure, and strict where leniency would make counting replies unsafe.
 * The way back begins here: `SmtpConnection` hands bytes in, and the replies on to the pipeline.
 *
 * Bytes may be split anywhere. A reply has one line or several; all its lines carry the same code, and a hyphen after
 * the code says that more follow. A bare line feed ends a line too, because servers exist that send it. Everything
 * else is a violation after which no more replies come out, since from then on one could be taken for another.
 *
 * @since 0.1.0
 */

import type * as Reply from "mailrace/Reply"

/**
 * The longest reply line accepted, in bytes without its line ending. RFC 5321 §4.5.3.1.5 asks for 512.
 *
 * @since 0.1.0
 */
export const maxLineLength = 4096

/**
 * The most lines accepted in one reply.
 *
 * @since 0.1.0
 */
export const maxLines = 100

/**
 * The most that is kept of a reply's text, in bytes. One is held for each recipient, and a relay may write 400 KB.
 *
 * @since 0.1.0
 */
export const maxTextLength = 512

/** The most empty lines between two replies. */
const maxEmptyLines = 16

/**
 * How many bytes are decoded at once. A text that is cut out of a string keeps the whole of it in memory, so what a reply
 * holds is bounded by this and not by how much came with it.
 */
const segmentLength = 1024

/**
 * Turns a stream of bytes into replies.
 *
 * @since 0.1.0
 */
export class ReplyDecoder {
  /**
   * True if a reply is awaited whose text is data and is needed whole: the 250 to EHLO, the 334 to AUTH. All others are
   * read to their end, and their text is kept up to `maxTextLength`.
   */
  isWhole = false
  /**
   * True to pass over empty lines between replies, which some relays send after their greeting. They do no harm while one reply at a
   * time is awaited; among the replies to a group one may be what is left of a lost reply.
   */
  skipsEmptyLines = false
  private emptyLines = 0
  private partial = ""
  private code = 0
  private lines: Array<string> = []
  /** How many lines of a reply have come so far. */
  private lineCount = 0
  /** How many more bytes of its text are kept. */
  private room = 0
  private violation: string | undefined
  private readonly recent = new RecentReplies()

  /** True if nothing is left over: no line begun, no reply half read. */
  get isIdle(): boolean {
    return this.partial === "" && this.lineCount === 0
  }

  /**
   * Takes more bytes and hands on each reply that they complete, in order. Returns a description of the fault if the bytes are
   * not SMTP replies; the decoder then cannot be used any more.
   */
  push(chunk: Uint8Array, onReply: (reply: Reply.Reply) => void): string | undefined {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at < bytes.length && this.violation === undefined; at += segmentLength) {
      // Latin-1 keeps one character a byte, so that positions are right whatever the encoding is.
      this.segment(bytes.toString("latin1", at, at + segmentLength), onReply)
    }
    return this.violation
  }

  private segment(received: string, onReply: (reply: Reply.Reply) => void): void {
    const text = this.partial === "" ? received : this.partial + received
    let start = 0
    let end = text.indexOf("\n")
    while (end !== -1) {
      const stop = end > start && text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end
      this.line(text, start, stop, onReply)
      if (this.violation !== undefined) return
      start = end + 1
      end = text.indexOf("\n", start)
    }
    this.partial = start === 0 ? text : text.slice(start)
    if (this.partial.length > maxLineLength + 1) this.violation = `a reply line is longer than ${maxLineLength} bytes`
  }

  private line(text: string, start: number, stop: number, onReply: (reply: Reply.Reply) => void): void {
    const length = stop - start
    if (length > maxLineLength) {
      this.violation = `a reply line is longer than ${maxLineLength} bytes`
      return
    }
    const isEmpty = length === 0 && this.lineCount === 0
    if (isEmpty && this.skipsEmptyLines && ++this.emptyLines <= maxEmptyLines) return
    this.emptyLines = 0
    const code = length < 3 ? 0 : codeAt(text, start)
    const separator = length === 3 ? space : text.charCodeAt(start + 3)
    if (code === 0 || (separator !== space && separator !== hyphen)) {
      this.violation = `this is no SMTP reply: ${JSON.stringify(text.slice(start, Math.min(stop, start + 80)))}`
      return
    }
    if (this.lineCount === 0) {
      this.room = this.isWhole && (code === 250 || code === 334) ? maxLines * maxLineLength : maxTextLength
      if (separator === space) {
        const known = this.recent.get(text, start, stop)
        if (known !== undefined) {
          onReply(known)
          return
        }
        const words = wordsOf(text, start + 4, stop, this.room)
        const isShort = text.length <= 2 * segmentLength
        const reply = makeReply(code, isShort ? words : alone(words))
        if (isShort && words.length === Math.max(0, length - 4)) this.recent.add(text, start, stop, reply)
        onReply(reply)
        return
      }
      this.code = code
    } else if (code !== this.code) {
      this.violation = `the lines of one reply carry different codes: ${this.code} and ${code}`
      return
    }
    if (this.room > 0 || this.lineCount === 0) {
      const words = wordsOf(text, start + 4, stop, this.room)
      this.lines.push(words)
      // The line feed that joins it to the next counts as well.
      this.room -= words.length + 1
    }
    if (++this.lineCount > maxLines) {
      this.violation = `a reply has more than ${maxLines} lines`
    } else if (separator === space) {
      const lines = this.lines
      this.lines = []
      this.lineCount = 0
      onReply(makeReply(code, alone(withoutRepeatedStatus(lines).join("\n"))))
    }
  }
}

/**
 * The replies that came last. A relay answers RSET, MAIL and RCPT of each message in the same words, so that three of four
 * replies need not be made again. Each is kept in the place that the length of its line says, so that one look finds it.
 */
class RecentReplies {
  private readonly lines: Array<string> = Array.from({ length: places }, () => "")
  private readonly replies: Array<Reply.Reply | undefined> = Array.from({ length: places }, () => undefined)

  /** The reply that was made of the same line. */
  get(text: string, start: number, stop: number): Reply.Reply | undefined {
    const length = stop - start
    const line = this.lines[length % places]!
    return line.length === length && text.startsWith(line, start) ? this.replies[length % places] : undefined
  }

  /** Keeps the line as a part of the text, which is to be short. */
  add(text: string, start: number, stop: number, reply: Reply.Reply): void {
    const place = (stop - start) % places
    this.lines[place] = text.slice(start, stop)
    this.replies[place] = reply
  }
}

const places = 8

/** The words of a line, as many of them as there is room for. */
const wordsOf = (text: string, start: number, stop: number, room: number): string => {
  if (stop <= start) return ""
  if (stop - start <= room) return text.slice(start, stop)
  let end = start + room
  // Not through the middle of a character in UTF-8.
  while (end > start && end > start + room - 4 && (text.charCodeAt(end) & 0xc0) === 0x80) end--
  return text.slice(start, end)
}

/** The text without the larger one in memory out of which it was cut. */
const alone = (text: string): string => Buffer.from(text, "latin1").toString("latin1")

const carriageReturn = 13
const space = 32
const hyphen = 45
const dot = 46

/** The three digits at `start` as a number from 200 to 599, or 0 (RFC 5321 §4.2.1). */
const codeAt = (text: string, start: number): number => {
  const first = text.charCodeAt(start) - 48
  const second = text.charCodeAt(start + 1) - 48
  const third = text.charCodeAt(start + 2) - 48
  return first >= 2 && first <= 5 && second >= 0 && second <= 9 && third >= 0 && third <= 9
    ? first * 100 + second * 10 + third
    : 0
}

/** Splits the enhanced status off the words; it counts only when its class is that of the code (RFC 2034 §4). */
const makeReply = (code: number, words: string): Reply.Reply => {
  const text = decodeText(words)
  const length = statusLength(words)
  return length === 0 || words.charCodeAt(0) - 48 !== Math.floor(code / 100)
    ? { code, text }
    : { code, enhanced: text.slice(0, length), text: text.slice(length + 1) }
}

/** Each line of a reply repeats the status (RFC 2034 §4); said once is enough. */
const withoutRepeatedStatus = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [first = ""] = lines
  const length = statusLength(first)
  const status = first.slice(0, length)
  return length === 0
    ? lines
    : lines.map((line, i) =>
        i > 0 && statusLength(line) === length && line.startsWith(status) ? line.slice(length + 1) : line
      )
}

/**
 * The length of the enhanced status at the beginning, 0 if there is none: a class of 2, 4 or 5, then twice a dot with one to
 * three digits, before a space or the end of the line (RFC 3463 §2). Read by hand, because each reply of each message comes
 * through here.
 */
const statusLength = (words: string): number => {
  const first = words.charCodeAt(0)
  if (words.charCodeAt(1) !== dot || (first !== 50 && first !== 52 && first !== 53)) return 0
  const subject = digits(words, 2)
  const second = 2 + subject
  if (subject === 0 || words.charCodeAt(second) !== dot) return 0
  const detail = digits(words, second + 1)
  const end = second + 1 + detail
  const next = words.charCodeAt(end)
  return detail !== 0 && (end === words.length || next === space || next === 10) ? end : 0
}

/** How many digits, one to three, begin at `start`; 0 when there is none or one too many. */
const digits = (text: string, start: number): number => {
  let end = start
  while (end - start <= 3 && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++
  return end - start <= 3 ? end - start : 0
}

/** Replies are ASCII, or UTF-8 with SMTPUTF8 (RFC 6531 §3.7.4.2); what is neither is kept byte for byte. */
const decodeText = (latin1: string): string => {
  if (isAscii(latin1)) return latin1
  const text = Buffer.from(latin1, "latin1").toString("utf8")
  return text.includes("\ufffd") ? latin1 : text
}

const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}
