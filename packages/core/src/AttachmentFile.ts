/**
 * Files that a mail attaches by `path`: which of them it may take, and how they are read.
 *
 * A program that writes its mails itself may attach any file of the machine, which is the default. A program that takes
 * mails from others must not, or one of them sends itself `/etc/passwd`. It names the folder that attachments come from,
 * for all that it composes (`AttachmentsFrom`) or for one composer (`MimeComposer.make`, `Template.compile`).
 *
 * What counts is where a file really is, symbolic links followed. It is looked at once the file is open, because a path
 * may lead elsewhere a moment later. Hard links cannot be told from the file, so let nobody make them who may write mails.
 * Whatever the folder, only regular files are read, nothing below `/proc` and `/sys`, and no byte more than a file said to
 * have when it was opened.
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
 */
export type From = "anywhere" | "nowhere" | (string & {})

/** Where the files may lie, and what to do about one that does not. */
export interface Policy {
  readonly from: From
  /** An imperative without a full stop, for whom can do something about it. */
  readonly remedy: string
}

/** Where the files of all mails that are composed may lie. Defaults to `anywhere`. */
export const AttachmentsFrom = Context.Reference<Policy>("mailrace/AttachmentsFrom", {
  defaultValue: () => policy("anywhere")
})

/** A policy with its remedy in the words of this library. */
export const policy = (from: From): Policy => ({
  from,
  remedy: "name its folder with attachmentsFrom, or give its content"
})

/** The policy of an option, or of what is around when the option says nothing. */
export const policyOf = (from: From | undefined): Effect.Effect<Policy> =>
  from === undefined ? AttachmentsFrom : Effect.succeed(policy(from))

/** The part of a `FileSystem` that is needed. */
export interface Files extends Pick<FileSystem.FileSystem, "readLink" | "realPath"> {
  readonly stat: (path: string) => Effect.Effect<Status, PlatformError.PlatformError>
  readonly open: (path: string) => Effect.Effect<Handle, PlatformError.PlatformError, Scope.Scope>
}

/** What is looked at of a file. */
export type Status = Pick<FileSystem.File.Info, "type" | "size" | "dev" | "ino">

/** A file that is open. */
export interface Handle extends Pick<FileSystem.File, "readAlloc"> {
  readonly stat: Effect.Effect<Status, PlatformError.PlatformError>
}

/** A file that was found to be one that may be attached. */
export interface Opened {
  /** How many bytes it has, and the most that are read of it. */
  readonly size: number
  /** Its bytes. Fails with `InvalidMessage` when they are more or fewer than `size`, as of a file that is being written. */
  readonly bytes: Stream.Stream<Uint8Array, MailError.MailError>
}

/** The most bytes of a file that are read into memory: 1 GiB. */
export const maxHeldBytes = 1024 ** 3

/** Opens a file for the scope; `field` is the place in the mail, as in `attachments[0].path`. Fails with `InvalidMessage`. */
export const open = (
  files: Files,
  field: string,
  path: string,
  policy: Policy
): Effect.Effect<Opened, MailError.MailError, Scope.Scope> =>
  Effect.gen(function* () {
    const refuse = (problem: string) => Effect.fail(MailError.invalid(field, problem))
    const cannot = (error: PlatformError.PlatformError) => unreadable(field, path, error)
    if (path === "" || path.includes("\0")) return yield* refuse("it is no path; give the path of a file")
    if (policy.from === "nowhere")
      return yield* refuse(
        `${path} is not attached, as no folder is named where attachments come from; ${policy.remedy}`
      )
    const folder = policy.from === "anywhere" ? undefined : yield* folderOf(files, field, policy.from)
    const outside = `${path} is not below ${policy.from}, where attachments come from; ${policy.remedy}`
    const irregular = `${path} is no file that can be attached; name a regular one`
    const judge = (place: string): Effect.Effect<void, MailError.MailError> => {
      if (folder !== undefined && !isBelow(place, folder)) return refuse(outside)
      return isKernels(place) ? refuse(irregular) : Effect.void
    }
    const real = yield* Effect.mapError(files.realPath(path), (error) =>
      // Whether there is such a file is nobody's business who may not read it.
      folder !== undefined && isElsewhere(path, policy.from, folder) ? MailError.invalid(field, outside) : cannot(error)
    )
    yield* judge(real)
    // Before it is opened, because opening a pipe waits for its writer and opening a device may do something.
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
    return { size, bytes: bytesOf(file, size, field, path) } satisfies Opened
  })

/** Reads a file whole. Fails with `InvalidMessage`. */
export const read = (
  files: Files,
  field: string,
  path: string,
  policy: Policy
): Effect.Effect<Uint8Array, MailError.MailError> =>
  Effect.scoped(Effect.flatMap(open(files, field, path, policy), (opened) => collect(field, opened)))

/** All bytes of an opened file. */
export const collect = (field: string, { bytes, size }: Opened): Effect.Effect<Uint8Array, MailError.MailError> =>
  size > maxHeldBytes
    ? Effect.fail(tooLarge(field, size))
    : Effect.map(Stream.runCollect(bytes), (chunks) => (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)))

/** The error of a file that is to be read into memory and has more than `maxHeldBytes`. */
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
 * Where an open file is. Linux tells of the descriptor itself. Elsewhere the path that was opened must still be free of
 * links and lead to the same file.
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

const isBelow = (place: string, folder: string): boolean =>
  place.startsWith(/[\\/]$/.test(folder) ? folder : `${folder}${folder.includes("\\") ? "\\" : "/"}`)

/** Whether a path that leads to nothing would lead out of the folder, as far as its letters tell. */
const isElsewhere = (path: string, given: string, real: string): boolean =>
  /^(?:[\\/]|[A-Za-z]:)/.test(path)
    ? /[\\/]\.\.(?:[\\/]|$)/.test(path) || !(isBelow(path, given) || isBelow(path, real))
    : false

/** What the kernel makes up as it is read: it claims no size, and may have no end. */
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
      // One byte more than is expected tells whether there is more.
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
