/**
 * Header and body put together: one buffer where everything is at hand, else a stream.
 */
import * as Stream from "effect/Stream"
import type * as Composed from "../../Composed.ts"
import type * as MailError from "../../MailError.ts"
import * as AddressSyntax from "../address/addressSyntax.ts"
import * as Base64 from "./base64.ts"
import type * as MimeEntity from "./entity.ts"

/** A message's bytes and what a relay must know of them. */
export interface Message {
  readonly content: Composed.Content
  /** In bytes; 0 if that is not known. */
  readonly size: number
  readonly utf8Headers: boolean
}

/** Joins a header (each field ended by CRLF) and an entity, and sees to the last CRLF. */
export const make = (header: string, entity: MimeEntity.Entity): Message => {
  const utf8Headers = !AddressSyntax.isAscii(header)
  const head = `${utf8Headers ? Buffer.from(header).toString("latin1") : header}${entity.header}\r\n`
  const { body } = entity
  const only = body[0]
  if (body.length === 1 && typeof only === "string") {
    const content = Buffer.from(endsLine(only) ? head + only : `${head}${only}\r\n`, "latin1")
    return { content, size: content.length, utf8Headers }
  }
  const last = body.at(-1)
  const pieces = [head, ...body, ...(typeof last === "string" && endsLine(last) ? [] : ["\r\n"])]
  let size = 0
  let streamed = false
  let isSizeKnown = true
  for (const piece of pieces) {
    if (typeof piece === "string" || piece instanceof Uint8Array) size += piece.length
    else if ("base64" in piece) size += Base64.encodedLength(piece.base64.length)
    else {
      streamed = true
      size += piece.size ?? 0
      isSizeKnown &&= piece.size !== undefined
    }
  }
  return { content: streamed ? stream(pieces) : join(pieces, size), size: isSizeKnown ? size : 0, utf8Headers }
}

const endsLine = (text: string): boolean => text.endsWith("\r\n") || text === ""

const join = (pieces: ReadonlyArray<MimeEntity.Piece>, size: number): Uint8Array => {
  const out = Buffer.allocUnsafe(size)
  let at = 0
  for (const piece of pieces) {
    if (typeof piece === "string") at += out.write(piece, at, "latin1")
    else if (piece instanceof Uint8Array) {
      out.set(piece, at)
      at += piece.length
    } else if ("base64" in piece) at = Base64.encodeInto(out, at, piece.base64)
  }
  return out
}

const stream = (pieces: ReadonlyArray<MimeEntity.Piece>): Composed.StreamedContent => ({
  _tag: "StreamedContent",
  stream: pieces.map(streamOf).reduce((before, after) => Stream.concat(before, after))
})

const streamOf = (piece: MimeEntity.Piece): Stream.Stream<Uint8Array, MailError.MailError> => {
  if (typeof piece === "string") return Stream.succeed(Buffer.from(piece, "latin1"))
  if (piece instanceof Uint8Array) return Stream.succeed(piece)
  return "base64" in piece ? Stream.suspend(() => Stream.succeed(Base64.encode(piece.base64))) : piece.stream
}
