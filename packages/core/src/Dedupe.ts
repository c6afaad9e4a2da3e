/**
 * Finds recipients that an earlier mail of the same run already had.
 *
 * An address is remembered as a 64-bit hash: a million of them take 17 MB, and the odds that one of a million is mistaken
 * for another are one in 10^7. Memory is bounded: when a set holds `capacity` addresses, it becomes the previous set, a new
 * one begins, and the older one is forgotten. A list of up to `capacity` addresses is therefore searched whole. In a longer
 * list, a repetition is found within the last `capacity` addresses.
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as AddressSet from "./internal/address/addressSet.ts"
import type * as Screening from "./Screening.ts"

/**
 * The options of the search.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The least number of addresses to remember, at up to 24 bytes each, twice. From 1; defaults to 5,000,000. */
  readonly capacity?: number | undefined
}

/**
 * Drops recipients that an earlier mail of the run already had. Each run of the stream begins anew.
 *
 * @since 0.1.0
 */
export const check = (options: Options = {}): Screening.Check => ({
  kind: "duplicate",
  start: Effect.sync(() => {
    const memory = new Memory(Math.max(1, options.capacity ?? 5_000_000))
    return (addresses) =>
      Effect.sync(() => addresses.map((address) => (memory.isNew(AddressSet.keyOf(address)) ? undefined : repeated)))
  })
})

const repeated: Screening.Verdict = { action: "drop", detail: "an earlier mail of this run is for the same address" }

class Memory {
  private readonly capacity: number
  private present = new AddressSet.AddressSet()
  private past = new AddressSet.AddressSet()

  constructor(capacity: number) {
    this.capacity = capacity
  }

  isNew(key: string): boolean {
    const isNew = !this.past.has(key)
    // Added in any case, so that a frequent address is not forgotten with the previous set.
    const isAdded = this.present.add(key)
    if (this.present.size >= this.capacity) {
      this.past = this.present
      this.present = new AddressSet.AddressSet()
    }
    return isNew && isAdded
  }
}
