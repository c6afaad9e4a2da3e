/**
 * Reads attachment files through Node. The outbox needs no `FileSystem` service, so a program can enqueue wherever it
 * can send.
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import { type BigIntStats, constants } from "node:fs"
import * as Fs from "node:fs/promises"
import type * as AttachmentFile from "mailrace/AttachmentFile"

const attempt = <A>(method: string, path: string, run: () => Promise<A>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) =>
      PlatformError.systemError({
        _tag: tags[(cause as NodeJS.ErrnoException).code ?? ""] ?? "Unknown",
        module: "FileSystem",
        method,
        pathOrDescriptor: path,
        cause
      })
  })

/** Files read through Node. */
export const files: AttachmentFile.Files = {
  realPath: (path) => attempt("realPath", path, () => Fs.realpath(path)),
  readLink: (path) => attempt("readLink", path, () => Fs.readlink(path)),
  stat: (path) =>
    Effect.map(
      attempt("stat", path, () => Fs.stat(path, { bigint: true })),
      statusOf
    ),
  open: (path) =>
    Effect.map(
      Effect.acquireRelease(
        // Opens without blocking, so that a pipe in the file's place does not make it wait for a writer.
        attempt("open", path, () => Fs.open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))),
        (handle) => Effect.ignore(attempt("close", path, () => handle.close()))
      ),
      (handle) => ({
        fd: handle.fd,
        stat: Effect.map(
          attempt("stat", path, () => handle.stat({ bigint: true })),
          statusOf
        ),
        readAlloc: (size, { position } = {}) =>
          Effect.map(
            attempt("readAlloc", path, () =>
              handle.read(Buffer.allocUnsafeSlow(size), 0, size, position === undefined ? null : Number(position))
            ),
            ({ buffer, bytesRead }) => (bytesRead === 0 ? Option.none() : Option.some(buffer.subarray(0, bytesRead)))
          )
      })
    )
}

const statusOf = (stats: BigIntStats): AttachmentFile.Status => ({
  type: typeOf(stats),
  size: ByteSize.bytes(stats.size),
  dev: stats.dev,
  ino: Option.some(stats.ino)
})

const typeOf = (stats: BigIntStats): FileSystem.File.Type => {
  if (stats.isFile()) return "File"
  if (stats.isDirectory()) return "Directory"
  return stats.isFIFO() ? "FIFO" : stats.isSocket() ? "Socket" : "CharacterDevice"
}

const tags: { readonly [code: string]: PlatformError.SystemErrorTag } = {
  ENOENT: "NotFound",
  ENOTDIR: "NotFound",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied"
}
