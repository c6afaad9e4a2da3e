/**
 * The part of a FileSystem that attachments need, on Node's own, for a package that depends on no platform.
 */
import type { BigIntStats } from "node:fs"
import * as fs from "node:fs/promises"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"

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

const statusOf = (info: BigIntStats): FileSystem.File.Info => ({
  type: info.isDirectory() ? "Directory" : info.isFile() ? "File" : info.isFIFO() ? "FIFO" : "CharacterDevice",
  size: ByteSize.bytes(info.size),
  mode: Number(info.mode),
  dev: info.dev,
  ino: Option.some(info.ino),
  mtime: Option.some(info.mtime),
  atime: Option.none(),
  birthtime: Option.none(),
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  blksize: Option.none(),
  blocks: Option.none()
})

/** A file that is open; with `number` it tells its descriptor, as Node's does. */
const fileOf = (handle: fs.FileHandle, path: string, tellsNumber: boolean): FileSystem.File =>
  ({
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    ...(tellsNumber ? { fd: handle.fd } : {}),
    stat: Effect.map(
      attempt("stat", path, () => handle.stat({ bigint: true })),
      statusOf
    ),
    readAlloc: (size: number, { position }: FileSystem.File.ReadOptions = {}) =>
      Effect.map(
        attempt("readAlloc", path, () => handle.read(Buffer.alloc(size), 0, size, Number(position))),
        ({ buffer, bytesRead }) => (bytesRead === 0 ? Option.none() : Option.some(buffer.subarray(0, bytesRead)))
      )
  }) as unknown as FileSystem.File

const service = (tellsNumber: boolean): Partial<FileSystem.FileSystem> => ({
  realPath: (path) => attempt("realPath", path, () => fs.realpath(path)),
  readLink: (path) => attempt("readLink", path, () => fs.readlink(path)),
  stat: (path) =>
    Effect.map(
      attempt("stat", path, () => fs.stat(path, { bigint: true })),
      statusOf
    ),
  open: (path) =>
    Effect.map(
      Effect.acquireRelease(
        attempt("open", path, () => fs.open(path)),
        (handle) => Effect.promise(() => handle.close())
      ),
      (handle) => fileOf(handle, path, tellsNumber)
    )
})

/** Reads real files; everything else fails. */
export const layer = FileSystem.layerNoop(service(true))

/** The same where a descriptor's number is not to be had, as on another platform. */
export const layerElsewhere = FileSystem.layerNoop(service(false))
