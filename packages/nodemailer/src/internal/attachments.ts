/**
 * Reads the attachments of a `Mail` for nodemailer: small ones into memory, large ones anew for each attempt.
 */
import * as AttachmentFile from "mailrace/AttachmentFile"
import type * as Mail from "mailrace/Mail"
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Attachment } from "nodemailer"
import { Readable } from "node:stream"

/** A resolved attachment. */
export interface Opened {
  readonly description: Attachment
  readonly content: string | Buffer | Stream.Stream<Uint8Array, unknown>
  /** Bytes of a stream, where known. */
  readonly size: number | undefined
  readonly field: string
}

/** Larger files are streamed, as the native composer does. */
const maxHeldBytes = 1024 * 1024

/** Finds the files, and reads the small ones. */
export const open = (
  attachments: ReadonlyArray<Mail.Attachment>
): Effect.Effect<ReadonlyArray<Opened>, MailError.MailError> =>
  Effect.forEach(attachments, (attachment, index) => {
    const { content, path } = attachment
    const field = `attachments[${index}]`
    if ((content === undefined) === (path === undefined))
      return Effect.fail(MailError.invalid(field, "it needs either content or a path"))
    const description = describe(attachment)
    if (path !== undefined)
      return Effect.map(openFile(`${field}.path`, path), ({ content, size }) => ({ description, content, size, field }))
    const held =
      content instanceof Uint8Array
        ? Buffer.from(content.buffer, content.byteOffset, content.byteLength)
        : typeof content === "string" && attachment.encoding === "base64"
          ? Buffer.from(content, "base64")
          : content!
    return Effect.succeed({ description, content: held, size: attachment.size, field })
  })

/** True if it is read while the message is sent. */
export const isStreamed = (attachment: Opened): boolean => Stream.isStream(attachment.content)

/** The attachment in nodemailer's form, with a stream opened anew. */
export const read = ({ content, description, field }: Opened): Attachment => ({
  ...description,
  content: Stream.isStream(content) ? Readable.from(pieces(field, content), { objectMode: false }) : content
})

/** The most bytes that they take in the message, where it is known. */
export const size = (attachments: ReadonlyArray<Opened>): number =>
  attachments.reduce((sum, { content, size }) => {
    const bytes = Stream.isStream(content) ? (size ?? 0) : Buffer.byteLength(content)
    return sum + Math.ceil(bytes / 57) * 78 + 1000
  }, 0)

const describe = ({ cid, contentType, filename, path }: Mail.Attachment): Attachment => {
  const name =
    filename ||
    (path === undefined ? undefined : path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1))
  return {
    ...(name === undefined ? {} : { filename: name }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(cid === undefined ? {} : { cid: cid.replace(/^<(.*)>$/, "$1") })
  }
}

type FileContent = Pick<Opened, "content" | "size">

const openFile = (field: string, path: string): Effect.Effect<FileContent, MailError.MailError> =>
  Effect.gen(function* () {
    const service = yield* Effect.serviceOption(FileSystem.FileSystem)
    if (Option.isNone(service))
      return yield* Effect.fail(
        MailError.invalid(field, "there is no FileSystem to read it; provide NodeServices.layer, or give content")
      )
    const policy = yield* AttachmentFile.AttachmentsFrom
    if (policy.from !== "anywhere") return yield* openWithin(service.value, field, path, policy)
    return yield* openAny(service.value, field, path)
  })

/** The program's own paths may lead anywhere. */
const openAny = (files: FileSystem.FileSystem, field: string, path: string) =>
  Effect.gen(function* () {
    const info = yield* files.stat(path)
    if (info.type !== "File") return yield* Effect.fail(MailError.invalid(field, "it is not a file"))
    const size = Number(info.size)
    return size <= maxHeldBytes
      ? { content: Buffer.from(yield* files.readFile(path)), size }
      : { content: files.stream(path), size }
  }).pipe(
    Effect.mapError((error) =>
      MailError.isMailError(error) ? error : MailError.invalid(field, `the file cannot be read: ${error.reason._tag}`)
    )
  )

const openWithin = (files: FileSystem.FileSystem, field: string, path: string, policy: AttachmentFile.Policy) => {
  const opening = AttachmentFile.open(files, field, path, policy)
  return Effect.scoped(
    Effect.flatMap(opening, (opened): Effect.Effect<FileContent, MailError.MailError> => {
      const { size } = opened
      return size <= maxHeldBytes
        ? Effect.map(AttachmentFile.collect(field, opened), (bytes) => ({ content: Buffer.from(bytes), size }))
        : Effect.succeed({ content: Stream.unwrap(Effect.map(opening, ({ bytes }) => bytes)), size })
    })
  )
}

/** nodemailer changes the errors that it passes on, so it gets a new one with the real one as its cause. */
const pieces = (field: string, stream: Stream.Stream<Uint8Array, unknown>): AsyncIterable<Uint8Array> =>
  Stream.toAsyncIterable(
    Stream.mapError(stream, (error) => {
      const cause = MailError.isMailError(error)
        ? error
        : MailError.invalid(
            `${field}.content`,
            `the stream failed: ${error instanceof Error ? error.message : String(error)}`
          )
      return new Error(cause.message, { cause })
    })
  )
