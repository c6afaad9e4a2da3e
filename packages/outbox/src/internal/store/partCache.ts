/**
 * Caches shared contents by reference, so that a campaign's body leaves the database once and not with each message.
 *
 * A reference never points to another content, so the cache cannot become outdated.
 */
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type { Shared } from "./storedContent.ts"

/** The capacity, in characters or bytes. */
const capacity = 32_000_000

/** A shared content and its reference. */
export interface Part extends Shared {
  readonly ref: number
}

/** Holds the contents that were used last. */
export class PartCache {
  private readonly load: (refs: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<Part>, OutboxError>
  private readonly known = new Map<number, Shared>()
  private size = 0

  constructor(load: PartCache["load"]) {
    this.load = load
  }

  /** Loads the missing contents; the result resolves these references. */
  resolve(
    refs: ReadonlyArray<number>
  ): Effect.Effect<(refs: ReadonlyArray<number>) => ReadonlyArray<Shared>, OutboxError> {
    const wanted = new Map<number, Shared>()
    const missing = new Set<number>()
    for (const ref of refs) {
      const part = this.known.get(ref)
      if (part === undefined) missing.add(ref)
      else wanted.set(ref, part)
    }
    return Effect.map(missing.size === 0 ? Effect.succeed([]) : this.load([...missing]), (parts) => {
      for (const { content, hash, ref } of parts) {
        wanted.set(ref, { content, hash })
        this.keep(ref, { content, hash })
      }
      return (refs) => (refs.length === 0 ? none : refs.flatMap((ref) => wanted.get(ref) ?? []))
    })
  }

  private keep(ref: number, part: Shared): void {
    this.known.set(ref, part)
    this.size += part.content.length
    for (const [oldest, { content }] of this.known) {
      if (this.size <= capacity || oldest === ref) break
      this.known.delete(oldest)
      this.size -= content.length
    }
  }
}

const none: ReadonlyArray<Shared> = []
