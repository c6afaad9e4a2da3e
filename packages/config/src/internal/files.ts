/**
 * Reads the files that a configuration consists of and names.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as Utf16 from "mailrace/Utf16"

/** Why a file cannot be used. */
export interface Unusable {
  /** Reads on from the file's name. */
  readonly problem: string
  readonly remedy: string
}

const unusable = ({ message, reason }: PlatformError.PlatformError): Unusable => {
  const { code, message: words } = (reason.cause ?? {}) as Partial<NodeJS.ErrnoException>
  switch (code) {
    case "ENOENT":
      return { problem: "does not exist", remedy: "check the path" }
    case "EACCES":
    case "EPERM":
      return { problem: "may not be read", remedy: "check its permissions" }
    case "EISDIR":
      return { problem: "is a folder", remedy: "name a file" }
    case "ENOTDIR":
      return { problem: "cannot be read: a part of its path is not a folder", remedy: "check the path" }
    default:
      return { problem: `cannot be read: ${words ?? message}`, remedy: "check path and disk" }
  }
}

/** Reads a file in pieces, and a pipe, as that of `<(psql …)`, at one go. */
export const read = (path: string): Stream.Stream<Uint8Array, Unusable, FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { type } = yield* fs.stat(path)
      return type === "File" ? fs.stream(path) : Stream.fromEffect(fs.readFile(path))
    })
  ).pipe(Stream.mapError(unusable))

/** Reads a text whole, in UTF-8, or in UTF-16 as PowerShell writes it. A byte order mark is no part of it. */
export const readText = (path: string): Effect.Effect<string, Unusable, FileSystem.FileSystem> =>
  Effect.flatMap(Stream.runCollect(read(path)), (pieces) =>
    Effect.try({
      try: () => {
        const bytes = Buffer.concat(pieces)
        return Utf16.decode(bytes) ?? new TextDecoder("utf-8", { fatal: true }).decode(bytes)
      },
      catch: (): Unusable => ({ problem: "is not text in UTF-8", remedy: "save it as UTF-8" })
    })
  )
