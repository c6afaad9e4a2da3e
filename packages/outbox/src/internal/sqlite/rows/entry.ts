/**
 * A row as the SQLite thread returns it for reading: a list of values, at half of the cost of an object.
 */
import type { EntryRow } from "../../store/queries.ts"

/** The values, in the order of `names`. */
export type SqliteEntry = ReadonlyArray<string | number | null>

const names: ReadonlyArray<keyof EntryRow> = [
  "seq",
  "id",
  "state",
  "tenant",
  "idem_key",
  "lane",
  "priority",
  "recipient",
  "recipients",
  "message_id",
  "attempts",
  "crashes",
  "watched",
  "due_at",
  "expires_at",
  "created_at",
  "updated_at",
  "settled_at",
  "size",
  "last_relay",
  "last_code",
  "last_enhanced",
  "last_reply",
  "trace"
]

/** The values as columns of `outbox`. */
export const entryColumns = names.join(", ")

/** The values with their names. */
export const toEntryRow = (values: SqliteEntry): EntryRow =>
  Object.fromEntries(names.map((name, i) => [name, values[i]])) as unknown as EntryRow
