import { suite } from "./support/conformance.ts"
import { fresh } from "./support/freshPostgres.ts"
import { shared } from "./support/sharedPostgres.ts"

suite("PostgresStore", fresh(shared()))
