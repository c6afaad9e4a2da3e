import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Outbox from "../src/Outbox.ts"
import { suite } from "./support/conformance.ts"
import { tempFolder } from "./support/tempFolder.ts"

suite("SqliteStore", (options) =>
  Layer.unwrap(Effect.map(tempFolder, (folder) => Outbox.layerSqlite({ ...options, path: `${folder}/outbox.db` })))
)
