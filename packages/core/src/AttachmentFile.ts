/**
 * Opens the files that a message attaches by `path`, and decides which files it may attach.
 *
 * A program that writes its own messages may attach any file of the machine, which is the default. A program that accepts
 * messages from others must not allow that, or somebody sends themselves `/etc/passwd`. Such a program names the folder of its
 * attachments, for all messages (`AttachmentsFrom`) or for one composer (`MimeComposer.make`, `Template.compile`).
 *
 * The real location of a file counts, with symbolic links followed. It is checked after the file was opened, because a path
 * may lead elsewhere a moment later. Hard links cannot be told from the file itself, so people who may write messages must not
 * be able to make them. In any folder, only regular files are read, no files below `/proc` and `/sys`, and no more bytes
 * than the file had when it was opened.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as MailError from "./MailError.ts"

/**
 * Where attached files may lie: `anywhere`, `nowhere`, or below a folder. A relative folder starts at the working
 * directory; a folder of one of these two names is written `./anywhere`.
 *
 * @since 0.1.0
 */
export type From = "anywhere" | "nowhere" | (string & {})

/**
 * The place where files may lie, and the remedy for a file that lies elsewhere.
 *
 * @since 0.1.0
 */
export interface Policy {
  readonly from: From
  /** What to try, as an imperative without a full stop. */
  readonly remedy: string
}

/**
 * The place where the files of all composed messages may lie. Defaults to `anywhere`.
 *
 * @since 0.1.0
 */
export const AttachmentsFrom = Context.Reference<Policy>("mailrace/AttachmentsFrom", {
  defaultValue: () => policy("anywhere")
})

/**
 * A policy with its remedy in the words of this library.
 *
 * @since 0.1.0
 */
export const policy = (from: From): Policy => ({
  from,
  remedy: "name its folder with attachmentsFrom, or give its content"
})

/**
 * The policy of an option, or `AttachmentsFrom` if the option is absent.
 *
 * @since 0.1.0
 */
export const policyOf = (from: From | undefined): Effect.Effect<Policy> =>
  from === undefined ? AttachmentsFrom : Effect.succeed(policy(from))

/**
 * The operations of a `FileSystem` that this module needs.
 *
 * @since 0.1.0
 */
export interface Files extends Pick<FileSystem.FileSystem, "readLink" | "realPath"> {
  readonly stat: (path: string) => Effect.Effect<Status, PlatformError.PlatformError>
  readonly open: (path: string) => Effect.Effect<Handle, PlatformError.PlatformError, Scope.Scope>
}

/**
 * The facts about a file that are checked.
 *
 * @since 0.1.0
 */
export type Status = Pick<FileSystem.File.Info, "type" | "size" | "dev" | "ino"> &
  Partial<Pick<FileSystem.File.Info, "mtime">>

/**
 * An open file.
 *
 * @since 0.1.0
 */
export interface Handle extends Pick<FileSystem.File, "readAlloc"> {
  readonly stat: Effect.Effect<Status, PlatformError.PlatformError>
}

/**
 * A file that may be attached.
 *
 * @since 0.1.0
 */
export interface Opened {
  /** Its size in bytes, and the most bytes that are read. */
  readonly size: number
  /**
   * A value that no other file has, nor this one with other bytes: device, inode, size and time of change. `undefined` if it
   * is not known, or if the file changed a moment ago and may change again within the same tick of its clock.
   */
  readonly identity: string | undefined
  /** Its bytes. Fails with `InvalidMessage` if they are more or fewer than `size`, as when somebody writes the file. */
  readonly bytes: Stream.Stream<Uint8Array, MailError.MailError>
}

/**
 * The largest file that is read into memory: 1 GiB.
 *
 * @since 0.1.0
 */
export const maxHeldBytes = 1024 ** 3

/**
 * Opens a file for the scope; `field` is the place in the message, as in `attachments[0].path`. Fails with `InvalidMessage`.
 *
 * @since 0.1.0
 */
export const open = (
  files: Files,
  field: string,
  path: string,
  policy: Policy
): Effect.Effect<Opened, MailError.MailError, Scope.Scope> =>
  Effect.gen(function* () {
    const refuse = (problem: string) => Effect.fail(MailError.invalid(field, problem))
    const cannot = (error: PlatformError.PlatformError) => unreadable(field, path, error)
    if (path === "" || path.includes("\0")) return yield* refuse("it is not a path; give the path of a file")
    if (policy.from === "nowhere")
      return yield* refuse(`${path} is not attached, because no folder for attachments is named; ${policy.remedy}`)
    const folder = policy.from === "anywhere" ? undefined : yield* folderOf(files, field, policy.from)
    const outside = `${path} is not below ${policy.from}, where attachments come from; ${policy.remedy}`
    const irregular = `${path} is not a regular file; name a regular one`
    const judge = (place: string): Effect.Effect<void, MailError.MailError> => {
      if (folder !== undefined && place !== folder && !isBelow(place, folder)) return refuse(outside)
      return isKernels(place) ? refuse(irregular) : Effect.void
    }
    const real = yield* Effect.mapError(files.realPath(path), (error) =>
      // A sender who may not read the file must not learn if it exists.
      folder !== undefined && isElsewhere(path, policy.from, folder) ? MailError.invalid(field, outside) : cannot(error)
    )
    yield* judge(real)
    // Checked before it is opened: opening a pipe waits for its writer, and opening a device can have an effect.
    const { type } = yield* Effect.mapError(files.stat(real), cannot)
    if (type === "Directory") return yield* refuse(`${path} is a folder; name a file in it`)
    if (type !== "File") return yield* refuse(irregular)
    const file = yield* Effect.mapError(files.open(real), cannot)
    const info = yield* Effect.mapError(file.stat, cannot)
    if (info.type !== "File") return yield* refuse(irregular)
    const place = yield* placeOf(files, file, info, real)
    if (place === undefined) return yield* refuse(`${path} was replaced while it was opened; try again`)
    yield* judge(place)
    const size = Number(info.size)
    return { size, identity: identityOf(info), bytes: bytesOf(file, size, field, path) } satisfies Opened
  })

/**
 * Reads a whole file. Fails with `InvalidMessage`.
 *
 * @since 0.1.0
 */
export const read = (
  files: Files,
  field: string,
  path: string,
  policy: Policy
): Effect.Effect<Uint8Array, MailError.MailError> =>
  Effect.scoped(Effect.flatMap(open(files, field, path, policy), (opened) => collect(field, opened)))

/**
 * All bytes of an opened file.
 *
 * @since 0.1.0
 */
export const collect = (field: string, { bytes, size }: Opened): Effect.Effect<Uint8Array, MailError.MailError> =>
  size > maxHeldBytes
    ? Effect.fail(tooLarge(field, size))
    : Effect.map(Stream.runCollect(bytes), (chunks) => (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)))

/**
 * The error of a file with more than `maxHeldBytes` that would be read into memory.
 *
 * @since 0.1.0
 */
export const tooLarge = (field: string, size: number): MailError.MailError =>
  MailError.invalid(
    field,
    `it has ${size} bytes, and a file read as a whole ${maxHeldBytes} at most; link to it instead`
  )

const folderOf = (files: Files, field: string, folder: string): Effect.Effect<string, MailError.MailError> =>
  Effect.mapError(files.realPath(folder), ({ reason }) =>
    MailError.invalid(
      field,
      `${folder}, where attachments come from, cannot be found (${reason._tag}); correct attachmentsFrom`
    )
  )

/**
 * The location of an open file. Linux reports it for the descriptor itself. Elsewhere the path that was opened must still
 * be free of links and lead to the same file.
 */
const placeOf = (files: Files, file: Handle, info: Status, real: string): Effect.Effect<string | undefined, never> =>
  Effect.orElseSucceed(
    Effect.gen(function* () {
      const descriptor = "fd" in file && typeof file.fd === "number" ? file.fd : undefined
      if (descriptor !== undefined) {
        const known = yield* Effect.option(files.readLink(`/proc/self/fd/${descriptor}`))
        if (Option.isSome(known)) return known.value
      }
      const now = yield* files.stat(real)
      const isSame = now.dev === info.dev && Option.getOrNull(now.ino) === Option.getOrNull(info.ino)
      return isSame && (yield* files.realPath(real)) === real ? real : undefined
    }),
    () => undefined
  )

/** How long a file must have been left alone, in milliseconds: file systems have clocks of up to 2 seconds. */
const settledAfter = 2000

const identityOf = ({ dev, ino, mtime, size }: Status): string | undefined => {
  const node = Option.getOrUndefined(ino)
  const changed = mtime === undefined ? undefined : Option.getOrUndefined(mtime)?.getTime()
  return node === undefined || changed === undefined || Date.now() - changed < settledAfter
    ? undefined
    : [dev, node, size, changed].join(":")
}

const isBelow = (place: string, folder: string): boolean =>
  place.startsWith(/[\\/]$/.test(folder) ? folder : `${folder}${folder.includes("\\") ? "\\" : "/"}`)

/** True if a path to no file would lead out of the folder, as far as its text shows. */
const isElsewhere = (path: string, given: string, real: string): boolean =>
  /^(?:[\\/]|[A-Za-z]:)/.test(path)
    ? /[\\/]\.\.(?:[\\/]|$)/.test(path) || !(isBelow(path, given) || isBelow(path, real))
    : false

/** The kernel makes these files up as they are read: they claim no size and may have no end. */
const isKernels = (place: string): boolean => /^\/(?:proc|sys)(?:\/|$)/.test(place)

const chunkBytes = 256 * 1024

const bytesOf = (
  file: Handle,
  size: number,
  field: string,
  path: string
): Stream.Stream<Uint8Array, MailError.MailError> =>
  Stream.suspend(() => {
    let read = 0
    const next: Effect.Effect<Uint8Array | undefined, MailError.MailError> = Effect.suspend(() =>
      // Reads one byte more than expected, to notice a longer file.
      file.readAlloc(Math.min(chunkBytes, size - read + 1), { position: BigInt(read) })
    ).pipe(
      Effect.mapError((error) => unreadable(field, path, error)),
      Effect.flatMap((chunk) => {
        const length = Option.isSome(chunk) ? chunk.value.length : 0
        read += length
        if (read > size || (length === 0 && read < size))
          return Effect.fail(
            MailError.invalid(
              field,
              `${path} had ${size} bytes when it was opened, and now has ${read > size ? "more" : `${read}`}; try again when it is whole`
            )
          )
        return Effect.succeed(Option.getOrUndefined(chunk))
      })
    )
    return Stream.unfold(undefined, () =>
      Effect.map(next, (chunk) => (chunk === undefined ? undefined : ([chunk, undefined] as const)))
    )
  })

const unreadable = (field: string, path: string, { reason }: PlatformError.PlatformError): MailError.MailError => {
  switch (reason._tag) {
    case "NotFound": {
      const start = /^(?:[\\/]|[A-Za-z]:)/.test(path) ? "" : ", which starts at the working directory"
      return MailError.invalid(field, `there is no such file: ${path}; check the path${start}`)
    }
    case "PermissionDenied":
      return MailError.invalid(field, `this process may not read ${path}; change its permissions`)
    default:
      return MailError.invalid(field, `${path} cannot be read: ${reason._tag}; check the file and its disk`)
  }
}
