/**
 * Encoded-words (RFC 2047): text of any kind as ASCII inside a header field.
 *
 * Only the letters that a phrase may hold (§5 rule 3) stay as they are, so that one form serves subjects, names and
 * comments alike. A character is never split between two words, and each line keeps within 76.
 */

/** The octets of `=?UTF-8?Q?` and `?=`. */
const frame = 12

const maxWord = 75

const maxLine = 76

const isLiteral = new Uint8Array(256)
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
  isLiteral[character.charCodeAt(0)] = 1

const hex = Array.from({ length: 256 }, (_, byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`)
hex[0x20] = "_"

const beginning = /=\?[^?]*\?[bq]\?/i

/** True if a reader might decode a plain text, which must then be encoded to be shown as it is. */
export const looksEncoded = (text: string): boolean => text.includes("=?") && beginning.test(text)

/**
 * Encodes a text as encoded-words, folded with CRLF and a space between them.
 *
 * `column` is how far the line is filled already, and `reserved` what must follow on the last line. A text that needs a
 * line of its own begins with its CRLF. Half characters (lone surrogates) become U+FFFD.
 */
export const encode = (text: string, column: number, reserved = 0): string => {
  const bytes = Buffer.from(text)
  let literals = 0
  for (const byte of bytes) if (isLiteral[byte] === 1 || byte === 0x20) literals++
  const quoted = literals + 3 * (bytes.length - literals) <= Math.ceil(bytes.length / 3) * 4
  const room = maxLine - column - frame - reserved
  const roomOfLine = Math.min(maxLine - 1 - frame - reserved, maxWord - frame)
  // Too little room for a character of four bytes in the widest form: begin on a new line.
  let out = room < 12 ? "\r\n " : ""
  let payload = room < 12 ? roomOfLine : Math.min(room, roomOfLine)
  for (let start = 0; start < bytes.length;) {
    const end = quoted ? endOfQuoted(bytes, start, payload) : endOfBase64(bytes, start, payload)
    if (start > 0) out += "\r\n "
    out += quoted
      ? `=?UTF-8?Q?${quotedSlice(bytes, start, end)}?=`
      : `=?UTF-8?B?${bytes.toString("base64", start, end)}?=`
    start = end
    payload = roomOfLine
  }
  return out
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

const endOfQuoted = (bytes: Uint8Array, start: number, payload: number): number => {
  let used = 0
  let end = start
  while (end < bytes.length) {
    let next = end + 1
    while (isContinuation(bytes[next])) next++
    const width = isLiteral[bytes[end]!] === 1 || bytes[end] === 0x20 ? 1 : 3 * (next - end)
    if (used + width > payload) break
    used += width
    end = next
  }
  return end
}

const endOfBase64 = (bytes: Uint8Array, start: number, payload: number): number => {
  let end = Math.min(start + Math.floor(payload / 4) * 3, bytes.length)
  while (isContinuation(bytes[end])) end--
  return end
}

const quotedSlice = (bytes: Uint8Array, start: number, end: number): string => {
  let out = ""
  for (let i = start; i < end; i++) out += isLiteral[bytes[i]!] === 1 ? String.fromCharCode(bytes[i]!) : hex[bytes[i]!]!
  return out
}
