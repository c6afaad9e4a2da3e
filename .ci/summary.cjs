/**
 * Adds up the parts of `.ci/run`: `node .ci/summary.cjs FOLDER [FAILED-CHECK...]`. For each part the folder holds
 * `NAME.status`, its exit status, and `NAME.json`, Vitest's report, unless it ended before that.
 */
const { existsSync, readdirSync, readFileSync } = require("node:fs")
const { join } = require("node:path")

const say = (line) => process.stdout.write(`${line}\n`)

const [folder, ...brokenChecks] = process.argv.slice(2)
const names = readdirSync(folder).flatMap((file) =>
  file.endsWith(".status") ? [file.slice(0, -".status".length)] : []
)

let passed = 0
let failed = 0
let skipped = 0

for (const name of names) {
  const status = readFileSync(join(folder, `${name}.status`), "utf8").trim()
  const report = join(folder, `${name}.json`)
  const text = existsSync(report) ? readFileSync(report, "utf8") : ""
  const files = text === "" ? [] : JSON.parse(text).testResults
  const tests = files.flatMap((file) => file.assertionResults)
  const count = (state) => tests.filter((test) => test.status === state).length
  // A file that could not be loaded has no tests in it.
  const unloaded = files.filter((file) => file.status === "failed" && file.assertionResults.length === 0)
  const failures = count("failed") + unloaded.length
  // An error outside of any test shows in the status alone, as does a part that never came to its tests.
  const silent = failures === 0 && (status !== "0" || tests.length === 0) ? 1 : 0
  if (silent > 0) say(`${name}: ended with status ${status} and ${tests.length} tests`)
  for (const test of tests) {
    if (test.status === "failed") say(`failed: ${name}: ${test.fullName}`)
    else if (test.status !== "passed") say(`skipped: ${name}: ${test.fullName}`)
  }
  for (const file of unloaded) say(`failed: ${name}: ${file.name} could not be loaded`)
  passed += count("passed")
  failed += failures + silent
  skipped += tests.length - count("passed") - count("failed")
}

for (const check of brokenChecks) say(`failed: ${check}`)
failed += brokenChecks.length
if (passed === 0 && failed === 0) failed = 1

say(`${skipped} skipped`)
say(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
