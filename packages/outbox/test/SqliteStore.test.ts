import * as Effect from "effect/Effect"
import * as SqliteStore from "../src/SqliteStore.ts"
import { suite } from "./support/conformance.ts"
import { tempFolder } from "./support/tempFolder.ts"

suite("SqliteStore", (caps) =>
  Effect.map(tempFolder, (folder) => SqliteStore.make({ path: `${folder}/outbox.db`, caps }))
)
