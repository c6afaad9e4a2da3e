import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

const root = new URL("../../../", import.meta.url)
const page = readFileSync(new URL("packages/docs/tracing.md", root), "utf8")
const sources = globSync("packages/{core,smtp,outbox,flow,telemetry}/src/**/*.ts", { cwd: root })
  .map((file) => readFileSync(new URL(file, root), "utf8"))
  .join("\n")

describe("the page on tracing", () => {
  it("names attributes, events and spans that the code writes", () => {
    const attributes = [...page.matchAll(/\b(?:mailrace|messaging|smtp|server)\.[a-z_]+(?:\.[a-z_]+)*(?=[=`])/g)]
    const names = new Set(attributes.map(([name]) => name))
    assert.isAtLeast(names.size, 20)
    const events = [...page.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name]) => name!)
    assert.sameMembers(events, ["composed", "admitted", "leased", "backoff"])
    const unwritten = [...names, ...events, "auth"].filter((name) => !sources.includes(`"${name}"`))
    assert.deepStrictEqual(unwritten, [])
  })
})
