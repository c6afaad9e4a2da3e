/**
 * Reads UTF-8 and refuses invalid bytes instead of replacing them.
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const lenient = new TextDecoder("utf-8", { ignoreBOM: true })

/** The text, or `undefined` when the bytes are not UTF-8. A byte order mark stays in the text. */
export const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * The same for the beginning of a file, without the byte order mark that Notepad, PowerShell and Excel write. Returns
 * `undefined` for UTF-16 too.
 */
export const decodeStart = (bytes: Uint8Array): string | undefined =>
  isUtf16(bytes) ? undefined : decode(withoutMark(bytes))

/** The bytes of a file without a byte order mark, which is not part of the text. */
export const withoutMark = (bytes: Uint8Array): Uint8Array => {
  let start = 0
  while (bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) start += 3
  return bytes.subarray(start)
}

/**
 * True if a file is in UTF-16: it begins with its byte order mark, or with an ASCII character and a zero byte, which UTF-8
 * would allow.
 */
export const isUtf16 = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || first === 0 || second === 0

/** The character, from 1, at which bytes that are not UTF-8 go wrong. */
export const firstBadColumn = (bytes: Uint8Array): number => {
  if (isUtf16(bytes)) return 1
  let low = 0
  let high = bytes.length
  // A prefix that ends inside a character is not whole either, so the streaming decoder judges prefixes.
  while (low + 1 < high) {
    const middle = (low + high) >> 1
    if (isPrefix(bytes.subarray(0, middle))) low = middle
    else high = middle
  }
  return lenient.decode(bytes.subarray(0, low)).replaceAll("\uFFFD", "").length + 1
}

/** Describes bytes that are not UTF-8. */
export const problemOf = (bytes: Uint8Array): string =>
  isUtf16(bytes)
    ? "the text is UTF-16; save the file as UTF-8 (iconv -f utf-16 -t utf-8)"
    : "the text is not UTF-8; save the file as UTF-8 (iconv -f latin1 -t utf-8)"

const isPrefix = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}
