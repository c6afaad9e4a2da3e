/**
 * One server for the tests of a file.
 */
import { afterAll, beforeAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as PostgresServer from "./postgresServer.ts"

/** Starts a server before the file's tests and stops it behind them. */
export const shared = (): Effect.Effect<PostgresServer.PostgresServer> => {
  const scope = Scope.makeUnsafe()
  let server: PostgresServer.PostgresServer | undefined
  beforeAll(async () => {
    server = await Effect.runPromise(Scope.provide(PostgresServer.make, scope))
  }, 30_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 30_000)
  return Effect.sync(() => server!)
}
