/**
 * Attachments given by a path. Small ones are read when the message is composed. Larger ones are read at each attempt while the
 * mail is sent, so that messages on their way take no memory for them; messages that attach the same file share it in base64.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as AttachmentFile from "../../AttachmentFile.ts"
import * as MailError from "../../MailError.ts"
import type { Source } from "./attachmentEntity.ts"
import * as Base64 from "./base64.ts"
import { EncodedFiles } from "./encodedFiles.ts"

/**
 * Larger files are streamed. A transport has some 300 messages on their way by default, each with what it holds: that many of
 * this size are 80 MB. In base64 such a file makes a message of 256 KiB, and for larger ones a transport waits for the
 * relay's answer in any case, so that holding the file would gain nothing.
 */
export const maxHeldBytes = 180 * 1024

/** For all messages of the process. */
const encodedFiles = new EncodedFiles()

/** Finds the file, and reads it if it is small. */
export const open = (
  field: string,
  path: string,
  policy: AttachmentFile.Policy
): Effect.Effect<Source, MailError.MailError> =>
  Effect.flatMap(Effect.serviceOption(FileSystem.FileSystem), (service) => {
    if (Option.isNone(service))
      return Effect.fail(
        MailError.invalid(field, "there is no FileSystem to read it; provide NodeServices.layer, or give content")
      )
    const opening = AttachmentFile.open(service.value, field, path, policy)
    return Effect.scoped(
      Effect.flatMap(opening, (opened): Effect.Effect<Source, MailError.MailError> => {
        const { size } = opened
        if (size <= maxHeldBytes) return AttachmentFile.collect(field, opened)
        const again = Effect.filterOrFail(
          opening,
          (now) => now.size === size,
          (now) =>
            MailError.invalid(field, `${size} bytes were announced and ${now.size} came; try again when it is whole`)
        )
        // Each attempt looks again at what it opens.
        return Effect.succeed({
          size,
          stream: Stream.unwrap(Effect.map(again, ({ bytes }) => bytes)),
          encoded: Stream.unwrap(Effect.map(again, encoded))
        })
      })
    )
  })

/** A file in base64. */
const encoded = ({ bytes, identity, size }: AttachmentFile.Opened): Stream.Stream<Uint8Array, MailError.MailError> => {
  const kept = identity === undefined ? undefined : encodedFiles.get(identity)
  if (kept !== undefined) return Stream.fromIterable(kept, { chunkSize: 1 })
  const recording = identity === undefined ? undefined : encodedFiles.record(identity, Base64.encodedLength(size))
  const encoder = new Base64.LineEncoder()
  const lines = Stream.map(bytes, (chunk) => {
    const part = encoder.push(chunk)
    recording?.add(part)
    return part
  })
  const rest = Stream.suspend(() => {
    const last = encoder.end()
    recording?.add(last)
    recording?.end()
    return last.length === 0 ? Stream.empty : Stream.succeed(last)
  })
  return Stream.concat(lines, rest).pipe(Stream.ensuring(Effect.sync(() => recording?.abandon())))
}
