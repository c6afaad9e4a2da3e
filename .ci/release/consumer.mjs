/**
 * A stranger's project: npm installs the packed packages, and programs use them.
 *
 * - Every public module can be imported and no internal one, on the workspace's Node and on the lowest supported one.
 * - Strict TypeScript reads all declarations, by `nodenext` and by `bundler` resolution.
 * - README's first mail is sent on both and on Bun, from the step after its install line (firstMail.mjs), and the guide's
 *   campaign runs; both against the sink of the globally installed command.
 * - A program with the SQLite outbox works after esbuild has bundled it into one file.
 * - The outbox and the command work on Bun, on Deno, and where env and shell are BusyBox's (runtimes.mjs).
 */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { generateKeyPairSync } from "node:crypto"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { bunAt, firstMail, nodeAt, packages, pathOfNode, readme } from "./firstMail.mjs"
import { conclude, packed } from "./packed.mjs"
import { npm, serve } from "./registry.mjs"
import { fetchRuntimes, onOtherSystems } from "./runtimes.mjs"

const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "mailrace-consumer-"))
const faults = []

/** Runs a program to its end; `status` is not 0 if it failed or was stopped after a minute. */
const run = (command, args, options = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: folder, timeout: 60_000, stdio: ["ignore", "pipe", "pipe"], ...options })
    let text = ""
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (piece) => (text += piece))
    child.on("error", (error) => resolve({ status: -1, text: String(error) }))
    child.on("close", (status) => resolve({ status: status ?? -1, text }))
  })

const expectEnd = async (what, command, args, options) => {
  const { status, text } = await run(command, args, options)
  if (status !== 0) faults.push(`${what} ended with ${status}:\n${text.trim()}`)
  return text
}

const write = (name, text) => writeFileSync(join(folder, name), text)

/** The workspace's Node and the lowest one. */
const nodes = [
  { name: process.versions.node, program: process.execPath },
  { name: process.env.LOWEST_NODE, program: pathOfNode(process.env.LOWEST_NODE) }
]

const importAll = async () => {
  const specifiers = packed.flatMap(({ internal, manifest, modules }) => [
    ...modules.map((name) => [name, true]),
    ...internal.map((name) => [name, false]),
    [`${manifest.name}/package.json`, true]
  ])
  const count = (isPublic) => specifiers.filter(([, wanted]) => wanted === isPublic).length
  if (count(true) === 0 || count(false) === 0) faults.push("no module was found; are the packages built?")
  write(
    "import.mjs",
    `let faults = 0
for (const [specifier, isPublic] of ${JSON.stringify(specifiers)}) {
  const json = specifier.endsWith(".json") ? { with: { type: "json" } } : {}
  const code = await import(specifier, json).then(() => undefined, (error) => error.code ?? String(error))
  if (isPublic ? code === undefined : code === "ERR_PACKAGE_PATH_NOT_EXPORTED") continue
  console.log(\`\${specifier}: \${code ?? "it can be imported"}\`)
  faults++
}
process.exit(faults === 0 ? 0 : 1)
`
  )
  for (const { name, program } of nodes)
    await expectEnd(`importing ${specifiers.length} modules on Node ${name}`, program, ["import.mjs"])
  process.stdout.write(`imports: ${count(true)} public modules, ${count(false)} internal ones\n`)
}

const checkTypes = async () => {
  const modules = packed.flatMap(({ modules }) => modules)
  write(
    "types.ts",
    `${modules.map((specifier, index) => `import * as M${index} from "${specifier}"`).join("\n")}
export const all: ReadonlyArray<object> = [${modules.map((_, index) => `M${index}`).join(", ")}]
`
  )
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    target: "es2022",
    // Effect's declarations name types of the DOM.
    lib: ["es2024", "esnext.disposable", "dom", "dom.iterable"],
    types: ["node"],
    noEmit: true
  }
  const tsc = join(root, "node_modules", ".bin", "tsc")
  for (const [module, moduleResolution] of [
    ["nodenext", "nodenext"],
    ["esnext", "bundler"]
  ]) {
    const project = `tsconfig.${moduleResolution}.json`
    // `allowJs` and `checkJs`: the documented programs, which a user of JavaScript writes, are checked too.
    write(
      project,
      JSON.stringify({
        compilerOptions: { ...compilerOptions, module, moduleResolution, allowJs: true, checkJs: true },
        files: ["types.ts", ...documentedPrograms.map(({ name }) => name)]
      })
    )
    await expectEnd(`types by ${moduleResolution}`, tsc, ["-p", project])
  }
}

/** The blocks of README and of the guide's campaign that are whole programs; README's first. */
const documentedPrograms = ["README.md", "packages/docs/campaign.md"].flatMap((file) =>
  [...readFileSync(join(root, file), "utf8").matchAll(/^```ts\n(import [\s\S]*?)^```$/gm)].map(([, code], index) => ({
    name: `${basename(file, ".md").toLowerCase()}${index}.mjs`,
    code,
    isReadme: file === "README.md"
  }))
)

/** Starts the installed command's sink and calls back with its URL; it ends with the process. */
const sink = async (mailrace, use) => {
  const child = spawn(process.execPath, [mailrace, "sink", "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] })
  try {
    const url = await new Promise((resolve, reject) => {
      let text = ""
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (piece) => {
          text += piece
          const found = /smtp:\/\/127\.0\.0\.1:\d+/.exec(text)
          if (found !== null) resolve(found[0])
        })
      child.on("close", () => reject(new Error(`the sink of the installed command ended: ${text}`)))
    })
    await use(url)
  } finally {
    child.kill("SIGKILL")
  }
}

const runPrograms = async (url, runtimes) => {
  const { privateKey } = generateKeyPairSync("ed25519")
  write("key.pem", privateKey.export({ type: "pkcs8", format: "pem" }))
  for (const { code, name } of documentedPrograms) write(name, code.replaceAll(readme.url, url))
  for (const runtime of [
    ...nodes.map(({ name, program }) => nodeAt(name, program)),
    ...(runtimes.bun === undefined ? [] : [bunAt(runtimes.bun)])
  ])
    await firstMail(runtime, folder, url)
  for (const { isReadme, name } of documentedPrograms)
    if (!isReadme) await expectEnd(`the documentation's ${name}`, process.execPath, [name])
}

const runBundle = async (url) => {
  write(
    "durable.ts",
    `import * as DurableTransport from "@mailrace/outbox/DurableTransport"
import * as Outbox from "@mailrace/outbox/Outbox"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Mailer from "mailrace/Mailer"

const transport = DurableTransport.layer().pipe(
  Layer.provide([Outbox.layerSqlite("outbox.db"), SmtpTransport.layerUrl(process.argv[2]!)])
)
const mail = { from: "a@example.org", to: "b@example.org", subject: "Hi", text: "From one file" }
const { _tag } = await Mailer.send(mail).pipe(Effect.provide(transport), Effect.runPromise)
console.log(_tag)
`
  )
  const esbuild = createRequire(join(root, "packages/outbox/package.json")).resolve("esbuild/bin/esbuild")
  const alone = join(folder, "..", `${folder.split("/").at(-1)}-alone`)
  mkdirSync(alone)
  try {
    const bundle = join(alone, "app.mjs")
    await expectEnd("esbuild", esbuild, [
      "durable.ts",
      "--bundle",
      "--platform=node",
      "--format=esm",
      "--log-level=error",
      "--banner:js=import{createRequire as _r}from'node:module';const require=_r(import.meta.url)",
      `--outfile=${bundle}`
    ])
    const text = await expectEnd("the bundled outbox", process.execPath, [bundle, url], { cwd: alone })
    if (!text.includes("Accepted")) faults.push(`the bundled outbox did not deliver: ${text}`)
  } finally {
    rmSync(alone, { recursive: true })
  }
}

const timed = async (what, work) => {
  const began = performance.now()
  await work()
  process.stdout.write(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s\n`)
}

try {
  write("package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }))
  const cache = join(folder, ".npm")
  const prefix = join(folder, ".global")
  mkdirSync(prefix)
  const registry = await serve(root, packed)
  const names = packed.map(({ manifest }) => manifest.name)
  await timed("npm install, in the project and globally", () =>
    Promise.all([
      npm(registry.url, cache, folder, "install", ...names, "effect", "@types/node"),
      npm(registry.url, cache, folder, "install", "--global", "--prefix", prefix, "@mailrace/cli")
    ])
  )
  registry.close()
  for (const name of packages.filter((name) => name !== "effect" && !names.includes(name)))
    faults.push(`README installs ${name}, which is not packed`)
  const mailrace = join(prefix, "bin", "mailrace")
  const version = await expectEnd("mailrace --version", mailrace, ["--version"])
  if (!version.includes(packed[0].manifest.version)) faults.push(`mailrace --version prints ${version}`)

  await timed("imports", importAll)
  const runtimes = fetchRuntimes()
  try {
    await sink(mailrace, async (url) => {
      await timed("documented programs", () => runPrograms(url, runtimes))
      await timed("bundle", () => runBundle(url))
      await timed("other systems", () =>
        onOtherSystems({ durable: "durable.ts", expectEnd, faults, mailrace, project: folder, runtimes, url })
      )
    })
  } finally {
    runtimes.remove()
  }
  await timed("types", checkTypes)
} catch (error) {
  faults.push(String(error))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
conclude("a project with the packed packages", faults)
process.exit()
