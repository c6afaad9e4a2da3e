/**
 * The body of a template's messages: static parts as bytes, and the parts with fields between them.
 *
 * All messages of a template share its boundaries. This is safe because a part with fields is in base64 or quoted-printable,
 * and neither can contain a boundary (see `mime/entity.ts`).
 */
import * as Stream from "effect/Stream"
import type * as Composed from "../../Composed.ts"
import * as AttachmentFile from "../mime/attachmentFile.ts"
import * as Base64 from "../mime/base64.ts"
import * as MailBody from "../mime/mailBody.ts"
import * as MimeEntity from "../mime/entity.ts"
import * as RandomToken from "../mime/randomToken.ts"
import * as TemplateBuffer from "./buffer.ts"
import type * as Scope from "./scope.ts"
import * as TemplateSteps from "./steps.ts"
import * as TextEntity from "../mime/textEntity.ts"

/** A body, ready to be filled in. */
export interface Body {
  /** The header fields about the body, each ended by CRLF. */
  readonly header: string
  readonly pieces: ReadonlyArray<Uint8Array | Part>
  /** The common beginning of all bodies; the whole body if no part has fields. */
  readonly head: Uint8Array
  /** The common end of all bodies; empty if no part has fields. */
  readonly tail: Uint8Array
}

/** A part with fields. */
export interface Part {
  readonly steps: TemplateSteps.Steps
  readonly encoding: TemplateBuffer.Encoding
}

/** Assembles the parts and encodes the static ones. */
export const make = (
  text: TemplateSteps.Steps | undefined,
  html: TemplateSteps.Steps | undefined,
  attachments: ReadonlyArray<MailBody.Resolved>
): Body => {
  const parts = new Map<MimeEntity.Piece, Part>()
  const entity = (contentType: string, steps: TemplateSteps.Steps): MimeEntity.Entity => {
    if (TemplateSteps.isStatic(steps)) return TextEntity.make(contentType, staticText(steps))
    const encoding = TextEntity.isMostlyAscii(staticText(steps)) ? "quoted-printable" : "base64"
    const marker = new Uint8Array(0)
    parts.set(marker, { steps: prepared(steps, encoding), encoding })
    return {
      header: `Content-Type: ${contentType}; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n`,
      body: [marker],
      eightBit: false
    }
  }
  const { body, header } = MailBody.tree(
    {
      text: text === undefined ? undefined : entity("text/plain", text),
      html: html === undefined ? undefined : entity("text/html", html),
      calendar: undefined
    },
    attachments,
    RandomToken.next()
  )
  const pieces: Array<Uint8Array | Part> = []
  let fixed: Array<Uint8Array> = []
  const endFixed = () => {
    if (fixed.length > 0) pieces.push(fixed.length === 1 ? fixed[0]! : Buffer.concat(fixed))
    fixed = []
  }
  for (const piece of body) {
    const part = parts.get(piece)
    if (part === undefined) fixed.push(bytesOf(piece))
    else {
      endFixed()
      pieces.push(part)
    }
  }
  const last = fixed.at(-1)
  if (last !== undefined && last.length > 0 && !endsLine(last)) fixed.push(Buffer.from("\r\n"))
  endFixed()
  const [first] = pieces
  const end = pieces.at(-1)
  return {
    header,
    pieces,
    head: first instanceof Uint8Array ? first : none,
    tail: pieces.length > 1 && end instanceof Uint8Array ? end : none
  }
}

/** Writes a body after the header that is in the buffer. Throws `MailError`. */
export const writeUnsafe = (
  body: Body,
  buffer: TemplateBuffer.TemplateBuffer,
  scope: Scope.Scope,
  missing: TemplateSteps.Missing
): { readonly content: Composed.Content; readonly size: number } => {
  const { pieces } = body
  const references: Array<Reference> = []
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!
    if (!(piece instanceof Uint8Array)) {
      buffer.beginPart(piece.encoding)
      TemplateSteps.runUnsafe(piece.steps, scope, missing, buffer)
      buffer.endPart(i === pieces.length - 1)
    } else if (piece.length <= copiedTwice) buffer.raw(piece)
    else references.push({ at: buffer.length, bytes: piece })
  }
  if (references.length === 0) return { content: buffer.copy(), size: buffer.length }
  return join(buffer, references)
}

/** Bytes that are not copied into the buffer, with their position in it. */
interface Reference {
  readonly at: number
  readonly bytes: Uint8Array
}

/** Larger pieces go straight into the message, smaller ones through the buffer. */
const copiedTwice = 8 * 1024

const join = (
  buffer: TemplateBuffer.TemplateBuffer,
  references: ReadonlyArray<Reference>
): { readonly content: Composed.Content; readonly size: number } => {
  const chunks: Array<Uint8Array> = []
  let start = 0
  let size = buffer.length
  for (const { at, bytes } of references) {
    chunks.push(buffer.view(start, at), bytes)
    start = at
    size += bytes.length
  }
  chunks.push(buffer.view(start, buffer.length))
  if (references.every(({ bytes }) => bytes.length <= AttachmentFile.maxHeldBytes))
    return { content: Buffer.concat(chunks, size), size }
  // The next message reuses the buffer, so its bytes are copied; shared bytes are not.
  const own = chunks.map((chunk, index) => (index % 2 === 0 ? Buffer.from(chunk) : chunk))
  return { content: { _tag: "StreamedContent", stream: Stream.fromIterable(own, { chunkSize: 1 }) }, size }
}

const none = new Uint8Array(0)

const endsLine = (bytes: Uint8Array): boolean => bytes.at(-2) === 13 && bytes.at(-1) === 10

/** All static text joined, which suffices to choose the encoding. */
const staticText = (steps: TemplateSteps.Steps): string =>
  steps
    .map((step) => {
      switch (step._tag) {
        case "Static":
          return step.text
        case "Value":
          return ""
        case "Choice":
          return staticText(step.yes) + staticText(step.no)
        case "Loop":
          return staticText(step.body) + staticText(step.none)
      }
    })
    .join("")

const prepared = (steps: TemplateSteps.Steps, encoding: TemplateBuffer.Encoding): TemplateSteps.Steps =>
  steps.map((step): TemplateSteps.Step => {
    switch (step._tag) {
      case "Static":
        return { ...step, chunk: TemplateBuffer.chunkOf(step.text, encoding) }
      case "Value":
        return step
      case "Choice":
        return { ...step, yes: prepared(step.yes, encoding), no: prepared(step.no, encoding) }
      case "Loop":
        return { ...step, body: prepared(step.body, encoding), none: prepared(step.none, encoding) }
    }
  })

/** Attachments of a template were read when it was compiled; nothing is left to stream. */
const bytesOf = (piece: MimeEntity.Piece): Uint8Array => {
  if (typeof piece === "string") return Buffer.from(piece, "latin1")
  if (piece instanceof Uint8Array) return piece
  return "base64" in piece ? Base64.encode(piece.base64) : none
}
