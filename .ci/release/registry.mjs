/**
 * A package registry on the loopback interface, so that npm installs the packed packages as it would after a release, with
 * nothing from the network: it serves their tarballs, and their dependencies from the workspace's own store.
 */
import { spawn } from "node:child_process"
import { createReadStream, globSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"

/** What pnpm has installed, by name: each version with its manifest and its folder. */
const installed = (root) => {
  const found = new Map()
  for (const path of globSync("node_modules/.pnpm/*/node_modules/{*,@*/*}/package.json", { cwd: root })) {
    const folder = join(root, path, "..")
    const manifest = JSON.parse(readFileSync(join(root, path), "utf8"))
    const versions = found.get(manifest.name) ?? new Map()
    // A package with several sets of peers occurs several times.
    if (!versions.has(manifest.version)) versions.set(manifest.version, { manifest, folder })
    found.set(manifest.name, versions)
  }
  return found
}

/** Serves both; `url` is for npm's `--registry`. */
export const serve = async (root, packed) => {
  const store = installed(root)
  for (const { file, manifest } of packed) store.set(manifest.name, new Map([[manifest.version, { manifest, file }]]))

  const answer = (path, response) => {
    const [name, version] = path.split("/-/")
    const versions = store.get(name)
    if (versions === undefined || versions.size === 0) return response.writeHead(404).end("{}")
    if (version === undefined) {
      const all = [...versions].map(([number, { manifest }]) => [
        number,
        { ...manifest, dist: { tarball: `${url}/${name}/-/${number}` } }
      ])
      return response.end(
        JSON.stringify({ name, "dist-tags": { latest: all.at(-1)[0] }, versions: Object.fromEntries(all) })
      )
    }
    const entry = versions.get(version)
    if (entry === undefined) return response.writeHead(404).end("{}")
    if (entry.file !== undefined) return createReadStream(entry.file).pipe(response)
    const tar = spawn("tar", ["-c", "--exclude=./node_modules", "--transform=s,^\\.,package,", "-C", entry.folder, "."])
    return tar.stdout.pipe(response)
  }

  const server = createServer((request, response) => answer(decodeURIComponent(request.url.slice(1)), response))
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  return { url, close: () => server.close() }
}

/** Runs npm against a registry, with a cache of its own and nobody's configuration. */
export const npm = (url, cache, cwd, ...args) =>
  new Promise((resolve, reject) => {
    const child = spawn(
      "npm",
      [...args, "--registry", url, "--cache", cache, "--userconfig", join(cache, "none"), "--no-audit", "--no-fund"],
      { cwd, stdio: ["ignore", "pipe", "pipe"] }
    )
    let text = ""
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (piece) => (text += piece))
    child.on("close", (status) =>
      status === 0 ? resolve(text) : reject(new Error(`npm ${args.join(" ")} ended with ${status}:\n${text}`))
    )
  })
