/**
 * Recipients that were there before in a run.
 *
 * An address is remembered as a 64-bit hash: a million of them take 17 MB, and the odds that one of a million is taken
 * for another are one in 10^7. Memory is bounded: when `capacity` addresses are remembered, the set becomes the past, a
 * new one begins, and what was past before is forgotten. A list of up to `capacity` addresses is therefore searched
 * whole, and in a longer one a repetition is found if it comes within the last `capacity` addresses.
 */

import * as Effect from "effect/Effect"
import * as AddressSet from "./internal/address/addressSet.ts"
import type * as Screening from "./Screening.ts"

/** How repetitions are looked for. */
export interface Options {
  /** How many addresses are remembered at least, at up to 24 bytes each, twice. From 1; defaults to 5,000,000. */
  readonly capacity?: number | undefined
}

/** Drops recipients that an earlier mail of the run has. Each run of the stream begins anew. */
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
    // Added in any case: what is repeated often is not to be forgotten with the past.
    const isAdded = this.present.add(key)
    if (this.present.size >= this.capacity) {
      this.past = this.present
      this.present = new AddressSet.AddressSet()
    }
    return isNew && isAdded
  }
}
