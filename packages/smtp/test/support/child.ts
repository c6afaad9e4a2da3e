/** Programs that a test runs in a process of their own. */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

/** Runs a program of this folder to its own end, and gives what it printed; interrupted, it is killed. */
export const run = (
  program: string,
  args: ReadonlyArray<string | number>,
  flags: ReadonlyArray<string> = []
): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const path = fileURLToPath(new URL(program, import.meta.url))
    const child = execFile(process.execPath, [...flags, path, ...args.map(String)], (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(`${error.message}\n${stderr}`)))
    )
    return Effect.sync(() => child.kill())
  })
