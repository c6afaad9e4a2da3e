/**
 * Node 22.19 and 24.0 to 24.6 bind the numbered parameters of SQLite by their position (nodejs/node#59340), so that what
 * runs on a newer Node fails there, or writes one value in the place of another. CI runs the outbox on the lowest Node;
 * this says so on every other.
 */
import { assert, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const sources = fileURLToPath(new URL("../src/", import.meta.url))

it("no statement for SQLite numbers its parameters", () => {
  const files = Fs.readdirSync(sources, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
  assert.isAbove(files.filter((name) => name.toLowerCase().includes("sqlite")).length, 10)
  const numbered = files.filter((name) => /\?[1-9]/.test(Fs.readFileSync(Path.join(sources, name), "utf8")))
  assert.deepStrictEqual(numbered, [])
})
