/**
 * Reads and writes files, with errors in plain words.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { createReadStream, fstatSync } from "node:fs"
import { CommandError } from "../CommandError.ts"

/** Why a file cannot be read. */
export const unreadable = (name: string, error: PlatformError.PlatformError): CommandError =>
  failed(name, "read", error)

/** Why a file cannot be written. */
export const unwritable = (name: string, error: PlatformError.PlatformError): CommandError =>
  failed(name, "written", error)

export const readText = (path: string): Effect.Effect<string, CommandError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(fs.readFileString(path), (error) => unreadable(path, error))
  )

/** Reads a file whole. */
export const readBytes = (path: string): Effect.Effect<Uint8Array, CommandError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => Effect.mapError(fs.readFile(path), (error) => unreadable(path, error)))

/** Reads the first bytes of a regular file. */
export const readBeginning = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const pieces = yield* Stream.runCollect(fs.stream(path, { bytesToRead: 4 })).pipe(
    Effect.mapError((error) => unreadable(path, error))
  )
  return Buffer.concat(pieces)
})

/**
 * Reads a file in pieces. `type` is its type as `stat` gives it: only a regular file can be read at an offset; others, such
 * as the pipe of `<(…)`, are read to their end.
 */
export const readStream = Effect.fnUntraced(function* (path: string, type: FileSystem.File.Type) {
  const fs = yield* FileSystem.FileSystem
  const bytes =
    type === "File"
      ? fs.stream(path)
      : NodeStream.fromReadable({
          evaluate: () => createReadStream(path),
          onError: (cause) =>
            PlatformError.systemError({ module: "FileSystem", method: "stream", _tag: "Unknown", cause })
        })
  return Stream.mapError(bytes, (error) => unreadable(path, error))
})

/** Reads standard input to its end. Node reads a folder as an empty stream, which would pass for an empty list. */
export const standardInput = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const name = "standard input"
  // `bigint`, as Node 22.19 and 24.0 keep in mind of other calls that the last file was a pipe, and then import packages
  // by the names of their links.
  const isFolder = yield* Effect.sync(() => fstatSync(0, { bigint: true }).isDirectory())
  return isFolder
    ? yield* new CommandError({ problem: `${name} is a folder`, remedy: "name a file" })
    : Stream.mapError(stdio.stdin, (error) => unreadable(name, error))
})

/** Files by the flag that names them. */
export interface Named {
  readonly [flag: string]: string | ReadonlyArray<string> | undefined
}

const filesOf = (named: Named): ReadonlyArray<readonly [flag: string, file: string]> =>
  Object.entries(named).flatMap(([flag, files = []]) =>
    (typeof files === "string" ? [files] : files).map((file) => [flag, file] as const)
  )

/** Fails if a file is both read and written, or written twice, even under different names. */
export const keepApart = Effect.fnUntraced(function* (read: Named, written: Named) {
  const taken = new Map<string, string>()
  for (const [flag, file] of filesOf(read)) {
    const identity = yield* identify(file)
    if (identity !== undefined) taken.set(identity, flag)
  }
  for (const [flag, file] of filesOf(written)) {
    if (file === "-") {
      return yield* new CommandError({
        problem: `${flag} needs a file, not standard output`,
        remedy: "name a file; --json prints the report on standard output"
      })
    }
    const identity = yield* identify(file)
    if (identity === undefined) continue
    const other = taken.get(identity)
    if (other !== undefined) {
      return yield* new CommandError({
        problem: `${flag} would overwrite ${file}, which ${other} names`,
        remedy: `name another file with ${flag}`
      })
    }
    taken.set(identity, flag)
  }
})

/** An identity that all names of a file or folder share; `undefined` for others, such as a terminal. */
const identify = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const info = yield* Effect.option(fs.stat(file))
  if (Option.isNone(info)) return path.resolve(file)
  const { dev, ino, type } = info.value
  if (type !== "File" && type !== "Directory") return undefined
  return Option.isSome(ino) ? `${dev}:${ino.value}` : path.resolve(file)
})

/** Why a file cannot be written, from an error of Node's. */
export const unwritableFor = (name: string, cause: NodeJS.ErrnoException): CommandError =>
  because(name, "written", cause, cause.message)

const failed = (name: string, done: "read" | "written", error: PlatformError.PlatformError): CommandError =>
  because(name, done, error.reason.cause as NodeJS.ErrnoException | undefined, error.message)

const because = (
  name: string,
  done: "read" | "written",
  cause: NodeJS.ErrnoException | undefined,
  message: string
): CommandError => {
  const cannot = (why: string, remedy: string) =>
    new CommandError({ problem: `${name} cannot be ${done}: ${why}`, remedy })
  switch (cause?.code) {
    case "ENOENT":
      return done === "read"
        ? new CommandError({ problem: `${name} does not exist`, remedy: "check the path" })
        : cannot("there is no such folder", "check the path")
    case "EACCES":
    case "EPERM":
      return new CommandError({ problem: `${name} may not be ${done}`, remedy: "check its permissions" })
    case "EISDIR":
      return new CommandError({ problem: `${name} is a folder`, remedy: "name a file" })
    case "EEXIST":
      return new CommandError({ problem: `${name} exists and is not a folder`, remedy: "name another one" })
    case "ENOTDIR":
      return cannot("a part of its path is not a folder", "check the path")
    case "EROFS":
      return cannot("its disk is read-only", "name a file on another disk")
    case "ENOSPC":
    case "EDQUOT":
      return cannot("its disk is full", "free space on it, or name a file on another disk")
    default:
      return cannot(cause?.message ?? message, "check path and disk")
  }
}
