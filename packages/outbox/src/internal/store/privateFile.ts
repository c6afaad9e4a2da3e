/**
 * Creates files that hold addresses for their owner alone, whatever the process's umask is.
 */
import * as Fs from "node:fs"

/**
 * Creates an empty file with exactly these permissions; an existing file stays as it is. If the file cannot be
 * created, opening it gives the better error.
 */
export const make = (path: string, mode: number): void => {
  try {
    if (Fs.existsSync(path)) return
    const file = Fs.openSync(path, "a", mode)
    try {
      // The umask may have removed permissions, such as those of a group to write.
      Fs.fchmodSync(file, mode)
    } finally {
      Fs.closeSync(file)
    }
  } catch {
    return
  }
}

/**
 * The path of a companion file, created with the permissions of the first: a user who may write the one needs the
 * other. A database in memory, which no one else can open, has its companions in memory too.
 */
export const beside = (path: string, suffix: string): string => {
  if (path === ":memory:") return ":memory:"
  const mode = Fs.statSync(path, { throwIfNoEntry: false })?.mode
  if (mode !== undefined) make(path + suffix, mode & 0o777)
  return path + suffix
}
