/**
 * A folder for the files of a contestant, on the disk that temporary files are on. It goes with its process, however that
 * ends: a process that is killed, as the lab does with one that is silent, runs nothing of its own any more, so a shell
 * waits for its end and removes what it left.
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

/** The shell reads until the process that holds the other end of the pipe is gone. */
const removeAfterwards = `trap '' INT TERM HUP; cat >/dev/null; eval "$2"; rm -rf -- "$1"`

/** Makes one. A process that is killed leaves `first`, a shell command with the folder as `$1`, to run before the removal. */
export const tempFolder = (first = ""): TempFolder => {
  const path = mkdtempSync(join(tmpdir(), "mailrace-bench-"))
  const guard = spawn("/bin/sh", ["-c", removeAfterwards, "sh", path, first], {
    // A group of its own, which Ctrl-C and a kill of the whole group do not reach.
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
 * Gives `use` a copy of a SQLite file and removes it afterwards: steps that each need the file as it was take up the disk
 * for one copy and not for all.
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
