/**
 * Another commit of this repository as a contestant (`bench --against REF`): its libraries, in a git worktree of their own,
 * driven by this tree's benchmark, so that the two sides differ only in the libraries.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { chmodSync, cpSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { BenchError } from "./BenchError.ts"
import { tempFolder } from "./internal/tempFolder.ts"

/** A commit whose libraries can be measured. */
export interface Against {
  /** The commit, abbreviated. */
  readonly commit: string
  /** The folder `packages/bench/src/` of its tree, with a slash at its end. */
  readonly source: URL
}

const run = promisify(execFile)

const source = dirname(fileURLToPath(import.meta.url))

/** Checks a commit out and installs its dependencies; removes its tree with the scope. */
export const open = (ref: string): Effect.Effect<Against, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const root = yield* ask(`no commit is called ${ref}`, () => git(source, "rev-parse", "--show-toplevel"))
    const commit = yield* ask(`no commit is called ${ref}`, () =>
      git(root, "rev-parse", "--short", "--verify", `${ref}^{commit}`)
    )
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => tempFolder()),
      ({ path, remove }) =>
        Effect.andThen(
          Effect.ignore(ask("", () => git(root, "worktree", "remove", "--force", join(path, "tree")))),
          Effect.sync(remove)
        )
    )
    // PostgreSQL's binaries are in there, and it runs as nobody where this runs as root.
    chmodSync(folder.path, 0o755)
    const tree = join(folder.path, "tree")
    yield* ask(`${ref} cannot be checked out`, () => git(root, "worktree", "add", "--detach", tree, commit))
    yield* ask(`the dependencies of ${ref} cannot be installed`, () => install(tree))
    const bench = join(tree, "packages", "bench", "src")
    yield* ask(`the benchmark cannot be laid over ${ref}`, async () => cpSync(source, bench, { recursive: true }))
    return { commit, source: pathToFileURL(`${bench}/`) }
  })

const ask = <A>(problem: string, task: () => Promise<A>): Effect.Effect<A, BenchError> =>
  Effect.tryPromise({
    try: task,
    catch: (error) => new BenchError({ problem: `${problem}: ${error instanceof Error ? error.message : `${error}`}` })
  })

const git = async (folder: string, ...args: ReadonlyArray<string>): Promise<string> =>
  (await run("git", ["-C", folder, ...args])).stdout.trim()

/** Runs the package manager that the tree names, offline if its store has everything. */
const install = (tree: string): Promise<unknown> => {
  const { packageManager } = JSON.parse(readFileSync(join(tree, "package.json"), "utf8")) as {
    readonly packageManager: string
  }
  const args = ["-y", packageManager, "install", "--frozen-lockfile", "--prefer-offline"]
  return run("npx", args, { cwd: tree, maxBuffer: 2 ** 24 })
}
