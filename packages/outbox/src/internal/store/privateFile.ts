/**
 * Files that hold addresses are made for their owner alone, whatever the process's umask is.
 */
import * as Fs from "node:fs"

/**
 * Makes an empty file with exactly these permissions; one that is there stays as it is. What cannot be made is left to
 * whoever opens it, who has the better error.
 */
export const make = (path: string, mode: number): void => {
  try {
    if (Fs.existsSync(path)) return
    const file = Fs.openSync(path, "a", mode)
    try {
      // The umask has taken permissions away, as a group's to write.
      Fs.fchmodSync(file, mode)
    } finally {
      Fs.closeSync(file)
    }
  } catch {
    return
  }
}

/** The path of a file beside another, made with the permissions of that: who may write the one needs the other. */
export const beside = (path: string, suffix: string): string => {
  const mode = Fs.statSync(path, { throwIfNoEntry: false })?.mode
  if (mode !== undefined) make(path + suffix, mode & 0o777)
  return path + suffix
}
