/**
 * Databases on a server that a test file shares.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as PostgresStore from "../../src/PostgresStore.ts"
import type { Fresh } from "./bench.ts"
import type { PostgresServer } from "./postgresServer.ts"

let databases = 0

/** A new database; gives its name. */
export const database = (server: PostgresServer) =>
  Effect.gen(function* () {
    const name = `d${++databases}`
    const client = yield* connect(server, "postgres", timeless)
    yield* client.unsafe(`CREATE DATABASE ${name}`).pipe(Effect.withTracerEnabled(false))
    return name
  }).pipe(Effect.scoped)

/** A client of a database. */
export const connect = (
  server: PostgresServer,
  name: string,
  config?: PgClient.PgPoolConfig
): Effect.Effect<PgClient.PgClient, unknown, Scope.Scope> =>
  Effect.map(
    Layer.build(
      PgClient.layer({ host: server.host, port: server.port, database: name, username: "postgres", ...config })
    ),
    (context) => Context.get(context, PgClient.PgClient)
  )

/** Opens a store on a database, with a pool of its own. */
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

/** A database for each test. */
export const fresh =
  (server: Effect.Effect<PostgresServer, unknown>): Fresh =>
  (caps) =>
    Effect.flatMap(server, (server) =>
      Effect.map(database(server), (name) => open(server, name, { caps, heartbeat: "1000 days" }, timeless))
    )
