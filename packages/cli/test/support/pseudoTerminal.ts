/**
 * Runs the real command in a pseudo-terminal, as `script` of util-linux opens it.
 */
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { stripVTControlCharacters } from "node:util"

/** False where the tests that need one are skipped. */
export const isThere = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") === true

/** How the command left the terminal. */
export interface Left {
  readonly status: number
  /** All that was written. */
  readonly output: string
  /** The terminal's settings, as `stty -a` prints them before and after. */
  readonly settings: readonly [before: string, after: string]
}

const bin = fileURLToPath(new URL("../../bin/mailrace.js", import.meta.url))

/** The shell runs the command in the foreground of the terminal, and tells of the terminal before and after. */
const session = `stty cols "$COLS" rows "$ROWS"; tty; stty -a; echo "<begun>"
sh -c 'echo "pid=$$"; exec "$NODE" "$BIN" "$@"' sh "$@"
echo "<status=$?>"; stty -a; echo "<ended>"`

/** Starts the command; it is killed when the scope closes, if it still runs. */
export const start = (
  args: ReadonlyArray<string>,
  size: { readonly columns: number; readonly rows: number },
  env = {}
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const words = ["-c", session, "sh", ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
      const child = spawn("script", ["-qfec", `sh ${words.join(" ")}`, "/dev/null"], {
        env: {
          ...process.env,
          NO_COLOR: "",
          FORCE_COLOR: "",
          TERM: "xterm",
          NODE: process.execPath,
          BIN: bin,
          COLS: String(size.columns),
          ROWS: String(size.rows),
          ...env
        },
        stdio: ["pipe", "pipe", "inherit"]
      })
      let output = ""
      let seen = 0
      const listeners = new Set<() => void>()
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text
        for (const listener of listeners) listener()
      })
      const until = (condition: (output: string) => boolean) =>
        Effect.callback<void>((resume) => {
          const check = (): void => {
            if (!condition(output)) return
            listeners.delete(check)
            resume(Effect.void)
          }
          listeners.add(check)
          check()
          return Effect.sync(() => listeners.delete(check))
        })
      const pid = (): number => Number(/pid=(\d+)/.exec(output)?.[1])
      const left = (): Left => {
        const [before = "", rest = ""] = output.split("<begun>")
        const [, status, after = ""] = /<status=(\d+)>([^]*)<ended>/.exec(rest) ?? []
        return { status: Number(status), output, settings: [settingsIn(before), settingsIn(after)] }
      }
      return {
        child,
        /** Waits for a picture, after those that it was shown before, that holds a text in whatever colours. */
        shows: (text: RegExp) =>
          until((output) => {
            const pictures = output.split("\u001B[H").slice(1)
            const found = pictures.findIndex(
              (picture, index) => index >= seen && text.test(stripVTControlCharacters(picture))
            )
            if (found !== -1) seen = found
            return found !== -1
          }),
        type: (keys: string) => Effect.sync(() => void child.stdin.write(keys)),
        /** Gives the window another width. */
        resize: (columns: number) =>
          Effect.sync(() => {
            const [tty = ""] = /\/dev\/\S+/.exec(output) ?? []
            spawnSync("stty", ["-F", tty, "cols", String(columns)])
          }),
        signal: (signal: NodeJS.Signals) => Effect.sync(() => void process.kill(pid(), signal)),
        left: Effect.map(
          until((output) => output.includes("<ended>")),
          left
        )
      }
    }),
    ({ child }) => Effect.sync(() => void (child.exitCode === null && child.kill("SIGHUP")))
  )

const settingsIn = (text: string): string => text.slice(text.indexOf("speed")).replaceAll(/\s+/g, " ").trim()
