/**
 * Attachments as they are stored: their bytes in hand, and large ones under their hash, so that a campaign's file is
 * stored once.
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

/** Attachments from this many bytes on are stored under their hash. */
const sharedAttachment = 4096

/** An attachment as it goes into the mail's JSON, and what that refers to. */
export interface Materialized {
  readonly stored: Mail.Attachment
  readonly shared: Shared | undefined
}

/** An attachment with its bytes in hand: a large one under its hash, a small one in base64. */
export const materialize = (
  attachment: Mail.Attachment,
  index: number
): Effect.Effect<Materialized, OutboxError.OutboxError> => {
  const { content, encoding, path, ...rest } = attachment
  const place = `attachments[${index}]`
  if (typeof content === "string") {
    const whole = encoding === undefined ? content : Buffer.from(content, encoding)
    return Effect.succeed(store(content.length < sharedAttachment ? attachment : rest, whole))
  }
  if (content instanceof Uint8Array) return Effect.succeed(store(rest, content))
  if (content !== undefined) return Effect.map(collect(`${place}.content`, content), (whole) => store(rest, whole))
  if (path === undefined) return Effect.fail(OutboxError.invalid(place, "has neither content nor path"))
  return Effect.flatMap(AttachmentFile.AttachmentsFrom, (policy) =>
    Effect.mapBoth(AttachmentFile.read(NodeFiles.files, `${place}.path`, path, policy), {
      onFailure: ({ reason }) =>
        reason._tag === "InvalidMessage"
          ? OutboxError.invalid(reason.field, reason.problem)
          : OutboxError.invalid(`${place}.path`, reason.message),
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

/** Puts the bytes back that `materialize` took out. Throws when they are missing. */
export const attach =
  (parts: ReadonlyArray<Shared>) =>
  (stored: { readonly [field: string]: unknown }): { readonly [field: string]: unknown } => {
    if (stored[hashField] === undefined) return stored
    const { [hashField]: hash, ...attachment } = stored
    const part = parts.find((part) => part.hash === hash)
    if (part === undefined) throw new Error(`the stored attachment ${String(hash)} is missing`)
    return { ...attachment, content: part.content }
  }

/** A content under its hash. Bytes are copied, so that nobody changes them before they are stored. */
export const share = (content: Content): Shared => {
  if (typeof content === "string") return { hash: hashOf("t", content), content }
  const known = copies.get(content)
  if (known !== undefined && Buffer.compare(known.content, content) === 0) return known
  const copy = Uint8Array.from(content)
  const shared = { hash: hashOf("b", copy), content: copy }
  copies.set(content, shared)
  return shared
}

/** All bytes of a stream. */
export const collect = <E>(field: string, stream: Stream.Stream<Uint8Array, E>) =>
  Effect.mapError(Stream.mkUint8Array(stream), (error) =>
    OutboxError.invalid(field, `cannot be read (${error instanceof Error ? error.message : String(error)})`)
  )

const hashField = "~hash"

/** The same bytes given again are compared, which is ten times as fast as hashing them again. */
const copies = new WeakMap<Uint8Array, { readonly hash: string; readonly content: Uint8Array }>()

const hashOf = (kind: "t" | "b", content: Content): string =>
  createHash("sha256").update(kind).update(content).digest("hex")
