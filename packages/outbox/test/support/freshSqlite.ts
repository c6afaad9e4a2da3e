/**
 * A file for each test.
 */
import * as Effect from "effect/Effect"
import * as SqliteStore from "../../src/SqliteStore.ts"
import type { Fresh } from "./fixtures.ts"
import { tempFolder } from "./tempFolder.ts"

/** A file in a folder of its own, opened as often as wanted. */
export const fresh: Fresh = (caps) =>
  Effect.map(tempFolder, (folder) => SqliteStore.make({ path: `${folder}/outbox.db`, caps }))
