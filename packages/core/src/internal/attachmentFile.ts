/**
 * Attachments given by a path: read when the mail is composed if small, else at each attempt while it is sent.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as MailError from "../MailError.ts"
import type { Source } from "./attachmentEntity.ts"

/** Larger files are streamed. */
export const maxHeldBytes = 1024 * 1024

const chunkSize = 256 * 1024

/** Finds the file, and reads it if it is small. */
export const open = (field: string, path: string): Effect.Effect<Source, MailError.MailError> =>
  Effect.flatMap(Effect.serviceOption(FileSystem.FileSystem), (service) => {
    if (Option.isNone(service))
      return Effect.fail(
        MailError.invalid(field, "no FileSystem is at hand to read it; provide NodeServices.layer, or give content")
      )
    if (path === "" || path.includes("\0"))
      return Effect.fail(MailError.invalid(field, "it is no path; give the path of a file"))
    const files = service.value
    return Effect.matchEffect(files.stat(path), {
      onFailure: (error) => Effect.fail(unreadable(field, error)),
      onSuccess: (info) => {
        if (info.type !== "File")
          return Effect.fail(
            MailError.invalid(field, info.type === "Directory" ? "it is a folder; name a file in it" : "it is no file")
          )
        const size = Number(info.size)
        if (size <= maxHeldBytes) return Effect.mapError(files.readFile(path), (error) => unreadable(field, error))
        const stream = Stream.mapError(files.stream(path, { chunkSize }), (error) => unreadable(field, error))
        // Better refused now than in the middle of a message.
        return Effect.mapBoth(files.access(path, { readable: true }), {
          onFailure: (error) => unreadable(field, error),
          onSuccess: (): Source => ({ stream, size })
        })
      }
    })
  })

const unreadable = (field: string, error: PlatformError.PlatformError): MailError.MailError => {
  switch (error.reason._tag) {
    case "NotFound":
      return MailError.invalid(field, "there is no such file; check the path, which starts at the working directory")
    case "PermissionDenied":
      return MailError.invalid(field, "this process may not read the file; change its permissions")
    default:
      return MailError.invalid(field, `the file cannot be read: ${error.reason._tag}`)
  }
}
