/**
 * Runs the real command in a process of its own.
 */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** How the command ended. */
export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that runs. */
export interface Running {
  readonly process: ChildProcess
  readonly ended: Effect.Effect<Ended>
}

interface Options {
  readonly env?: Record<string, string>
  readonly stdin?: string | undefined
  /** Whether standard input stays open. Defaults to false. */
  readonly keepStdin?: boolean
  /** A file that standard output goes to. Defaults to none: it is in `stdout`. */
  readonly stdoutFile?: number
}

/** The command's file: of this workspace, or as `.ci/lowest-node` has it installed. */
export const bin = process.env.MAILRACE_TEST_BIN ?? fileURLToPath(new URL("../../bin/mailrace.js", import.meta.url))

/** Starts the command; it is killed when the scope closes, if it still runs. */
export const start = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const { MAILRACE_RELAY: _relay, MAILRACE_PASSWORD: _password, MAILRACE_DKIM_KEY: _key, ...env } = process.env
      const child = spawn(process.execPath, [bin, ...args], {
        env: { ...env, ...options.env },
        stdio: ["pipe", options.stdoutFile ?? "pipe", "pipe"]
      })
      const output = { stdout: "", stderr: "" }
      child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text))
      child.stderr!.setEncoding("utf8").on("data", (text: string) => (output.stderr += text))
      child.stdin!.on("error", () => {})
      if (options.stdin !== undefined) child.stdin!.write(options.stdin)
      if (options.keepStdin !== true) child.stdin!.end()
      const exited = new Promise<Ended>((resolve) => child.on("close", (status) => resolve({ status, ...output })))
      return { process: child, ended: Effect.promise(() => exited) }
    }),
    (running) => Effect.sync(() => running.process.exitCode === null && running.process.kill("SIGKILL"))
  )

/** Runs the command to its end. */
export const mailrace = (args: ReadonlyArray<string>, options?: Options) =>
  Effect.scoped(Effect.flatMap(start(args, options), (running) => running.ended))

/** A folder that lives as long as the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "mailrace-cli-"))
    return {
      path: (name: string) => join(path, name),
      write: (name: string, text: string | Uint8Array): string => {
        writeFileSync(join(path, name), text)
        return join(path, name)
      },
      read: (name: string): string => readFileSync(join(path, name), "utf8"),
      lines: (name: string): Array<Record<string, unknown>> =>
        readFileSync(join(path, name), "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line))
    }
  }),
  (dir) => Effect.sync(() => rmSync(dir.path("."), { recursive: true, force: true }))
)

/** A mail as a line of NDJSON. */
export const mail = (to: string, more: object = {}): string =>
  `${JSON.stringify({ from: "news@x.example", to, subject: `For ${to}`, text: "Hello", ...more })}\n`
