/**
 * Fails when a published module, or one of its exports, has no documentation in its `dist/*.d.ts`, or an export no `@since`.
 *
 * TypeScript drops a file's first comment together with a first import that is elided. A blank line between the two keeps
 * it, which is why the modules have one there.
 */
const { globSync, readFileSync } = require("node:fs")
const { basename, dirname, join } = require("node:path")

const root = join(__dirname, "..", "..")

/** A declaration's first line, but not a list of re-exports. */
const declaration =
  /^export (?:declare |abstract |default )*(?:const|let|function|class|interface|type|enum|namespace) (\w+)/

/** The comment that ends at a line; empty if there is none. */
const commentAbove = (lines, index) => {
  if (!/\*\/\s*$/.test(lines[index] ?? "")) return ""
  let first = index
  while (first > 0 && !lines[first].trimStart().startsWith("/**")) first--
  return lines.slice(first, index + 1).join("\n")
}

/** The exports of a declaration file whose comment, directly above them, is missing or does not say since when they exist. */
const undocumented = (lines) => {
  const documented = new Set()
  const bare = new Map()
  lines.forEach((line, index) => {
    const name = declaration.exec(line)?.[1]
    if (name === undefined) return
    // One comment is enough for a value and a type of one name, and for the overloads of a function.
    if (/@since \d/.test(commentAbove(lines, index - 1))) documented.add(name)
    else bare.set(name, index + 1)
  })
  return [...bare].filter(([name]) => !documented.has(name))
}

/** True if the first comment is about the file and not about its first export. */
const hasHead = (lines) => {
  if (!lines[0]?.startsWith("/**")) return false
  const end = lines.findIndex((line) => line.trimEnd().endsWith("*/"))
  return !declaration.test(lines[end + 1] ?? "")
}

const faults = []
let modules = 0
for (const manifest of globSync("packages/*/package.json", { cwd: root }).sort()) {
  const { bin, private: isPrivate } = JSON.parse(readFileSync(join(root, manifest), "utf8"))
  // A command is run and not imported.
  if (isPrivate === true || bin !== undefined) continue
  const folder = dirname(manifest)
  for (const source of globSync(`${folder}/src/*.ts`, { cwd: root }).sort()) {
    modules++
    const file = `${folder}/dist/${basename(source, ".ts")}.d.ts`
    const lines = readFileSync(join(root, file), "utf8").split("\n")
    if (!hasHead(lines))
      faults.push(`${file}: the head comment is missing; put a blank line between it and the imports of ${source}`)
    for (const [name, line] of undocumented(lines))
      faults.push(`${file}:${line}: ${name} has no documentation with @since`)
  }
}

if (modules === 0) faults.push("no module was found")
for (const fault of faults) process.stdout.write(`${fault}\n`)
process.stdout.write(`declarations of ${modules} modules: ${faults.length} faults\n`)
process.exitCode = faults.length === 0 ? 0 : 1
