/**
 * Reads and writes the ledgers of limits in PostgreSQL.
 */
import * as Effect from "effect/Effect"
import type { OutboxError } from "../../OutboxError.ts"
import type { Ledgers, StoredLedger } from "../../OutboxStore.ts"
import { number, type PostgresSession } from "./session.ts"
import * as Sql from "./sql/ledgers.ts"

/** The ledgers of limits. */
export const make = (session: PostgresSession): Ledgers => ({
  read: (name): Effect.Effect<StoredLedger, OutboxError> =>
    Effect.map(
      session.rows<{ readonly version: number; readonly ledger: string | null; readonly now: number }>(Sql.read, [
        name
      ]),
      ([row]) => ({ ledger: row!.ledger ?? undefined, version: row!.version, now: row!.now })
    ),
  write: (name, version, ledger) =>
    Effect.map(
      version === 0
        ? session.rows(Sql.create, [name, ledger])
        : session.rows(Sql.change, [name, number(version), ledger]),
      (rows) => rows.length === 1
    )
})
