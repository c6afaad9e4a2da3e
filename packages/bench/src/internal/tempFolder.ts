/**
 * A folder for the files of a contestant, on the disk that temporary files are on. It goes with the process at the latest.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A folder of its own. */
export interface TempFolder {
  readonly path: string
  readonly remove: () => void
}

/** Makes one. */
export const tempFolder = (): TempFolder => {
  const path = mkdtempSync(join(tmpdir(), "mailrace-bench-"))
  const remove = () => rmSync(path, { recursive: true, force: true })
  process.once("exit", remove)
  return { path, remove }
}
