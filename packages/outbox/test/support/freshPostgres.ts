/**
 * Places for outboxes on a server that a test file shares.
 *
 * Each is a schema with a user of the same name, in whose `search_path` it is the first: it costs a few milliseconds where
 * a database costs a hundred.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as PostgresStore from "../../src/PostgresStore.ts"
import type { Fresh } from "./fixtures.ts"
import type { PostgresServer } from "./postgresServer.ts"

let schemas = 0

/** A new schema; gives its name and its user's. */
export const schema = (server: PostgresServer) =>
  Effect.gen(function* () {
    const name = `s${++schemas}`
    const client = yield* connect(server, "postgres", timeless)
    yield* client.unsafe(`CREATE ROLE ${name} SUPERUSER LOGIN`).pipe(Effect.withTracerEnabled(false))
    yield* client.unsafe(`CREATE SCHEMA ${name}`).pipe(Effect.withTracerEnabled(false))
    return name
  }).pipe(Effect.scoped)

/** How to reach a schema. */
export const place = (server: PostgresServer, name: string) => ({
  host: server.host,
  port: server.port,
  database: "postgres",
  username: name
})

/** A client of a schema. */
export const connect = (
  server: PostgresServer,
  name: string,
  config?: PgClient.PgPoolConfig
): Effect.Effect<PgClient.PgClient, unknown, Scope.Scope> =>
  Effect.map(Layer.build(PgClient.layer({ ...place(server, name), ...config })), (context) =>
    Context.get(context, PgClient.PgClient)
  )

/** Opens a store in a schema, with a pool of its own. */
export const open = (
  server: PostgresServer,
  name: string,
  options?: PostgresStore.Options,
  config?: PgClient.PgPoolConfig
) =>
  Effect.flatMap(connect(server, name, config), (client) =>
    Effect.provideService(PostgresStore.make(options), PgClient.PgClient, client)
  )

/** On a clock that jumps by hours, nothing that is timed in seconds may happen between us and the server. */
const timeless = { connectTimeout: "1000 days", idleTimeout: "1000 days" } as const

/** A schema for each test. */
export const fresh =
  (server: Effect.Effect<PostgresServer, unknown>): Fresh =>
  (caps) =>
    Effect.flatMap(server, (server) =>
      Effect.map(schema(server), (name) => open(server, name, { caps, heartbeat: "1000 days" }, timeless))
    )
