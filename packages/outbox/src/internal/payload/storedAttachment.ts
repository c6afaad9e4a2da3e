/**
 * The stored form of attachments: with their bytes, and large ones under their hash, so that the file of a campaign
 * is stored once.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as Path from "node:path"
import * as AttachmentFile from "mailrace/AttachmentFile"
import type * as Mail from "mailrace/Mail"
import * as OutboxError from "../../OutboxError.ts"
import * as NodeFiles from "./nodeFiles.ts"
import type { Content, Shared } from "../store/storedContent.ts"

/** The size in bytes from which attachments are stored under their hash. */
const sharedAttachment = 4096

/** An attachment as it goes into the JSON of the message, and the content that it refers to. */
export interface Materialized {
  readonly stored: Mail.Attachment
  readonly shared: Shared | undefined
}

/** Reads an attachment's bytes: a large one goes under its hash, a small one into base64. */
export const materialize = (
  attachment: Mail.Attachment,
  index: number
): Effect.Effect<Materialized, OutboxError.OutboxError> => {
  const { content, encoding, path, ...rest } = attachment
  const field = `attachments[${index}]`
  if (typeof content === "string") {
    const whole = encoding === undefined ? content : Buffer.from(content, encoding)
    return Effect.succeed(store(content.length < sharedAttachment ? attachment : rest, whole))
  }
  if (content instanceof Uint8Array) return Effect.succeed(store(rest, content))
  if (content !== undefined) return Effect.map(collect(`${field}.content`, content), (whole) => store(rest, whole))
  if (path === undefined) return Effect.fail(OutboxError.invalid(field, "has neither content nor path"))
  return Effect.flatMap(AttachmentFile.AttachmentsFrom, (policy) =>
    Effect.mapBoth(AttachmentFile.read(NodeFiles.files, `${field}.path`, path, policy), {
      onFailure: ({ reason }) =>
        reason._tag === "InvalidMessage"
          ? OutboxError.invalid(reason.field, reason.problem)
          : OutboxError.invalid(`${field}.path`, reason.message),
      onSuccess: (whole) => store({ ...rest, filename: rest.filename ?? Path.basename(path) }, whole)
    })
  )
}

const store = (attachment: Mail.Attachment, content: Content): Materialized => {
  if (attachment.content !== undefined) return { stored: attachment, shared: undefined }
  if (content.length >= sharedAttachment) {
    const shared = share(content)
    return { stored: { ...attachment, [hashField]: shared.hash } as Mail.Attachment, shared }
  }
  const small = typeof content === "string" ? content : Buffer.from(content).toString("base64")
  return {
    stored: { ...attachment, content: small, ...(typeof content === "string" ? {} : { encoding: "base64" }) },
    shared: undefined
  }
}

/** Restores the bytes that `materialize` took out. Throws if they are missing. */
export const attach =
  (parts: ReadonlyArray<Shared>) =>
  (stored: { readonly [field: string]: unknown }): { readonly [field: string]: unknown } => {
    if (stored[hashField] === undefined) return stored
    const { [hashField]: hash, ...attachment } = stored
    const part = parts.find((part) => part.hash === hash)
    if (part === undefined) throw new Error(`the stored attachment ${String(hash)} is missing`)
    return { ...attachment, content: part.content }
  }

/** A content under its hash. It copies bytes, so that nobody changes them before they are stored. */
export const share = (content: Content): Shared => {
  if (typeof content === "string") return { hash: hashOf("t", content), content }
  const known = copies.get(content)
  if (known !== undefined && Buffer.compare(known.content, content) === 0) return known
  const copy = Uint8Array.from(content)
  const shared = { hash: hashOf("b", copy), content: copy }
  copies.set(content, shared)
  return shared
}

/** Collects all bytes of a stream. */
export const collect = <E>(field: string, stream: Stream.Stream<Uint8Array, E>) =>
  Effect.mapError(Stream.mkUint8Array(stream), (error) =>
    OutboxError.invalid(field, `cannot be read (${error instanceof Error ? error.message : String(error)})`)
  )

const hashField = "~hash"

/** Copies by their source. Comparing bytes that repeat is ten times as fast as hashing them again. */
const copies = new WeakMap<Uint8Array, { readonly hash: string; readonly content: Uint8Array }>()

const hashOf = (kind: "t" | "b", content: Content): string =>
  createHash("sha256").update(kind).update(content).digest("hex")
