import { afterAll, beforeAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { suite } from "./support/conformance.ts"
import { fresh } from "./support/freshPostgres.ts"
import * as PostgresServer from "./support/postgresServer.ts"

const scope = Scope.makeUnsafe()
let server: PostgresServer.PostgresServer

beforeAll(async () => {
  server = await Effect.runPromise(Scope.provide(PostgresServer.make, scope))
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

suite("PostgresStore", fresh(Effect.sync(() => server)))
