/**
 * The part of a FileSystem that attachments need, on Node's own, for a package that depends on no platform.
 */
import { constants, createReadStream } from "node:fs"
import * as fs from "node:fs/promises"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"

const failed = (method: string, path: string) => (cause: unknown) => {
  const code = (cause as NodeJS.ErrnoException).code
  return PlatformError.systemError({
    _tag: code === "ENOENT" ? "NotFound" : code === "EACCES" ? "PermissionDenied" : "Unknown",
    module: "FileSystem",
    method,
    pathOrDescriptor: path,
    cause
  })
}

const attempt = <A>(method: string, path: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: failed(method, path) })

/** Reads real files; everything else fails. */
export const layer = FileSystem.layerNoop({
  access: (path) => attempt("access", path, () => fs.access(path, constants.R_OK)),
  readFile: (path) => attempt("readFile", path, () => fs.readFile(path)),
  stat: (path) =>
    Effect.map(
      attempt("stat", path, () => fs.stat(path)),
      (info) => ({
        type: info.isDirectory() ? "Directory" : info.isFile() ? "File" : "CharacterDevice",
        size: ByteSize.bytes(info.size),
        mode: info.mode,
        dev: BigInt(info.dev),
        mtime: Option.none(),
        atime: Option.none(),
        birthtime: Option.none(),
        ino: Option.none(),
        nlink: Option.none(),
        uid: Option.none(),
        gid: Option.none(),
        rdev: Option.none(),
        blksize: Option.none(),
        blocks: Option.none()
      })
    ),
  stream: (path, options) =>
    Stream.fromAsyncIterable<Uint8Array, PlatformError.PlatformError>(
      createReadStream(path, { highWaterMark: options?.chunkSize }),
      failed("stream", path)
    )
})
