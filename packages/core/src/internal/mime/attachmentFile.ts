/**
 * Attachments given by a path: read when the mail is composed if small, else at each attempt while it is sent.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as AttachmentFile from "../../AttachmentFile.ts"
import * as MailError from "../../MailError.ts"
import type { Source } from "./attachmentEntity.ts"

/** Larger files are streamed. */
export const maxHeldBytes = 1024 * 1024

/** Finds the file, and reads it if it is small. */
export const open = (
  field: string,
  path: string,
  policy: AttachmentFile.Policy
): Effect.Effect<Source, MailError.MailError> =>
  Effect.flatMap(Effect.serviceOption(FileSystem.FileSystem), (service) => {
    if (Option.isNone(service))
      return Effect.fail(
        MailError.invalid(field, "no FileSystem is at hand to read it; provide NodeServices.layer, or give content")
      )
    const opening = AttachmentFile.open(service.value, field, path, policy)
    return Effect.scoped(
      Effect.flatMap(opening, (opened): Effect.Effect<Source, MailError.MailError> => {
        const { size } = opened
        if (size <= maxHeldBytes) return AttachmentFile.collect(field, opened)
        // Each attempt looks again at what it opens.
        return Effect.succeed({ size, stream: Stream.unwrap(Effect.map(opening, ({ bytes }) => bytes)) })
      })
    )
  })
