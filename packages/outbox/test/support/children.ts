/**
 * Real processes that use an outbox and are killed.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { getCompileCacheDir } from "node:module"
import { fileURLToPath } from "node:url"
import type { Instructions } from "./crashChild.ts"

/** A process. */
export interface Child {
  /** Runs an effect; dies when the process ends by itself before it. */
  readonly pid: number | undefined
  readonly during: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Waits for it to end by itself. */
  readonly ended: Effect.Effect<void>
  /** Kills it with SIGKILL and waits until it is gone. */
  readonly kill: Effect.Effect<void>
}

const program = fileURLToPath(new URL("./crashChild.ts", import.meta.url))

/** Starts a process; it is killed with the scope at the latest. */
export const start = (instructions: Instructions) =>
  Effect.acquireRelease(
    Effect.sync((): Child => {
      const child = spawn(process.execPath, [program, JSON.stringify(instructions)], {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, NODE_OPTIONS: "", NODE_COMPILE_CACHE: getCompileCacheDir() }
      })
      let complaints = ""
      child.stderr.setEncoding("utf8").on("data", (chunk: string) => (complaints += chunk))
      const gone = new Promise<void>((resolve) => child.once("close", () => resolve()))
      const ended = Effect.promise(() => gone)
      return {
        pid: child.pid,
        during: (effect) =>
          Effect.raceFirst(
            effect,
            Effect.flatMap(ended, () => Effect.die(new Error(`the process ended by itself: ${complaints}`)))
          ),
        ended,
        kill: Effect.andThen(
          Effect.sync(() => child.kill("SIGKILL")),
          ended
        )
      }
    }),
    (child) => child.kill
  )

/** The Message-IDs whose enqueue has returned in any process that used this log. */
export const accepted = (log: string): ReadonlyArray<string> =>
  // A last line without its end was cut off by the kill, after its mail was accepted.
  Fs.readFileSync(log, "utf8").split("\n").slice(0, -1)
