/**
 * A small disk that can be filled, where the test may make one.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

/** Whether this process may mount a file system. */
export const isPossible: boolean = (() => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "mailrace-disk-"))
  const mounted = mount(folder)
  if (mounted) spawnSync("umount", [folder])
  Fs.rmdirSync(folder)
  return mounted
})()

/** A small disk, gone with the scope; of 2 megabytes unless told otherwise. */
export const sized = (megabytes = 2) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "mailrace-disk-"))
      mount(folder, megabytes)
      return {
        folder,
        /** Fills it to the last byte; gives what makes room again. */
        fill: Effect.sync(() => fill(folder)),
        /** Allows or forbids writing. */
        remount: (mode: "rw" | "ro") => Effect.sync(() => void spawnSync("mount", ["-o", `remount,${mode}`, folder]))
      }
    }),
    ({ folder }) =>
      Effect.sync(() => {
        spawnSync("umount", ["-l", folder])
        Fs.rmdirSync(folder)
      })
  )

const fill = (folder: string): Effect.Effect<void> => {
  const filler = `${folder}/filler`
  const file = Fs.openSync(filler, "a")
  try {
    for (let size = 65_536; size >= 1; size /= 2) {
      try {
        while (true) Fs.writeSync(file, new Uint8Array(size))
      } catch {
        // Full for this size; smaller pieces may still fit.
      }
    }
  } finally {
    Fs.closeSync(file)
  }
  return Effect.sync(() => Fs.rmSync(filler))
}

function mount(folder: string, megabytes = 2): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder]).status === 0
}
