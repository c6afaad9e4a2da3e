/**
 * Outboxes that an older version wrote, put back as they were.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as Outbox from "../../src/Outbox.ts"
import type { Attempt, Entry } from "../../src/OutboxEntry.ts"
import type { PostgresServer } from "./postgresServer.ts"
import { tempFolder } from "./tempFolder.ts"

/** A row as the older version showed it, with its dates as text. */
export interface Shown {
  readonly entry: { readonly [field in keyof Entry]: unknown } & Pick<Entry, "id" | "recipient" | "messageId">
  readonly attempts: ReadonlyArray<{ readonly [field in keyof Attempt]: unknown }>
}

const read = (name: string): string => Fs.readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8")

/** How a version showed the rows that it left. */
export const shown = (name: string): ReadonlyArray<Shown> =>
  read(`${name}.ndjson`)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

/** A file with a version's dump in it. */
export const sqlite = (version: string) =>
  Effect.map(tempFolder, (folder) => {
    const path = `${folder}/outbox.db`
    const database = new DatabaseSync(path)
    database.exec(read(`${version}.sqlite.sql`))
    database.close()
    return Outbox.layerSqlite(path)
  })

let databases = 0

/** A database with a version's dump in it. */
export const postgres = (server: PostgresServer, version: string) =>
  Effect.map(postgresPlace(server, version), (place) => Outbox.layerPostgres(place))

/** How to reach a database with a version's dump in it. */
export const postgresPlace = (server: PostgresServer, version: string) =>
  Effect.gen(function* () {
    const place = { host: server.host, port: server.port, username: "postgres" }
    const database = `kept${++databases}`
    yield* statements({ ...place, database: "postgres" }, [`CREATE DATABASE ${database}`])
    // Lines that begin with a backslash are for psql.
    const dump = read(`${version}.postgres.sql`).replace(/^(--|\\).*$/gm, "")
    yield* statements({ ...place, database }, dump.split(/;\n/))
    return { ...place, database }
  })

/** Runs statements on one connection of its own: a dump changes the settings of its session. */
const statements = (
  config: PgClient.PgPoolConfig,
  list: ReadonlyArray<string>
): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* PgClient.PgClient
    for (const statement of list) if (statement.trim() !== "") yield* client.unsafe(statement)
  }).pipe(Effect.provide(PgClient.layer({ ...config, maxConnections: 1 })), Effect.scoped)
