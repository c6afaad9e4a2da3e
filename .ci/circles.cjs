/**
 * Fails when modules of a package import each other in a circle, types and dynamic imports included.
 *
 * The linter's `import/no-cycle` does not follow dynamic imports, and a command imports its program that way.
 */
const { readdirSync, readFileSync, existsSync } = require("node:fs")
const { join, dirname, relative } = require("node:path")

const root = join(__dirname, "..")
const imports = /\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g

const modules = readdirSync(join(root, "packages")).flatMap((name) => {
  const src = join(root, "packages", name, "src")
  return existsSync(src)
    ? readdirSync(src, { recursive: true })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => join(src, file))
    : []
})

const importsOf = (file) =>
  [...readFileSync(file, "utf8").matchAll(imports)].map(([, path]) => join(dirname(file), path))

/** Follows the imports depth first; a module that is met again while it is on the path closes a circle. */
const path = []
const done = new Set()
let circles = 0
const visit = (file) => {
  if (done.has(file)) return
  const start = path.indexOf(file)
  if (start !== -1) {
    circles++
    process.stderr.write(
      `circle: ${[...path.slice(start), file].map((one) => relative(root, one)).join("\n     -> ")}\n`
    )
    return
  }
  path.push(file)
  for (const imported of importsOf(file)) visit(imported)
  path.pop()
  done.add(file)
}
for (const file of modules) visit(file)

process.stdout.write(circles === 0 ? `no circle in ${modules.length} modules\n` : `${circles} circles\n`)
process.exitCode = circles === 0 ? 0 : 1
