import { suite } from "./support/conformance.ts"
import { fresh } from "./support/freshSqlite.ts"

suite("SqliteStore", fresh)
