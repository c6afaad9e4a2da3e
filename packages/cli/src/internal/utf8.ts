/**
 * UTF-8 that is refused when it is not, instead of being mended with replacement characters nobody asked for.
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

/** The character, from 1, at which bytes that are not UTF-8 go wrong. */
export const firstBadColumn = (bytes: Uint8Array): number => {
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

/** What to say of bytes that are not UTF-8. */
export const problem = "the text is not UTF-8; save the file as UTF-8 (iconv -f latin1 -t utf-8)"

const isPrefix = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}
