/**
 * Packs contents for their way between threads.
 *
 * A structured clone of bytes copies all of the memory that they are a view of, be it a pool of eight kilobytes or
 * the whole file that an attachment was cut from, and makes an `ArrayBuffer` of each, which costs more than the copy
 * of a message. So small contents travel in one buffer, and each is a view of it on arrival.
 */
import type { Content } from "./storedContent.ts"

/**
 * The size in bytes from which a content travels alone, so that a few late ones do not keep a whole batch in memory.
 */
const travelsAlone = 16_384

/** Contents by their index. */
export interface PackedContents {
  /** Texts and large contents; `undefined` for those in `bytes`. */
  readonly apart: ReadonlyArray<Content | undefined>
  /** The end of each of the others in `bytes`; a content begins where the one before it ends. */
  readonly ends: ReadonlyArray<number>
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Packs contents; copies those that are bytes. */
export const packContents = (contents: ReadonlyArray<Content>): PackedContents => {
  const small: Array<Uint8Array> = []
  const ends: Array<number> = []
  let length = 0
  const apart = contents.map((content) => {
    if (typeof content === "string") return content
    if (content.length >= travelsAlone) return isWhole(content) ? content : new Uint8Array(content)
    small.push(content)
    ends.push((length += content.length))
    return undefined
  })
  const bytes = new Uint8Array(length)
  small.forEach((content, i) => bytes.set(content, i === 0 ? 0 : ends[i - 1]))
  return { apart, ends, bytes }
}

/** Unpacks contents; small ones are views of one buffer. */
export const unpackContents = ({ apart, bytes, ends }: PackedContents): ReadonlyArray<Content> => {
  let next = 0
  return apart.map((content) => content ?? bytes.subarray(next === 0 ? 0 : ends[next - 1], ends[next++]))
}

const isWhole = (content: Uint8Array): boolean => content.byteLength === content.buffer.byteLength
