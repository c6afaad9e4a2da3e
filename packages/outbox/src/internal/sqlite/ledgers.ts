/**
 * Reads and writes the ledgers of limits in a SQLite file.
 */
import type { StatementSync } from "node:sqlite"
import type { StoredLedger } from "../../OutboxStore.ts"
import type { SqliteDatabase } from "./file/database.ts"

/** The ledgers of limits. */
export class SqliteLedgers {
  private readonly database: SqliteDatabase
  private readonly find: StatementSync
  private readonly create: StatementSync
  private readonly change: StatementSync

  constructor(database: SqliteDatabase) {
    this.database = database
    this.find = database.prepare("SELECT version, ledger FROM outbox_rate WHERE name = ?")
    this.create = database.prepare(
      "INSERT INTO outbox_rate (name, version, ledger) VALUES (?, 1, ?) ON CONFLICT DO NOTHING"
    )
    this.change = database.prepare(
      "UPDATE outbox_rate SET version = version + 1, ledger = ? WHERE name = ? AND version = ?"
    )
  }

  read(name: string): StoredLedger {
    const row = this.find.get(name) as { readonly version: number; readonly ledger: string } | undefined
    return { ledger: row?.ledger, version: row?.version ?? 0, now: Date.now() }
  }

  /** Writes a ledger that was read at `version`; false if it has changed since. */
  write(name: string, version: number, ledger: string): boolean {
    let isWritten = false
    this.database.transaction(() => {
      const { changes } = version === 0 ? this.create.run(name, ledger) : this.change.run(ledger, name, version)
      isWritten = Number(changes) === 1
    })
    return isWritten
  }
}
