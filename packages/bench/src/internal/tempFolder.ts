/**
 * Makes a folder for the files of a contestant, on the disk of temporary files. The folder disappears with the contestant's
 * process, however that ends: a killed process, such as a silent one that the lab kills, cannot clean up itself, so a shell
 * waits for its end and removes its files.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { constants, copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"

/** A folder of its own. */
export interface TempFolder {
  readonly path: string
  readonly remove: () => void
}

/** Reads until the process that holds the other end of the pipe is gone. */
const removeAfterwards = `trap '' INT TERM HUP; cat >/dev/null; eval "$2"; rm -rf -- "$1"`

/**
 * Makes a folder. If the process is killed, the shell command `first` runs before the removal, with the folder as `$1`.
 */
export const tempFolder = (first = ""): TempFolder => {
  const path = mkdtempSync(join(tmpdir(), "mailrace-bench-"))
  const guard = spawn("/bin/sh", ["-c", removeAfterwards, "sh", path, first], {
    // Starts a process group, which neither Ctrl-C nor a kill of this one's group reaches.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"]
  })
  guard.unref()
  const remove = () => {
    rmSync(path, { recursive: true, force: true })
    guard.stdin.destroy()
    process.off("exit", remove)
  }
  process.once("exit", remove)
  return { path, remove }
}

/**
 * Gives `use` a copy of a SQLite file and removes the copy afterwards, so that steps that each need the original file
 * occupy the disk with only one copy at a time.
 */
export const withCopy = <A, E, R>(path: string, use: (copy: string) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(dirname(path), "copy-"))
      const copy = join(folder, basename(path))
      copyFileSync(path, copy, constants.COPYFILE_FICLONE)
      return { folder, copy }
    }),
    ({ copy }) => use(copy),
    ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
