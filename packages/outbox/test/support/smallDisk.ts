/**
 * A disk of two megabytes, where the test may make one.
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

/** A small disk, gone with the scope. */
export const make = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "mailrace-disk-"))
    mount(folder)
    return {
      folder,
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

function mount(folder: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]).status === 0
}
