/** Starts a PostgreSQL server, tells its parent where it is, and stays until it is killed. */
import * as PostgresServer from "../../src/internal/postgresServer.ts"

const server = await PostgresServer.start()
process.send!(server.host)
process.on("message", () => process.exit(0))
