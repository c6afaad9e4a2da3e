/**
 * Runs statements on the outbox's PostgreSQL client: parameters as columns, rows as plain values, errors as
 * `OutboxError`s.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import type { OutboxError } from "../../OutboxError.ts"
import { withOutboxErrors, toOutboxError } from "./error.ts"
import type { Content } from "../store/storedContent.ts"

/** A client and its name in error texts. */
export interface PostgresSession {
  readonly client: PgClient
  readonly name: string
  /**
   * Runs one statement, in the transaction of the calling fiber if there is one. Whole numbers come back as numbers when
   * the statement casts them to `float8`, which holds every time and every count exactly.
   */
  readonly rows: <A>(sql: string, values?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<A>, OutboxError>
  /**
   * Runs one statement and returns each row as a tuple of its columns. The client builds no object with a property for each
   * column, which for rows with many columns costs as much as reading them.
   */
  readonly tuples: <A extends ReadonlyArray<unknown>>(
    sql: string,
    values?: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<A>, OutboxError>
  /** Runs several statements as one transaction. */
  readonly transaction: <A>(effect: Effect.Effect<A, OutboxError>) => Effect.Effect<A, OutboxError>
}

/** A session over a client. */
export const make = (client: PgClient, name: string): PostgresSession => {
  // A span for each statement would bury the spans of the messages.
  const run = <A>(statement: Effect.Effect<ReadonlyArray<unknown>, SqlError>) =>
    Effect.withTracerEnabled(
      Effect.mapError(statement as Effect.Effect<ReadonlyArray<A>, SqlError>, (error) => toOutboxError(name, error)),
      false
    )
  return {
    client,
    name,
    rows: <A>(sql: string, values: ReadonlyArray<unknown> = []) => run<A>(client.unsafe(sql, values).withoutTransform),
    tuples: <A>(sql: string, values: ReadonlyArray<unknown> = []) => run<A>(client.unsafe(sql, values).values),
    transaction: (effect) => Effect.withTracerEnabled(withOutboxErrors(name, client.withTransaction(effect)), false)
  }
}

/**
 * Restricts the planner of this transaction to index walks, for statements that go through a table page by page. Before the
 * tables are analysed for the first time, as after a bulk load, the planner takes them for nearly empty, and would collect
 * and sort all remaining rows for each page: with 100,000 messages, 14 ms a page instead of 0.3.
 */
export const walkIndexes = (session: PostgresSession): Effect.Effect<void, OutboxError> =>
  Effect.asVoid(
    session.rows("SELECT set_config(name, 'off', true) FROM unnest($1::text[]) AS name", [
      texts(["enable_bitmapscan", "enable_seqscan", "enable_sort"])
    ])
  )

/** A column of texts; `undefined` is NULL. */
export const texts = (values: ReadonlyArray<string | undefined>) => column(values.map(storable), PgTypes.OID.text)

/** A column of whole numbers within 32 bits. */
export const integers = (values: ReadonlyArray<number | undefined>) =>
  column(
    values.map((value) => value ?? null),
    PgTypes.OID.int4
  )

/** A column of whole numbers within 53 bits; the statement casts them to `bigint`. */
export const numbers = (values: ReadonlyArray<number | undefined>) =>
  column(
    values.map((value) => value ?? null),
    PgTypes.OID.float8
  )

/** A column of contents as bytes. */
export const contents = (values: ReadonlyArray<Content>) =>
  column(
    values.map((value) => (typeof value === "string" ? Buffer.from(value) : value)),
    PgTypes.OID.bytea
  )

/** One whole number within 32 bits. */
export const integer = PgTypes.int4

/** One number within 53 bits. */
export const number = PgTypes.float8

/** One text; `undefined` is NULL. */
export const text = (value: string | undefined) => PgTypes.text(storable(value))

/** PostgreSQL stores no NUL. */
const storable = (value: string | undefined): string | null =>
  value?.includes("\0") ? value.replaceAll("\0", "") : (value ?? null)

const column = (values: ReadonlyArray<unknown>, oid: number): PgTypes.Parameter =>
  Result.getOrThrow(PgTypes.array(values, oid))
