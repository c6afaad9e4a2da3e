/**
 * Converts UTF-16, which Excel ("Unicode text") and PowerShell write, to UTF-8 while it is read.
 *
 * A byte order mark identifies it, or a first ASCII character with a zero byte beside it. Other bytes pass unchanged.
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/**
 * A UTF-16 byte order.
 *
 * @since 0.1.0
 */
export type Encoding = "utf-16le" | "utf-16be"

/**
 * Detects UTF-16 by a text's first bytes; `undefined` for UTF-8 and for other encodings, such as UTF-32.
 *
 * @since 0.1.0
 */
export const encodingOf = ([first, second, third, fourth]: Uint8Array): Encoding | undefined => {
  if (first === undefined || second === undefined) return undefined
  if (first === 0xff && second === 0xfe) return third === 0 && fourth === 0 ? undefined : "utf-16le"
  if (first === 0xfe && second === 0xff) return "utf-16be"
  if (first === 0) return second === 0 ? undefined : "utf-16be"
  return second === 0 && third !== 0 ? "utf-16le" : undefined
}

/**
 * Decodes a whole text; `undefined` if the bytes are not valid UTF-16.
 *
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): string | undefined => {
  const encoding = encodingOf(bytes)
  if (encoding === undefined) return undefined
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * Converts a stream of bytes. `onInvalid` makes the error of truncated UTF-16 and lone surrogates, from a problem that reads on
 * from the text's name, and a remedy.
 *
 * @since 0.1.0
 */
export const toUtf8 =
  <E2>(onInvalid: (problem: string, remedy: string) => E2) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | E2, R> =>
    bytes.pipe(
      Stream.concat(Stream.succeed(undefined)),
      Stream.mapAccumArrayEffect(
        () => new Transcoder(),
        (transcoder, chunks) =>
          Effect.try({
            try: () => [transcoder, chunks.flatMap((chunk) => transcoder.next(chunk))] as const,
            catch: () =>
              onInvalid(
                "is not valid UTF-16: it ends inside a character or contains half of one",
                "save the file again as UTF-8"
              )
          })
      )
    )

/** Accepts chunks, then `undefined` at the end. Throws at invalid UTF-16. */
class Transcoder {
  private held: Uint8Array | undefined = new Uint8Array(0)
  private decoder: InstanceType<typeof TextDecoder> | undefined

  next(chunk: Uint8Array | undefined): ReadonlyArray<Uint8Array> {
    const { held } = this
    if (held === undefined) return this.pass(chunk)
    const begin = chunk === undefined ? held : Buffer.concat([held, chunk])
    if (chunk !== undefined && begin.length < beginning) {
      this.held = begin
      return []
    }
    this.held = undefined
    const encoding = encodingOf(begin)
    if (encoding !== undefined) this.decoder = new TextDecoder(encoding, { fatal: true })
    return [...(begin.length === 0 ? [] : this.pass(begin)), ...(chunk === undefined ? this.pass(undefined) : [])]
  }

  private pass(chunk: Uint8Array | undefined): ReadonlyArray<Uint8Array> {
    if (this.decoder === undefined) return chunk === undefined ? [] : [chunk]
    const text = this.decoder.decode(chunk, { stream: chunk !== undefined })
    return text === "" ? [] : [Buffer.from(text)]
  }
}

/** The number of bytes that identify the encoding. */
const beginning = 4
