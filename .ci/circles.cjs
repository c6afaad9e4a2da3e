/**
 * Fails when modules of a package import each other in a circle, types and dynamic imports included, or when the folders of
 * a package do: if `input` imports from `output`, nothing may point back. The public modules at the root of `src` are no
 * folder; they and the folders of `internal` use each other.
 *
 * The linter's `import/no-cycle` does not follow dynamic imports, and a command imports its program that way.
 */
const { readdirSync, readFileSync, existsSync } = require("node:fs")
const { join, dirname, relative } = require("node:path")

const root = join(__dirname, "..")
const imports = /\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g

const packages = readdirSync(join(root, "packages")).flatMap((name) => {
  const src = join(root, "packages", name, "src")
  if (!existsSync(src)) return []
  const files = readdirSync(src, { recursive: true }).filter((file) => file.endsWith(".ts"))
  return [{ src, modules: files.map((file) => join(src, file)) }]
})

const importsOf = (file) =>
  [...readFileSync(file, "utf8").matchAll(imports)].map(([, path]) => join(dirname(file), path))

let circles = 0

/** Follows arrows depth first; a place that is met again while it is on the path closes a circle. */
const follow = (places, arrowsOf) => {
  const path = []
  const done = new Set()
  const visit = (place) => {
    if (done.has(place)) return
    const start = path.indexOf(place)
    if (start !== -1) {
      circles++
      const circle = [...path.slice(start), place].map((one) => relative(root, one))
      process.stderr.write(`circle: ${circle.join("\n     -> ")}\n`)
      return
    }
    path.push(place)
    for (const next of arrowsOf(place)) visit(next)
    path.pop()
    done.add(place)
  }
  for (const place of places) visit(place)
}

for (const { src, modules } of packages) {
  follow(modules, importsOf)
  const folders = new Set(modules.map(dirname).filter((folder) => folder !== src))
  follow(folders, (folder) => {
    const inside = modules.filter((file) => dirname(file) === folder)
    const others = new Set(inside.flatMap(importsOf).map(dirname))
    return [...others].filter((other) => other !== folder && folders.has(other))
  })
}

process.stdout.write(
  circles === 0
    ? `no circle in ${packages.flatMap(({ modules }) => modules).length} modules and their folders\n`
    : `${circles} circles\n`
)
process.exitCode = circles === 0 ? 0 : 1
