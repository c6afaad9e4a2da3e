/**
 * Packs each published package and uses the tarballs as a program that has installed them: every public module can be
 * imported, and no module of `internal` can.
 */
const { execFileSync } = require("node:child_process")
const {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} = require("node:fs")
const { tmpdir } = require("node:os")
const { basename, dirname, join } = require("node:path")

const root = join(__dirname, "..")
const folder = mkdtempSync(join(tmpdir(), "mailrace-tarballs-"))
process.on("exit", () => rmSync(folder, { recursive: true }))

const packages = globSync("packages/*/package.json", { cwd: root }).flatMap((manifest) => {
  const { name, private: isPrivate } = JSON.parse(readFileSync(join(root, manifest), "utf8"))
  return isPrivate === true ? [] : [{ name, path: join(root, dirname(manifest)) }]
})

/** Unpacks a package below `node_modules`, beside what it and its tests depend on. */
const install = ({ name, path }) => {
  const packed = join(folder, name.replaceAll(/\W+/g, "-"))
  mkdirSync(packed)
  execFileSync("npx", ["-y", "pnpm@12.21.0", "pack", "--pack-destination", packed], { cwd: path, stdio: "pipe" })
  const target = join(folder, "node_modules", name)
  mkdirSync(target, { recursive: true })
  execFileSync("tar", [
    "-xzf",
    join(
      packed,
      readdirSync(packed).find((file) => file.endsWith(".tgz"))
    ),
    "-C",
    target,
    "--strip-components=1"
  ])
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(readFileSync(join(target, "package.json"), "utf8"))
  for (const dependency of Object.keys({ ...dependencies, ...peerDependencies })) {
    if (packages.some((one) => one.name === dependency)) continue
    const link = join(folder, "node_modules", dependency)
    mkdirSync(dirname(link), { recursive: true })
    try {
      symlinkSync(realpathSync(join(path, "node_modules", dependency)), link)
    } catch (error) {
      if (error.code !== "EEXIST") throw error
    }
  }
  return target
}

/** Each specifier with whether its import must work. */
const specifiers = packages.flatMap((one) => {
  const target = install(one)
  const modules = globSync("dist/*.js", { cwd: target }).map((file) => basename(file, ".js"))
  const internal = globSync("dist/internal/**/*.js", { cwd: target }).map((file) =>
    file.slice("dist/".length, -".js".length)
  )
  // The command's main module runs the command.
  const isCommand = globSync("bin/*", { cwd: target }).length > 0
  return [
    ...(isCommand ? [] : modules.map((name) => [name === "index" ? one.name : `${one.name}/${name}`, true])),
    ...internal.map((name) => [`${one.name}/${name}`, false]),
    [`${one.name}/package.json`, true]
  ]
})

writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module", private: true }))
writeFileSync(
  join(folder, "import.js"),
  `const faults = []
for (const [specifier, isPublic] of ${JSON.stringify(specifiers)}) {
  const json = specifier.endsWith(".json") ? { with: { type: "json" } } : {}
  const code = await import(specifier, json).then(() => undefined, (error) => error.code ?? String(error))
  if (isPublic ? code !== undefined : code !== "ERR_PACKAGE_PATH_NOT_EXPORTED")
    faults.push(\`\${specifier}: \${code ?? "it can be imported"}\`)
}
for (const fault of faults) console.log(fault)
process.exit(faults.length === 0 ? 0 : 1)
`
)
const count = (isPublic) => specifiers.filter(([, wanted]) => wanted === isPublic).length
if (count(true) === 0 || count(false) === 0) throw new Error("no module was found; are the packages built?")
try {
  process.stdout.write(execFileSync(process.execPath, ["import.js"], { cwd: folder, encoding: "utf8" }))
} catch (error) {
  process.stdout.write(`${error.stdout ?? ""}${error.stderr ?? error}\n`)
  process.exitCode = 1
}
process.stdout.write(`tarballs: ${count(true)} public modules, ${count(false)} internal ones\n`)
