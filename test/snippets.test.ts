/**
 * Every TypeScript block of the READMEs, of the site and of the public modules' documentation compiles. Those of READMEs, of
 * modules and of the site's campaign also run to their end against a server on a real socket.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join, sep } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

interface Snippet {
  /** Where the block begins, as `README.md:21`. */
  readonly place: string
  readonly code: string
}

const isInternal = (path: string): boolean => path.split(sep).includes("internal")

/** The blocks of a file, without the asterisks of a comment. */
const snippetsOf = (file: string): ReadonlyArray<Snippet> => {
  const found: Array<Snippet> = []
  let begun: { readonly line: number; readonly lines: Array<string> } | undefined
  for (const [index, text] of readFileSync(join(root, file), "utf8").split("\n").entries()) {
    const line = file.endsWith(".md") ? text : text.replace(/^\s*\* ?/, "")
    if (begun === undefined) {
      if (line === "```ts") begun = { line: index + 1, lines: [] }
    } else if (line === "```") {
      found.push({ place: `${file}:${begun.line}`, code: begun.lines.join("\n") })
      begun = undefined
    } else begun.lines.push(line)
  }
  assert.isUndefined(begun, `${file}:${begun?.line}: the block has no end`)
  return found
}

const published = globSync("packages/*/package.json", { cwd: root }).flatMap((manifest) => {
  const { name, private: isPrivate } = JSON.parse(readFileSync(join(root, manifest), "utf8"))
  return isPrivate === true ? [] : [{ name: name as string, folder: dirname(manifest) }]
})

const modules = published.flatMap(({ folder, name }) =>
  globSync(`${folder}/src/[A-Z]*.ts`, { cwd: root }).map((path) => ({
    path,
    specifier: `${name}/${basename(path, ".ts")}`
  }))
)

const snippets = [
  "README.md",
  ...globSync("packages/*/README.md", { cwd: root }),
  ...globSync("packages/docs/*.md", { cwd: root }),
  ...published.flatMap(({ folder }) => globSync(`${folder}/src/**/*.ts`, { cwd: root }))
]
  .filter((file) => !isInternal(file))
  .sort()
  .flatMap(snippetsOf)

/** The site's blocks are many, and most of its programs are those of the READMEs and of the examples, so they only compile. */
const isOfSite = ({ place }: { readonly place: string }): boolean => place.startsWith(join("packages", "docs"))

/** The campaign is the only program that screens, renders and signs in one. */
const isOfCampaign = ({ place }: { readonly place: string }): boolean =>
  place.startsWith(join("packages", "docs", "campaign.md"))

/** True for a name of JavaScript's, such as `Date`, for which Effect has no module. */
const isGlobal = (name: string): boolean =>
  name in globalThis && !existsSync(join(root, "node_modules", "effect", "src", `${name}.ts`))

/** A short block of a README shows only the lines that differ: a module that it names has been imported by its name. */
const complete = (code: string): string => {
  const named = new Set([...code.matchAll(/(?<![\w.])([A-Z]\w+)\./g)].map(([, name]) => name!))
  const imports = [...named].flatMap((name) => {
    if (isGlobal(name) || new RegExp(`import .*\\b${name}\\b`).test(code)) return []
    const specifier = modules.find(({ path }) => basename(path, ".ts") === name)?.specifier ?? `effect/${name}`
    return [`import * as ${name} from "${specifier}"`]
  })
  return [...imports, code, "export {}", ""].join("\n")
}

const run = (command: string, args: ReadonlyArray<string>, cwd: string) =>
  Effect.callback<{ readonly status: number | string | null; readonly text: string }>((resume) => {
    const child = execFile(
      command,
      args,
      { cwd, timeout: 100_000, env: { ...process.env, NODE_OPTIONS: "" } },
      (error, stdout, stderr) =>
        resume(Effect.succeed({ status: error === null ? 0 : (error.code ?? null), text: `${stdout}${stderr}` }))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** A folder inside the workspace, so that packages are found from it. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(root, "test", ".snippets-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Writes one program a block; what they send goes to the port. */
const write = (path: string, port: number): ReadonlyArray<{ readonly place: string; readonly file: string }> =>
  snippets.map(({ code, place }) => {
    const file = `${place.replaceAll(/[^\w]+/g, "-")}.ts`
    writeFileSync(join(path, file), complete(code).replaceAll("127.0.0.1:2525", `127.0.0.1:${port}`))
    return { place, file }
  })

describe("code blocks of the documentation", { timeout: 120_000 }, () => {
  it("are all of the examples", () => {
    const bare = published
      .flatMap(({ folder }) => globSync(`${folder}/src/**/*.ts`, { cwd: root }))
      .filter((file) => !isInternal(file))
      .filter((file) => /\* @example\n(?!\s*\* ```ts\n)/.test(readFileSync(join(root, file), "utf8")))
    assert.deepStrictEqual(bare, [])
  })

  it("are found in README and in the modules", () => {
    const files = new Set(snippets.map(({ place }) => place.replace(/:\d+$/, "")))
    assert.isTrue(files.has("README.md"))
    assert.isAtLeast(snippets.filter(isOfSite).length, 10)
    assert.isAtLeast(files.size, 12)
    assert.isAtLeast(snippets.length, 16)
  })

  it.live("compile", () =>
    Effect.gen(function* () {
      const path = yield* folder
      write(path, 2525)
      writeFileSync(
        join(path, "tsconfig.json"),
        JSON.stringify({
          extends: "../../packages/tsconfig.base.json",
          compilerOptions: {
            noEmit: true,
            composite: false,
            incremental: false,
            declaration: false,
            declarationMap: false,
            allowImportingTsExtensions: true,
            rewriteRelativeImportExtensions: false,
            // A block may show a value that it does not use.
            noUnusedLocals: false
          },
          include: ["*.ts"]
        })
      )
      const { status, text } = yield* run(join(root, "node_modules", ".bin", "tsc"), ["-p", "."], path)
      assert.strictEqual(status, 0, text)
    })
  )

  it.live("run to their end", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const server = yield* TestServer.make()
      const { privateKey } = generateKeyPairSync("ed25519")
      writeFileSync(join(path, "key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }))
      const ends = yield* Effect.forEach(
        write(path, server.port).filter((program) => !isOfSite(program) || isOfCampaign(program)),
        ({ file, place }) => Effect.map(run(process.execPath, [file], path), (end) => ({ ...end, place })),
        { concurrency: 2 }
      )
      assert.deepStrictEqual(
        ends.filter(({ status }) => status !== 0).map(({ place, text }) => `${place}: ${text}`),
        []
      )
      const first = ends.filter(({ place }) => place.startsWith("README.md"))
      assert.deepStrictEqual(
        first.map(({ text }) => text.match(/^\d+ Accepted$/gm)?.length),
        [1000]
      )
      // One of its two recipients has unsubscribed.
      assert.deepStrictEqual(
        ends.filter(isOfCampaign).map(({ text }) => text),
        ["0 Accepted\n"]
      )
    })
  )
})
