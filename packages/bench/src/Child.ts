/**
 * A process of the benchmark, seen from its parent, which sends requests and awaits their answers one at a time. The
 * process ends with its scope.
 */
import { type ChildProcess, fork as forkProcess } from "node:child_process"
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BenchError } from "./BenchError.ts"

/** A process that answers requests. */
export interface Child<Request> {
  /** The time of its start, by this process's clock. */
  readonly startedAt: number
  /** Sends a request. Fails if the process ends instead of answering, or is silent for longer than the limit. */
  readonly ask: <Answer>(request: Request, limitSeconds?: number) => Effect.Effect<Answer, BenchError>
}

type Reply =
  | { readonly _tag: "Answer"; readonly value: unknown }
  | { readonly _tag: "Problem"; readonly problem: string }

/** How long a process may take to end before it is killed, in milliseconds. */
const graceMs = 2_000

/**
 * Limits the heap of every process, as the command `mailrace` does. Without limits V8 lets garbage grow as long as the
 * machine has memory, and a resident set would not show how much memory is really held.
 */
const heap = ["--max-semi-space-size=16", "--max-old-space-size=512"]

/** Starts a process of this package, as in `fork("sender", …)`, or of the same package in another tree. */
export const fork = <Request extends object>(
  name: "sender" | "sink" | "relay" | "collector",
  limitSeconds: number,
  source = new URL("./", import.meta.url)
): Effect.Effect<Child<Request>, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const startedAt = performance.now()
      const child = forkProcess(new URL(`processes/${name}.ts`, source), {
        execArgv: ["--expose-gc", "--no-warnings", ...heap],
        serialization: "advanced",
        stdio: ["ignore", "ignore", "pipe", "ipc"]
      })
      return { child, startedAt, complaint: tailOf(child) }
    }),
    ({ child }) => Effect.promise(() => end(child))
  ).pipe(
    Effect.map(({ child, complaint, startedAt }) => ({
      startedAt,
      ask: <Answer>(request: Request, limit = limitSeconds) =>
        Effect.callback<Answer, BenchError>((resume) => {
          const finish = (effect: Effect.Effect<Answer, BenchError>) => {
            stop()
            resume(effect)
          }
          const fail = (problem: string) => finish(Effect.fail(new BenchError({ problem })))
          const onMessage = (reply: Reply) =>
            reply._tag === "Answer" ? finish(Effect.succeed(reply.value as Answer)) : fail(reply.problem)
          const onExit = () => fail(`the ${name} ended: ${complaint() || "it did not say why"}`)
          const timer = setTimeout(() => fail(`the ${name} was silent for ${limit} s`), limit * 1000)
          const stop = () => {
            clearTimeout(timer)
            child.off("message", onMessage)
            child.off("exit", onExit)
          }
          child.on("message", onMessage)
          child.on("exit", onExit)
          if (!child.connected) return fail(`the ${name} has ended: ${complaint() || "it did not say why"}`)
          child.send(request)
          return Effect.sync(stop)
        })
    }))
  )

const tailOf = (child: ChildProcess): (() => string) => {
  let text = ""
  child.stderr?.on("data", (chunk) => (text = (text + String(chunk)).slice(-2000)))
  return () => text.trim()
}

/** Ends the process by closing the channel, and kills it if it stays. */
const end = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs)
    child.on("exit", () => {
      clearTimeout(timer)
      resolve()
    })
    if (child.connected) child.disconnect()
  })
