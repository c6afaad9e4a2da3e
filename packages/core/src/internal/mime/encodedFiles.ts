/**
 * Files in base64 that several messages attach, kept so that they are read and encoded once.
 *
 * A file is known by its device, inode, size and time of change. It is kept from the second time on that it is asked for,
 * so that a run in which each message has a file of its own keeps none. All that is kept is bounded; what was not used for
 * longest goes first.
 */

/** The most that is kept of all files, in bytes of base64. */
export const maxBytes = 64 * 1024 * 1024

/** How many files are remembered that were asked for once. */
const maxSeen = 1000

/** The bytes kept of a file while a message reads it. */
export interface Recording {
  readonly add: (chunk: Uint8Array) => void
  /** The file was read to its end. */
  readonly end: () => void
  /** The file was not read to its end. Nothing happens after `end`. */
  readonly abandon: () => void
}

/** Encoded files by their identity. */
export class EncodedFiles {
  private readonly files = new Map<string, { readonly chunks: ReadonlyArray<Uint8Array>; readonly bytes: number }>()
  private readonly seen = new Set<string>()
  private readonly recorded = new Set<string>()
  private total = 0

  /** How many bytes are kept. */
  get bytes(): number {
    return this.total
  }

  /** The chunks of a file, `undefined` if it is not kept. */
  get(identity: string): ReadonlyArray<Uint8Array> | undefined {
    const found = this.files.get(identity)
    if (found === undefined) return undefined
    this.files.delete(identity)
    this.files.set(identity, found)
    return found.chunks
  }

  /** Keeps what a message is about to read; `undefined` if it is too large, is asked for the first time, or is recorded. */
  record(identity: string, encodedBytes: number): Recording | undefined {
    if (encodedBytes > maxBytes || this.recorded.has(identity)) return undefined
    if (!this.seen.has(identity)) {
      if (this.seen.size >= maxSeen) this.seen.clear()
      this.seen.add(identity)
      return undefined
    }
    this.recorded.add(identity)
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    return {
      add: (chunk) => {
        chunks.push(chunk)
        bytes += chunk.length
      },
      end: () => {
        if (this.recorded.delete(identity)) this.keep(identity, chunks, bytes)
      },
      abandon: () => {
        this.recorded.delete(identity)
      }
    }
  }

  private keep(identity: string, chunks: ReadonlyArray<Uint8Array>, bytes: number): void {
    for (const [oldest, file] of this.files) {
      if (this.total + bytes <= maxBytes) break
      this.files.delete(oldest)
      this.total -= file.bytes
    }
    this.files.set(identity, { chunks, bytes })
    this.total += bytes
  }
}
