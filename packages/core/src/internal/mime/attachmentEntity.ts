/**
 * An attachment as a MIME entity: in base64, so that it comes out as it went in, byte for byte.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Mail from "../../Mail.ts"
import * as MailError from "../../MailError.ts"
import * as AddressSyntax from "../address/addressSyntax.ts"
import * as Base64 from "./base64.ts"
import { CrlfLines } from "./crlfLines.ts"
import * as MediaType from "./mediaType.ts"
import type * as MimeEntity from "./entity.ts"
import * as Parameter from "./parameter.ts"
import * as StructuredField from "./structuredField.ts"
import * as TextEntity from "./textEntity.ts"

/** An attachment's bytes, or how to read them. */
export type Source = Uint8Array | Streamed

/** An attachment that is read while the message is sent. */
export interface Streamed extends MimeEntity.StreamedPiece {
  /** Its base64, where its source makes that itself. */
  readonly encoded?: MimeEntity.StreamedPiece["stream"] | undefined
  /** A message that may go out as it is: how many bytes it has with CRLF for each line break. */
  readonly plainBytes?: number | undefined
}

/** The description of an attachment without its bytes. */
export interface Description {
  /** The place in the message, as in `attachments[0]`. */
  readonly field: string
  readonly filename: string | undefined
  readonly contentType: string
  /** Content-ID without angle brackets; makes the attachment inline. */
  readonly cid: string | undefined
}

/** Checks everything but the content. Throws `MailError`. */
export const describeUnsafe = (attachment: Mail.Attachment, index: number): Description => {
  const field = `attachments[${index}]`
  const given = attachment.filename || (attachment.path === undefined ? undefined : baseName(attachment.path))
  if (attachment.filename !== undefined) refuseLineBreaks(`${field}.filename`, attachment.filename)
  if (attachment.contentType !== undefined) {
    const problem = MediaType.problem(attachment.contentType)
    if (problem !== undefined) throw MailError.invalid(`${field}.contentType`, problem)
  }
  const guessed = attachment.contentType?.replace(/[ ;]+$/, "") ?? MediaType.ofFilename(given)
  const isText = typeof attachment.content === "string" && attachment.encoding !== "base64"
  const charset = isText ? charsetOf(guessed) : undefined
  if (charset !== undefined) refuseOtherCharset(field, charset, attachment.content as string)
  return {
    field,
    filename: given?.replace(/[\r\n\0]/g, "_"),
    contentType: isText && /^text\//i.test(guessed) && charset === undefined ? `${guessed}; charset=utf-8` : guessed,
    cid: attachment.cid === undefined ? undefined : contentIdUnsafe(`${field}.cid`, attachment.cid)
  }
}

const charsetOf = (contentType: string): string | undefined =>
  /charset/i.test(contentType) ? StructuredField.readParameters(contentType).parameters.get("charset") : undefined

/** A text goes out in UTF-8, whatever its type says; ASCII is the same in most charsets. */
const refuseOtherCharset = (field: string, given: string, content: string): void => {
  if (/^utf-?8$/i.test(given)) return
  if (AddressSyntax.isAscii(content) && !/^(?:utf-?(?:7|16|32)|ucs|unicode|ebcdic|cp037|ibm|iso-2022|hz)/i.test(given))
    return
  throw MailError.invalid(
    `${field}.contentType`,
    `a content given as a string is sent in UTF-8, and this says charset=${given}; leave the charset out, or give the content as bytes in it`
  )
}

/** The bytes of an attachment that is at hand. Throws `MailError`. */
export const bytesUnsafe = (field: string, attachment: Mail.Attachment): Uint8Array => {
  const { content, encoding } = attachment
  if (content instanceof Uint8Array) return content
  if (typeof content !== "string") throw MailError.invalid(field, "it has neither content nor a path")
  if (encoding !== "base64") return Buffer.from(content)
  const compact = content.replace(/[\s=]+/g, "")
  if (/[^\w+/-]/.test(compact) || compact.length % 4 === 1)
    throw MailError.invalid(`${field}.content`, "it is not base64; leave encoding out if it is plain text")
  return Buffer.from(compact, "base64")
}

/** The source of a streamed attachment; `size` is the number of bytes that its author states. */
export const fromStream = (
  field: string,
  content: Stream.Stream<Uint8Array, unknown>,
  size: number | undefined
): MimeEntity.StreamedPiece => ({
  size,
  stream: Stream.mapError(content, (error) =>
    MailError.isMailError(error)
      ? error
      : MailError.invalid(
          `${field}.content`,
          `the stream failed: ${error instanceof Error ? error.message : String(error)}`
        )
  )
})

/** The entity of an attachment; `token` is in every boundary of the message. */
export const make = (description: Description, source: Source, token: string): MimeEntity.Entity => {
  if (isMessage(description)) return makeMessage(description, source, token)
  const piece = source instanceof Uint8Array ? { base64: source } : encoded(description.field, source)
  return { header: header(description, "base64"), body: [piece], eightBit: false }
}

/** All message types but `message/global`, which alone may be encoded (RFC 6532 §3.5). */
export const isMessage = ({ contentType }: Pick<Description, "contentType">): boolean =>
  /^message\/(?!global\b)/i.test(contentType)

/**
 * A message inside a message goes out as it is or not at all (RFC 2046 §5.2.1): one that would need an encoding is sent
 * as a file of bytes instead, which mail programs open by its name.
 */
const makeMessage = (description: Description, source: Source, token: string): MimeEntity.Entity => {
  if (!(source instanceof Uint8Array) && source.plainBytes !== undefined)
    return {
      header: header(description, "7bit"),
      body: [{ size: source.plainBytes, stream: plainLines(description.field, source.stream) }],
      eightBit: false
    }
  const text = source instanceof Uint8Array ? asPlainLines(source) : undefined
  if (text !== undefined && !text.includes(token))
    return { header: header(description, "7bit"), body: [text], eightBit: false }
  return make({ ...description, contentType: "application/octet-stream" }, source, token)
}

/** How many bytes a streamed message has with CRLF for each line break, `undefined` if it cannot go out as it is. */
export const plainBytesOf = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<number | undefined, E> =>
  Effect.suspend(() => {
    const lines = new CrlfLines()
    let bytes = 0
    return Effect.map(
      Stream.runForEach(
        Stream.takeWhile(stream, () => lines.isPlain),
        (chunk) => Effect.sync(() => void (bytes += lines.push(chunk).length))
      ),
      () => {
        bytes += lines.end().length
        return lines.isPlain ? bytes : undefined
      }
    )
  })

const plainLines = (field: string, stream: MimeEntity.StreamedPiece["stream"]): MimeEntity.StreamedPiece["stream"] =>
  Stream.suspend(() => {
    const lines = new CrlfLines()
    const bytes = (text: string) => Buffer.from(text, "latin1")
    return Stream.concat(
      Stream.map(stream, (chunk) => bytes(lines.push(chunk))),
      Stream.suspend(() => {
        const last = bytes(lines.end())
        return lines.isPlain
          ? Stream.succeed(last)
          : Stream.fail(
              MailError.invalid(field, "it was written to since the mail was composed; try again when it is whole")
            )
      })
    ).pipe(Stream.filter((chunk) => chunk.length > 0))
  })

const asPlainLines = (bytes: Uint8Array): string | undefined => {
  const lines = TextEntity.toCrlf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"))
  return /^[\x01-\x7f]*$/.test(lines) && TextEntity.hasShortLines(lines) ? lines : undefined
}

const header = ({ cid, contentType, filename }: Description, encoding: string): string => {
  let fields = `Content-Type: ${contentType}`
  if (filename !== undefined && !/;\s*name=/i.test(contentType)) fields += Parameter.compatible("name", filename)
  fields += `\r\nContent-Transfer-Encoding: ${encoding}\r\n`
  fields += `Content-Disposition: ${cid === undefined ? "attachment" : "inline"}`
  if (filename !== undefined) fields += Parameter.extended("filename", filename)
  return cid === undefined ? `${fields}\r\n` : `${fields}\r\nContent-ID: <${cid}>\r\n`
}

/** Larger chunks are cut, so that no chunk of a source decides how much memory its encoding takes. */
const blockBytes = 256 * 1024

const encoded = (field: string, source: Streamed): MimeEntity.StreamedPiece => ({
  size: source.size === undefined ? undefined : Base64.encodedLength(source.size),
  stream: source.encoded ?? encodedStream(field, source)
})

const encodedStream = (field: string, source: MimeEntity.StreamedPiece): MimeEntity.StreamedPiece["stream"] =>
  Stream.suspend(() => {
    const encoder = new Base64.LineEncoder()
    const rest = Stream.suspend(() => {
      // The bytes must match the announced SIZE, and a file that changes while it is read is neither its old nor its new content.
      if (source.size !== undefined && source.size !== encoder.size)
        return Stream.fail(
          MailError.invalid(
            field,
            `${source.size} bytes were announced and ${encoder.size} came; try again when it is whole`
          )
        )
      const last = encoder.end()
      return last.length === 0 ? Stream.empty : Stream.succeed(last)
    })
    return source.stream.pipe(
      Stream.flatMap((chunk) => {
        if (!(chunk instanceof Uint8Array))
          return Stream.fail(MailError.invalid(`${field}.content`, "the stream gives no bytes; use Stream.encodeText"))
        return chunk.length <= blockBytes ? Stream.succeed(chunk) : Stream.fromIterable(blocks(chunk), { chunkSize: 1 })
      }),
      Stream.map((chunk) => encoder.push(chunk)),
      Stream.takeWhile(() => source.size === undefined || encoder.size <= source.size),
      Stream.filter((lines) => lines.length > 0),
      Stream.concat(rest)
    )
  })

function* blocks(chunk: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < chunk.length; start += blockBytes) yield chunk.subarray(start, start + blockBytes)
}

const baseName = (path: string): string => path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1)

const refuseLineBreaks = (field: string, value: string): void => {
  const at = value.search(/[\r\n\0]/)
  if (at !== -1)
    throw MailError.invalid(field, `${AddressSyntax.controlName(value.charCodeAt(at))} is not allowed here`)
}

const contentIdUnsafe = (field: string, cid: string): string => {
  const bare = cid.startsWith("<") && cid.endsWith(">") ? cid.slice(1, -1) : cid
  if (!/^[\x21-\x3b\x3d\x3f-\x7e]{1,200}$/.test(bare))
    throw MailError.invalid(field, "a Content-ID is 1 to 200 printable ASCII characters without spaces or < >")
  return bare
}
