/**
 * Ledgers of limits that several processes share, and that survive restarts (`LeasedRate`).
 *
 * `FlowTransport` and the outbox's dispatcher keep limits in them. `@mailrace/outbox` has ledgers in Redis (`RedisLedgers`) and in
 * PostgreSQL (`PostgresStore`); whatever has a compare-and-set and a clock can hold them.
 *
 * @since 0.2.0
 */

import type * as Effect from "effect/Effect"

/**
 * A ledger as it is stored.
 *
 * @since 0.2.0
 */
export interface StoredLedger {
  /** The text that was written last; `undefined` for a new ledger. */
  readonly ledger: string | undefined
  /** Counts the changes, from 0. */
  readonly version: number
  /** The store's clock, which all processes share, in milliseconds since 1970. */
  readonly now: number
}

/**
 * The failure of a store.
 *
 * @since 0.2.0
 */
export interface LedgerError {
  readonly message: string
  /** True if waiting may mend it. */
  readonly isRetryable: boolean
}

/**
 * A store of ledgers, by name.
 *
 * @since 0.2.0
 */
export interface Ledgers<E extends LedgerError = LedgerError> {
  readonly read: (name: string) => Effect.Effect<StoredLedger, E>
  /** Writes a ledger that was read at `version`; false if another process has changed it since. */
  readonly write: (name: string, version: number, ledger: string) => Effect.Effect<boolean, E>
}
