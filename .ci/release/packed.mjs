/** The packed packages: their manifests as npm will see them, and the public modules of each. */
import { execFileSync } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"

const folder = process.env.TARBALLS
if (folder === undefined) throw new Error("TARBALLS names no folder; run .ci/release-check")

const tar = (...args) => execFileSync("tar", args, { encoding: "utf8", maxBuffer: 1 << 26 })

/** One entry a tarball: `{ file, manifest, paths, modules, internal }`; `modules` are the specifiers that can be imported. */
export const packed = globSync("*.tgz", { cwd: folder })
  .sort()
  .map((name) => {
    const file = join(folder, name)
    const manifest = JSON.parse(tar("-xzOf", file, "package/package.json"))
    const paths = tar("-tzf", file)
      .trim()
      .split("\n")
      .map((path) => path.slice("package/".length))
    const built = paths.flatMap((path) => /^dist\/(.+)\.js$/.exec(path)?.[1] ?? [])
    // The command's modules run it; a program imports none of them.
    const modules = manifest.bin !== undefined ? [] : built.filter((path) => !path.includes("/"))
    return {
      file,
      manifest,
      paths,
      modules: modules.map((path) => (path === "index" ? manifest.name : `${manifest.name}/${path}`)),
      internal: built.filter((path) => path.startsWith("internal/")).map((path) => `${manifest.name}/${path}`)
    }
  })

if (packed.length === 0) throw new Error(`there is no tarball in ${folder}`)

/** Prints faults and sets the exit status. */
export const conclude = (what, faults) => {
  for (const fault of faults) process.stdout.write(`${fault}\n`)
  process.stdout.write(`${what}: ${faults.length} faults\n`)
  process.exitCode = faults.length === 0 ? 0 : 1
}

export const contentOf = (file) => readFileSync(file)
