/**
 * The stored form of a payload: text or bytes, compressed with zstd (RFC 8878) if that pays.
 *
 * The threshold was measured on JSON messages with HTML, level 1: whatever the size, a call costs about 20 µs, and another
 * 15 µs on the way back, several times the insert of its row. 1 KB shrinks to 0.48 of its size, 4 KB to 0.37, 50 KB to
 * 0.09. From 4 KB on, the smaller writes and log are worth more than that; level 3 gained nothing.
 */
import { zstdCompressSync, zstdDecompressSync, constants } from "node:zlib"

/** Text (JSON) or bytes (a composed message, an attachment). */
export type Content = string | Uint8Array

/** A content that several messages may share, under the SHA-256 of its kind and bytes, in hex. */
export interface Shared {
  readonly hash: string
  readonly content: Content
}

/** A stored content. */
export interface Stored {
  readonly format: number
  readonly data: Content
}

/** The default size from which a content is compressed. */
export const defaultThreshold = 4096

const bytesFlag = 1
const zstdFlag = 2

const level1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** Packs a content; `threshold` is in characters or bytes, `Infinity` for never. */
export const pack = (content: Content, threshold: number): Stored => {
  const kind = typeof content === "string" ? 0 : bytesFlag
  if (content.length < threshold) return { format: kind, data: content }
  const raw = typeof content === "string" ? Buffer.from(content) : content
  const packed = zstdCompressSync(raw, level1)
  return packed.length < raw.length * 0.9 ? { format: kind | zstdFlag, data: packed } : { format: kind, data: content }
}

/** Unpacks a content; `data` may come back as bytes although text went in. */
export const unpack = (stored: Stored): Content => {
  const { data, format } = stored
  const raw = format & zstdFlag ? zstdDecompressSync(data as Uint8Array) : data
  if (format & bytesFlag) return raw
  return typeof raw === "string" ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString()
}
