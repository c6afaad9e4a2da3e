/**
 * The tables, as steps from one version to the next.
 *
 * The version is kept in the database. A step is applied once, in a transaction with the new version, and is never
 * edited after a release: a change is another step. A database that is ahead of this list is refused unchanged.
 *
 * - `outbox` holds where each mail stands. `state` and `priority` are places in `OutboxEntry.states` and `priorities`,
 *   times are milliseconds since 1970, `retried_at` is how many attempts were behind the mail when it was last retried
 *   by hand.
 * - `outbox_body` holds what is sent, apart: states change several times a mail, and a row that carries its body costs
 *   1.65 times as much to change. `format` says how the payload is packed, `shared` lists what it refers to.
 * - `outbox_shared` holds bodies and attachments that many mails have in common, once, with how many refer to them.
 * - `attempt` holds each attempt that did not end in acceptance.
 * - `outbox_tally` counts by tenant and state, so that caps and statistics never count rows.
 *
 * The indexes are partial, so that a mail that is settled costs the queue nothing.
 */

/** One step: the statements that lead to `version`. */
export interface Migration {
  readonly version: number
  readonly sql: string
}

/** SQLite's steps; `PRAGMA user_version` holds the version. */
export const sqlite: ReadonlyArray<Migration> = [
  {
    version: 1,
    sql: `
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  idem_key TEXT,
  lane TEXT NOT NULL,
  bucket INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  retried_at INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  recipient TEXT NOT NULL,
  message_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  settled_at INTEGER,
  trace TEXT,
  recipients TEXT,
  last_relay TEXT,
  last_code INTEGER,
  last_enhanced TEXT,
  last_reply TEXT
);
CREATE UNIQUE INDEX outbox_key ON outbox (tenant, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX outbox_due ON outbox (bucket, lane, priority, due_at, seq) WHERE state = 0;
CREATE INDEX outbox_claimed ON outbox (bucket) WHERE state = 1;
CREATE INDEX outbox_settled ON outbox (state, settled_at, seq) WHERE state > 1;
CREATE TABLE outbox_body (
  seq INTEGER PRIMARY KEY,
  format INTEGER NOT NULL,
  envelope TEXT,
  shared TEXT,
  payload
);
CREATE TABLE outbox_shared (
  ref INTEGER PRIMARY KEY AUTOINCREMENT,
  hash TEXT NOT NULL UNIQUE,
  format INTEGER NOT NULL,
  payload,
  refs INTEGER NOT NULL
);
CREATE INDEX outbox_unused ON outbox_shared (ref) WHERE refs <= 0;
CREATE TABLE attempt (
  seq INTEGER NOT NULL,
  attempt_no INTEGER NOT NULL,
  at INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  relay TEXT,
  code INTEGER,
  enhanced TEXT,
  reply TEXT,
  PRIMARY KEY (seq, attempt_no)
) WITHOUT ROWID;
CREATE TABLE outbox_tally (
  tenant TEXT NOT NULL,
  state INTEGER NOT NULL,
  mails INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (tenant, state)
) WITHOUT ROWID;
CREATE TABLE outbox_lane (lane TEXT PRIMARY KEY, paused_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`
  }
]

/** The version that a list of steps leads to. */
export const latest = (migrations: ReadonlyArray<Migration>): number => migrations.at(-1)?.version ?? 0
