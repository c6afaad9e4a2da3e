/**
 * Fails when a tarball lacks what a package page or a resolver needs: README, LICENSE, links, declarations, and whatever
 * publint and are-the-types-wrong find.
 */
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import { conclude, contentOf, packed } from "./packed.mjs"

/** Packages that hold ES modules only: `require` gets those as well from Node 22.12, and `node10` knows no `exports`. */
const expected = new Set(["CJSResolvesToESM"])
const resolutions = new Set(["node16-cjs", "node16-esm", "bundler"])

const required = ["README.md", "LICENSE", "CHANGELOG.md", "package.json"]
const fields = ["description", "keywords", "homepage", "bugs", "license", "repository", "sideEffects", "engines"]

const faults = []
for (const { file, manifest, modules, paths } of packed) {
  const { name } = manifest
  for (const path of required) if (!paths.includes(path)) faults.push(`${name}: the tarball has no ${path}`)
  for (const field of fields) if (manifest[field] === undefined) faults.push(`${name}: package.json has no ${field}`)
  for (const path of paths)
    if (/tsbuildinfo|\.test\.|(^|\/)test\//.test(path)) faults.push(`${name}: the tarball has ${path}`)
  for (const [dependency, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies }))
    if (/^(workspace|file|link|catalog):/.test(range)) faults.push(`${name}: depends on ${dependency} by ${range}`)
  for (const path of paths.filter((path) => /^dist\/.*(?<!\.d)\.js$/.test(path)))
    if (!paths.includes(path.replace(/^dist/, "src").replace(/\.js$/, ".ts")))
      faults.push(`${name}: ${path} has no source; is it left over from an earlier build?`)

  const tarball = contentOf(file)
  const { messages, pkg } = await publint({
    pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.length) },
    strict: true
  })
  for (const message of messages) faults.push(`${name}: ${formatMessage(message, pkg)}`)

  if (modules.length === 0) continue
  const { problems = [] } = await checkPackage(createPackageFromTarballData(new Uint8Array(tarball)), {
    entrypoints: modules.map((specifier) => `.${specifier.slice(name.length)}`)
  })
  for (const { entrypoint, kind, resolutionKind } of problems)
    if (!expected.has(kind) && (resolutionKind === undefined || resolutions.has(resolutionKind)))
      faults.push(`${name}: ${kind} at ${entrypoint ?? "?"} (${resolutionKind ?? "any resolution"})`)
}
conclude(`manifests of ${packed.length} packages`, faults)
