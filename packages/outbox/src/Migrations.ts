/**
 * The tables, as steps from one version to the next.
 *
 * The database stores the version. A step is applied once, in a transaction with the new version, and is never edited
 * after a release: a change is another step. A database that is newer than this list is refused unchanged.
 *
 * In PostgreSQL the names begin with `mailrace_`.
 *
 * - `outbox` holds the state of each message. `state` and `priority` are indexes in `OutboxEntry.states` and
 *   `priorities`, times are milliseconds since 1970, and `retried_at` is the number of attempts already made when a
 *   retry was last requested. `watched` is 1 for a message that a process had claimed when it ended, and 2 once its
 *   attempt begins again; `crashes` counts the processes that ended on a 2.
 * - `outbox_body` holds the content apart from the state: the state changes several times a message, and a row with
 *   its body costs 1.65 times as much to change. `format` names the packing of the payload, `shared` lists the
 *   contents that it refers to.
 * - `outbox_shared` holds each body and attachment that many messages share, once, with the number of references to
 *   it.
 * - `attempt` holds each attempt that did not end in acceptance.
 * - `outbox_rate` holds the ledgers of limits that several dispatchers share or that count by the hour or day.
 * - `outbox_tally` counts by tenant and state, so that caps and statistics never count rows.
 *
 * The indexes are partial, so that a settled message costs the queue nothing.
 *
 * @since 0.1.0
 */

/**
 * One step: the statements that lead to `version`.
 *
 * @since 0.1.0
 */
export interface Migration {
  readonly version: number
  readonly sql: string
}

/**
 * SQLite's steps; `PRAGMA user_version` holds the version.
 *
 * @since 0.1.0
 */
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
  },
  {
    version: 2,
    sql: `
ALTER TABLE outbox ADD COLUMN watched INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
`
  },
  {
    // A Message-ID of the outbox contains the id. Stored without it, a message takes 22 bytes less.
    version: 3,
    sql: `
ALTER TABLE outbox RENAME COLUMN message_id TO stored_message_id;
ALTER TABLE outbox ADD COLUMN message_id TEXT AS (
  CASE WHEN stored_message_id GLOB '<@*' THEN '<' || id || substr(stored_message_id, 2) ELSE stored_message_id END);
`
  },
  {
    // Housekeeping looks for overdue messages each minute, and must not read every waiting message.
    version: 4,
    sql: "CREATE INDEX IF NOT EXISTS outbox_overdue ON outbox (expires_at) WHERE state = 0;"
  },
  {
    version: 5,
    sql: `
CREATE TABLE outbox_rate (name TEXT PRIMARY KEY, version INTEGER NOT NULL, ledger TEXT NOT NULL) WITHOUT ROWID;
`
  },
  {
    // The column reserves the space that the outcome needs later: a page whose rows all grow when they are settled is
    // split.
    version: 6,
    sql: "ALTER TABLE outbox ADD COLUMN room BLOB;"
  }
]

/**
 * PostgreSQL's steps; `mailrace_meta` holds the version. Besides the tables that both databases have:
 * - `mailrace_bucket` says which dispatcher owns which bucket (none after one has left it in good order), and counts its owners
 *   (`epoch`).
 * - `mailrace_dispatcher` holds a row for each dispatcher, renewed with each beat.
 * - `mailrace_tally` and `mailrace_shared_use` only ever gain rows, which housekeeping adds up: a counter that everybody
 *   updates would make every transaction that enqueues wait for every other.
 * - Payloads arrive compressed, so PostgreSQL does not try again.
 * - Rows change several times in their life, so vacuum comes at 2 % of dead rows, not at 20 %.
 *
 * @since 0.1.0
 */
export const postgres: ReadonlyArray<Migration> = [
  {
    version: 1,
    sql: `
CREATE TABLE mailrace_outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text COLLATE "C" NOT NULL UNIQUE,
  tenant text NOT NULL,
  idem_key text,
  lane text COLLATE "C" NOT NULL,
  bucket smallint NOT NULL,
  priority smallint NOT NULL,
  state smallint NOT NULL,
  attempts integer NOT NULL,
  retried_at integer NOT NULL,
  epoch bigint NOT NULL,
  due_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  recipient text NOT NULL,
  message_id text NOT NULL,
  size integer NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  settled_at bigint,
  trace text,
  recipients text,
  last_relay text,
  last_code integer,
  last_enhanced text,
  last_reply text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
CREATE UNIQUE INDEX mailrace_outbox_key ON mailrace_outbox (tenant, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX mailrace_outbox_due ON mailrace_outbox (bucket, lane, priority, due_at, seq) WHERE state = 0;
CREATE INDEX mailrace_outbox_claimed ON mailrace_outbox (bucket) WHERE state = 1;
CREATE INDEX mailrace_outbox_settled ON mailrace_outbox (state, settled_at, seq) WHERE state > 1;
CREATE TABLE mailrace_body (
  seq bigint PRIMARY KEY,
  format smallint NOT NULL,
  envelope text,
  shared text,
  payload bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE mailrace_body ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE mailrace_shared (
  ref bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash text COLLATE "C" NOT NULL UNIQUE,
  format smallint NOT NULL,
  payload bytea NOT NULL,
  refs bigint NOT NULL,
  used_at bigint NOT NULL
);
ALTER TABLE mailrace_shared ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE mailrace_shared_use (ref bigint NOT NULL, uses bigint NOT NULL);
CREATE TABLE mailrace_attempt (
  seq bigint NOT NULL,
  attempt_no integer NOT NULL,
  at bigint NOT NULL,
  outcome text NOT NULL,
  relay text,
  code integer,
  enhanced text,
  reply text,
  PRIMARY KEY (seq, attempt_no)
);
CREATE TABLE mailrace_tally (
  tenant text NOT NULL,
  state smallint NOT NULL,
  mails bigint NOT NULL,
  bytes bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE mailrace_lane (lane text COLLATE "C" PRIMARY KEY, paused_at bigint NOT NULL);
CREATE TABLE mailrace_bucket (bucket smallint PRIMARY KEY, owner text, epoch bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO mailrace_bucket (bucket, owner, epoch) SELECT bucket, NULL, 0 FROM generate_series(0, 63) AS bucket;
`
  },
  {
    version: 2,
    sql: `
ALTER TABLE mailrace_outbox ADD COLUMN watched smallint NOT NULL DEFAULT 0,
  ADD COLUMN crashes integer NOT NULL DEFAULT 0;
`
  },
  {
    version: 3,
    sql: "CREATE INDEX IF NOT EXISTS mailrace_outbox_overdue ON mailrace_outbox (expires_at, seq) WHERE state = 0"
  },
  {
    // 1,024 buckets instead of 64; waiting rows follow as dispatchers come upon them. Epochs go on from the highest, as
    // rows change their bucket. The names of earlier dispatchers contain spaces, so the check keeps a dispatcher that
    // started before this step from taking buckets, and its name gives the reason.
    version: 4,
    sql: `
CREATE TABLE IF NOT EXISTS mailrace_dispatcher (
  id text COLLATE "C" PRIMARY KEY,
  since bigint NOT NULL,
  beat_at bigint NOT NULL,
  lease bigint NOT NULL,
  in_flight integer NOT NULL
) WITH (fillfactor = 50);
INSERT INTO mailrace_bucket (bucket, owner, epoch) SELECT bucket, NULL, 0 FROM generate_series(64, 1023) AS bucket
  ON CONFLICT DO NOTHING;
UPDATE mailrace_bucket SET owner = NULL, epoch = (SELECT max(epoch) + 1 FROM mailrace_bucket);
ALTER TABLE mailrace_bucket DROP CONSTRAINT IF EXISTS mailrace_upgrade_this_dispatcher;
ALTER TABLE mailrace_bucket ADD CONSTRAINT mailrace_upgrade_this_dispatcher CHECK (owner NOT LIKE '% %');
`
  },
  {
    version: 5,
    sql: `
CREATE TABLE IF NOT EXISTS mailrace_rate (
  name text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  ledger text NOT NULL
) WITH (fillfactor = 50);
`
  }
]

/**
 * The version that a list of steps leads to.
 *
 * @since 0.1.0
 */
export const latest = (migrations: ReadonlyArray<Migration>): number => migrations.at(-1)?.version ?? 0
