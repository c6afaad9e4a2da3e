/**
 * UTF-16, as Excel ("Unicode text") and PowerShell write it, made into UTF-8 while it is read.
 *
 * It is known by its byte order mark, or by an ASCII character with its empty half at the beginning. All else goes through
 * as it is.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"

/** How a text is written that is not UTF-8. */
export type Encoding = "utf-16le" | "utf-16be"

/** The encoding that the first bytes of a text tell; `undefined` for UTF-8 and for what is neither, as UTF-32. */
export const encodingOf = ([first, second, third, fourth]: Uint8Array): Encoding | undefined => {
  if (first === undefined || second === undefined) return undefined
  if (first === 0xff && second === 0xfe) return third === 0 && fourth === 0 ? undefined : "utf-16le"
  if (first === 0xfe && second === 0xff) return "utf-16be"
  if (first === 0) return second === 0 ? undefined : "utf-16be"
  return second === 0 && third !== 0 ? "utf-16le" : undefined
}

/** Reads a whole text; `undefined` when its bytes are not UTF-16 either. */
export const decode = (bytes: Uint8Array): string | undefined => {
  const encoding = encodingOf(bytes)
  if (encoding === undefined) return undefined
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** The same bytes in UTF-8. Fails at UTF-16 that is broken off or has lone surrogates; `name` is what the text is called. */
export const toUtf8 =
  (name: string) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E | CommandError, R> =>
    bytes.pipe(
      Stream.concat(Stream.succeed(undefined)),
      Stream.mapAccumArrayEffect(
        () => new Transcoder(),
        (transcoder, chunks) =>
          Effect.try({
            try: () => [transcoder, chunks.flatMap((chunk) => transcoder.next(chunk))] as const,
            catch: () => broken(name)
          })
      )
    )

const broken = (name: string): CommandError =>
  new CommandError({
    problem: `${name} is UTF-16, and some of it is not: it ends within a character or has half of one`,
    remedy: "save the file again, best as UTF-8"
  })

/** Takes chunks, and `undefined` at the end. Throws at what is not UTF-16. */
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

/** How many bytes tell the encoding. */
const beginning = 4
