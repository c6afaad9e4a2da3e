/** Makes a temporary folder, tells its parent where it is, and stays until it is killed. */
import { writeFileSync } from "node:fs"
import { tempFolder } from "../../src/internal/tempFolder.ts"

const { path } = tempFolder()
writeFileSync(`${path}/outbox.db`, "a file")
process.send!(path)
process.on("message", () => process.exit(0))
