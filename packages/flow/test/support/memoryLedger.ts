/**
 * A ledger in memory, in the place of a store that several processes share.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Ledgers, StoredLedger } from "../../src/Ledgers.ts"

/** One ledger, whatever its name, and how often it was read. */
export class MemoryLedger implements Ledgers {
  reads = 0
  stored: string | undefined
  private version = 0

  readonly read = (_name: string): Effect.Effect<StoredLedger> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      this.reads++
      return { ledger: this.stored, version: this.version, now }
    })

  readonly write = (_: string, version: number, ledger: string): Effect.Effect<boolean> =>
    Effect.sync(() => {
      if (version !== this.version) return false
      this.version++
      this.stored = ledger
      return true
    })
}
