/**
 * MIME entities (RFC 2045 §2.4): the header fields that describe a body, and the body, in pieces.
 *
 * A boundary begins with `=_`, which base64 has no letter for and quoted-printable writes as `=3D_`. A part that goes
 * out as it is must therefore not hold `--=_`; such text is sent as quoted-printable instead, so that no content can
 * ever end the part that it stands in.
 */
import type * as Stream from "effect/Stream"
import type * as MailError from "../../MailError.ts"

/** Bytes that are read while the message is sent. */
export interface StreamedPiece {
  readonly stream: Stream.Stream<Uint8Array, MailError.MailError>
  /** How many bytes come, `undefined` when that is not known before. */
  readonly size: number | undefined
}

/** Bytes that are encoded straight into their place when the message is put together. */
export interface Base64Piece {
  readonly base64: Uint8Array
}

/** A piece of a message: ASCII (or bytes as the characters 0–255) in a string, bytes, bytes to encode, or a stream. */
export type Piece = string | Uint8Array | Base64Piece | StreamedPiece

/** A body and the header fields about it, each ended by CRLF. */
export interface Entity {
  readonly header: string
  readonly body: ReadonlyArray<Piece>
  /** True if a byte above 127 occurs (8BITMIME, RFC 6152). */
  readonly eightBit: boolean
}

/** A text that contains this is not sent unchanged. */
export const delimiterMark = "--=_"

/** One entity out of several (RFC 2046 §5.1). `boundary` begins with `=_` and is unlike that of any entity inside. */
export const multipart = (subtype: string, boundary: string, children: ReadonlyArray<Entity>): Entity => {
  const body: Array<Piece> = []
  let text = ""
  for (const child of children) {
    text += `--${boundary}\r\n${child.header}\r\n`
    for (const piece of child.body) {
      if (typeof piece === "string") {
        text += piece
      } else {
        body.push(text, piece)
        text = ""
      }
    }
    text += "\r\n"
  }
  body.push(`${text}--${boundary}--\r\n`)
  const eightBit = children.some((child) => child.eightBit)
  return {
    // Bytes above 127 must be declared on every level (RFC 2045 §6.4).
    header:
      `Content-Type: multipart/${subtype};\r\n boundary="${boundary}"\r\n` +
      (eightBit ? "Content-Transfer-Encoding: 8bit\r\n" : ""),
    body,
    eightBit
  }
}
