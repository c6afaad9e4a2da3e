/**
 * A message's attachments with their bytes: at hand, or to be read from a file or a stream.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type From, type Policy, policyOf } from "../../AttachmentFile.ts"
import type * as Mail from "../../Mail.ts"
import * as MailError from "../../MailError.ts"
import * as AttachmentEntity from "./attachmentEntity.ts"
import * as AttachmentFile from "./attachmentFile.ts"
import { attempt } from "../model/attempt.ts"
import type * as MailBody from "./mailBody.ts"

/** Files and streams take the longer way. */
export const mustBeOpened = (attachment: Mail.Attachment): boolean =>
  attachment.path !== undefined || Stream.isStream(attachment.content)

/** Attachments that are all at hand. Throws `MailError`. */
export const heldUnsafe = (attachments: ReadonlyArray<Mail.Attachment>): ReadonlyArray<MailBody.Resolved> =>
  attachments.map((attachment, index) => {
    const description = AttachmentEntity.describeUnsafe(attachment, index)
    return { description, source: AttachmentEntity.bytesUnsafe(description.field, attachment) }
  })

/**
 * Attachments of any kind: small files are read, larger ones found and streamed later. `from` is where files may lie;
 * without it `AttachmentsFrom` says so.
 */
export const open = (
  attachments: ReadonlyArray<Mail.Attachment>,
  from?: From
): Effect.Effect<ReadonlyArray<MailBody.Resolved>, MailError.MailError> =>
  Effect.flatMap(policyOf(from), (policy) =>
    Effect.forEach(attachments, (attachment, index) =>
      Effect.flatMap(
        attempt(() => AttachmentEntity.describeUnsafe(attachment, index)),
        (description) => Effect.map(openOne(attachment, description, policy), (source) => ({ description, source }))
      )
    )
  )

const openOne = (
  attachment: Mail.Attachment,
  description: AttachmentEntity.Description,
  policy: Policy
): Effect.Effect<AttachmentEntity.Source, MailError.MailError> => {
  const { content, path } = attachment
  const { field } = description
  if (path !== undefined)
    return content === undefined
      ? Effect.flatMap(AttachmentFile.open(`${field}.path`, path, policy), (source) =>
          // A message goes out as it is at any size, if it can (RFC 2046 §5.2.1).
          source instanceof Uint8Array || !AttachmentEntity.isMessage(description)
            ? Effect.succeed(source)
            : Effect.map(AttachmentEntity.plainBytesOf(source.stream), (plainBytes) => ({ ...source, plainBytes }))
        )
      : Effect.fail(MailError.invalid(field, "it has both content and a path; give one of them"))
  return Stream.isStream(content)
    ? Effect.succeed(AttachmentEntity.fromStream(field, content as Stream.Stream<Uint8Array, unknown>, attachment.size))
    : attempt(() => AttachmentEntity.bytesUnsafe(field, attachment))
}
