/**
 * A message ready for the wire: its envelope and its bytes.
 *
 * The bytes are in the Internet message format (RFC 5322): header, empty line, body, with CRLF line endings. The transport
 * adds the dots that DATA needs.
 *
 * @since 0.1.0
 */

import type * as Stream from "effect/Stream"
import type * as Envelope from "./Envelope.ts"
import type * as MailError from "./MailError.ts"

/**
 * Content too large to hold in memory; each attempt reads it anew.
 *
 * @since 0.1.0
 */
export interface StreamedContent {
  readonly _tag: "StreamedContent"
  /** Opens the bytes from their beginning; called once for each attempt. */
  readonly stream: Stream.Stream<Uint8Array, MailError.MailError>
}

/**
 * The bytes of a message, whole or streamed.
 *
 * @since 0.1.0
 */
export type Content = Uint8Array | StreamedContent

/**
 * A message ready for the wire.
 *
 * @since 0.1.0
 */
export interface Composed {
  readonly _tag: "Composed"
  /** The caller's name for the message, carried through to its `Delivery`. */
  readonly id?: string | undefined
  /** The Message-ID with its angle brackets (RFC 5322 §3.6.4); the same at each attempt. */
  readonly messageId: string
  /** The sender and the recipients. */
  readonly envelope: Envelope.Envelope
  /** Header, empty line and body (RFC 5322 §2.1), without the dots that DATA doubles. */
  readonly content: Content
  /** Bytes of the content before dot-stuffing (SIZE, RFC 1870); 0 for streamed content whose size is not known. */
  readonly size: number
  /** True if a body byte above 127 occurs, so that the relay must offer 8BITMIME (RFC 6152). Defaults to false. */
  readonly eightBit?: boolean | undefined
  /** True if a header holds raw UTF-8, so that the relay must offer SMTPUTF8 (RFC 6531). Defaults to false. */
  readonly utf8Headers?: boolean | undefined
  /** The tenant whose quota the message counts against. */
  readonly tenant?: string | undefined
}

/**
 * The parts of a body that other messages share, as the messages of one template do.
 *
 * @since 0.1.0
 */
export interface SharedBody {
  /** The offset of the body in `content`. */
  readonly start: number
  /** The common beginning of such bodies, the same object each time; the whole body if they are all alike. */
  readonly head: Uint8Array
  /** The common end of such bodies, the same object each time; empty if they are all alike. */
  readonly tail: Uint8Array
}

/**
 * The input of `make`.
 *
 * @since 0.1.0
 */
export type Options = Omit<Composed, "_tag" | "size"> & {
  /** Required for streamed content; counted otherwise. */
  readonly size?: number | undefined
}

/**
 * Makes a `Composed` from parts that are already valid, as in a benchmark or a bridge.
 *
 * @since 0.1.0
 */
export const make = (options: Options): Composed => ({
  ...options,
  _tag: "Composed",
  size: options.content instanceof Uint8Array ? options.content.length : (options.size ?? 0)
})

/**
 * True if a value is a `Composed`, and not a `Mail` still to be composed.
 *
 * @since 0.1.0
 */
export const isComposed = (u: object): u is Composed => "_tag" in u && u._tag === "Composed"

/**
 * True if a value from untyped code is a `Composed` with everything that sending relies on. False for one that throws as it is
 * looked at, such as a revoked proxy.
 *
 * @since 0.1.0
 */
export const isWhole = (u: unknown): u is Composed => {
  try {
    if (typeof u !== "object" || u === null || !isComposed(u)) return false
    const { content, envelope, messageId } = u as { readonly [field in keyof Composed]?: unknown }
    return (
      typeof messageId === "string" &&
      typeof content === "object" &&
      content !== null &&
      typeof envelope === "object" &&
      envelope !== null &&
      Array.isArray((envelope as Partial<Envelope.Envelope>).to)
    )
  } catch {
    return false
  }
}
