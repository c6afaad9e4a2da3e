/**
 * Translates PostgreSQL's errors into `OutboxError`s.
 *
 * The server's own text is kept, because it names the table, the role or the database. The remedy depends on its
 * SQLSTATE (PostgreSQL, Appendix A) or, if the server was not reached, on the system's error code.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as OutboxError from "../../OutboxError.ts"

/** Translates an SQL error; `store` is the server without its secrets. */
export const toOutboxError = (store: string, error: SqlError): OutboxError.OutboxError =>
  OutboxError.make(reasonOf(store, error))

/**
 * The failure of a transaction, whichever step failed. If the connection is gone and ROLLBACK fails too, the client
 * turns both into defects; it is the same failure and not a bug.
 */
export const withOutboxErrors = <A>(
  store: string,
  transaction: Effect.Effect<A, OutboxError.OutboxError | SqlError>
): Effect.Effect<A, OutboxError.OutboxError> =>
  Effect.catchCause(transaction, (cause) => {
    const errors = cause.reasons.flatMap((reason) => {
      const thrown = Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
      return isSqlError(thrown) ? [toOutboxError(store, thrown)] : OutboxError.isOutboxError(thrown) ? [thrown] : []
    })
    const isExplained = errors.length === cause.reasons.filter((reason) => !Cause.isInterruptReason(reason)).length
    return errors.length > 0 && isExplained ? Effect.fail(errors[0]!) : Effect.failCause(cause as Cause.Cause<never>)
  })

const reasonOf = (store: string, { reason }: SqlError): OutboxError.Reason => {
  const codes = codesOf(reason.cause)
  // A SQLSTATE holds a digit, and EPIPE does not.
  const state = codes.find((code) => /^(?=.*\d)[0-9A-Z]{5}$/.test(code))
  const problem = problemOf(reason)
  const unavailable = (isRetryable: boolean, hint: string | undefined) =>
    new OutboxError.Unavailable({ store, problem, isRetryable, hint })
  if (state === undefined) {
    const system = codes.find((code) => code in systemHints)
    if (system !== undefined) return unavailable(true, systemHints[system])
    const setting = settingHints.find(([fault]) => fault.test(problem))
    if (setting !== undefined) return unavailable(false, setting[1])
    const isLost = reason._tag === "ConnectionError" && /timed out|closed|Socket error/.test(reason.message ?? "")
    return unavailable(isLost, isLost ? serverHint : settingsHint)
  }
  switch (state) {
    case "25006":
      return new OutboxError.ReadOnly({ store, problem, hint: readOnlyHint })
    case "53100":
      return new OutboxError.DiskFull({ store })
    case "55P03":
      return new OutboxError.Locked({ store, waitedMs: 0, problem, hint: lockHint })
    case "XX001":
    case "XX002":
      return new OutboxError.Corrupt({ store, problem, hint: "restore the database from a backup" })
  }
  const hint = hints.find(([prefix]) => state.startsWith(prefix))?.[1]
  return unavailable(isTransientState(state), hint ?? settingsHint)
}

/** The server's own text, or the system's. */
const problemOf = ({ cause, message }: SqlError["reason"]): string => {
  const own = cause instanceof AggregateError ? cause.errors.map((error) => (error as Error).message).join("; ") : ""
  const said = own || (cause instanceof Error ? cause.message : "") || message || "the connection failed"
  return said
    .replace(/^Pg(Connection|Client): /, "")
    .replace(/^Connection closed$/, "the connection was closed")
    .replace(/^No username configured$/, "the connection's settings name no user")
}

/** The codes of an error and of its causes: SQLSTATEs and system codes. */
const codesOf = (error: unknown): ReadonlyArray<string> => {
  if (typeof error !== "object" || error === null) return []
  const { cause, code } = error as { readonly code?: unknown; readonly cause?: unknown }
  const nested = error instanceof AggregateError ? error.errors.flatMap(codesOf) : []
  return [...(typeof code === "string" ? [code] : []), ...nested, ...codesOf(cause)]
}

/**
 * 08: the connection; 25P03, 57P05: it idled; 40: a deadlock; 53: out of resources; 57: cancelled, or the server
 * stops or starts. `57P04`, the database was dropped, needs its owner.
 */
const isTransientState = (state: string): boolean => /^(08|25P03|40|53|57)/.test(state) && state !== "57P04"

const serverHint = "check that the database runs and can be reached; accepted messages are safe"
const settingsHint = "check the connection's settings and the server's log"
const readOnlyHint =
  "connect to the primary and not to a standby, or look for default_transaction_read_only in the settings of the user and the database"
const lockHint = "find the holder of the lock in pg_locks, or raise lock_timeout for this user"

/** Remedies for settings that the client refuses before it connects, by the words of its error. */
const settingHints: ReadonlyArray<readonly [problem: RegExp, hint: string]> = [
  [/settings name no user$/, "name the user, as in postgres://user@host/database, or as `username`"],
  [/percent-encoding in URL/, "percent-encode characters that a URL cannot hold; % itself is %25"],
  [/^Invalid port in URL/, "give a port from 1 to 65535"],
  [/^Invalid connect_timeout in URL/, "give connect_timeout as a whole number of seconds"],
  [/sslmode in URL/, "give sslmode as one of disable, allow, prefer, require, verify-ca and verify-full"],
  [/connection URL protocol/, "begin the URL with postgres://"]
]

/** Remedies by the beginning of the SQLSTATE; the first match counts. */
const hints: ReadonlyArray<readonly [state: string, hint: string]> = [
  ["28", "check the user and the password, and whether the server's pg_hba.conf lets this user in from here"],
  ["3D000", "create the database, or correct its name in the connection's settings"],
  ["57P04", "create the database, or correct its name in the connection's settings"],
  [
    "3F000",
    "create the schema, or let the user's search_path begin with one that exists (ALTER ROLE … SET search_path)"
  ],
  [
    "42501",
    "grant this user CREATE and USAGE on the schema to create the tables or, if they exist, SELECT, INSERT, UPDATE and DELETE on those that begin with mailrace_"
  ],
  ["42P01", "let the user's search_path begin with the schema that holds the tables, or restore them from a backup"],
  ["26000", "set `prepare: false` behind a pooler that moves sessions at each transaction, such as PgBouncer"],
  ["42P05", "set `prepare: false` behind a pooler that moves sessions at each transaction, such as PgBouncer"],
  ["22P05", "create the database with ENCODING 'UTF8'"],
  ["25P03", "raise idle_in_transaction_session_timeout for this user (ALTER ROLE … SET …); accepted messages are safe"],
  ["57P05", "raise idle_session_timeout for this user (ALTER ROLE … SET …); accepted messages are safe"],
  [
    "57014",
    "raise statement_timeout for this user (ALTER ROLE … SET …), or find the statement that keeps the server busy"
  ],
  [
    "53300",
    "raise max_connections (or the role's CONNECTION LIMIT), or open fewer connections from each process (`maxConnections`)"
  ],
  ["53200", "give the server more memory, or open fewer connections"],
  ["08", serverHint],
  ["53", serverHint],
  ["57", serverHint],
  ["40", "try again; another transaction held these rows"]
]

/** Remedies if the server was not reached. */
const systemHints: { readonly [code: string]: string } = {
  ECONNREFUSED: "check that PostgreSQL runs and listens at this host and port; accepted messages are safe",
  ENOENT: "check that PostgreSQL runs and has its socket in this folder; accepted messages are safe",
  EACCES: "let this user open the server's socket, or connect by TCP",
  ENOTFOUND: "check the host's name in the connection's settings",
  EAI_AGAIN: "check the host's name and the name server",
  ECONNRESET: serverHint,
  EPIPE: serverHint,
  ETIMEDOUT: "check the host, the port and the firewall between here and there",
  EHOSTUNREACH: "check the host, the port and the firewall between here and there",
  ENETUNREACH: "check the host, the port and the firewall between here and there"
}
