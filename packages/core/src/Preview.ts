/**
 * A composed message as a person reads it, for a look before anything is sent: who it is from and for, its subject, its
 * text and its files, all decoded from the very bytes that would go out.
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Address from "./Address.ts"
import type * as Composed from "./Composed.ts"
import * as MessageBody from "./internal/mime/messageBody.ts"
import * as MimeReader from "./internal/mime/reader.ts"
import * as PlainText from "./internal/template/plainText.ts"
import * as Mailbox from "./Mailbox.ts"
import type * as MailError from "./MailError.ts"

/**
 * A message as a person reads it.
 *
 * @since 0.1.0
 */
export interface Preview {
  /** The fields From, To, Cc, Reply-To and Subject as far as the header has them, then all others, decoded. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  /** The plain text; made from the HTML where the message has no other. */
  readonly text: string
  readonly isFromHtml: boolean
  readonly html: string | undefined
  readonly attachments: ReadonlyArray<Attachment>
  /** Bytes of the message. */
  readonly size: number
  /** Recipients that no header names. */
  readonly bcc: ReadonlyArray<Address.Address>
  /** True if the message was too large to be read to its end, so that attachments may be missing here. */
  readonly isPartial: boolean
}

/**
 * A file in a message.
 *
 * @since 0.1.0
 */
export interface Attachment {
  readonly filename: string | undefined
  readonly contentType: string
  /** Bytes of the file. */
  readonly size: number
  /** True if it is shown in the text. */
  readonly isInline: boolean
}

/**
 * The options of `format`.
 *
 * @since 0.1.0
 */
export interface FormatOptions {
  /** How many lines of the text are shown, from 1. Defaults to 20. */
  readonly lines?: number | undefined
  /** How many columns a line has, from 20. Defaults to 100. */
  readonly width?: number | undefined
}

/** The most bytes that are read of a streamed message. */
const maxRead = 2 * 1024 * 1024

/**
 * Reads a message. Fails with what reading its stream fails with; a message that cannot be read has an empty text.
 *
 * @since 0.1.0
 */
export const make = (message: Composed.Composed): Effect.Effect<Preview, MailError.MailError> =>
  message.content instanceof Uint8Array
    ? Effect.succeed(fromBytes(message, message.content, false))
    : Effect.map(firstBytes(message.content.stream), ({ bytes, isPartial }) => fromBytes(message, bytes, isPartial))

/**
 * Writes a preview for a terminal. Control characters and those that turn the direction of text are shown as U+FFFD, so
 * that no mail can do anything to the terminal.
 *
 * @since 0.1.0
 */
export const format = (preview: Preview, options: FormatOptions = {}): string => {
  const { lines = 20, width = 100 } = options
  const shown = preview.headers.filter(([name]) => leading.includes(name.toLowerCase()))
  const fields = [
    ...shown,
    ...(preview.bcc.length === 0 ? [] : [["Bcc", preview.bcc.join(", ")] as const]),
    ...(preview.attachments.length === 0 ? [] : [["Files", preview.attachments.map(describe).join(", ")] as const]),
    ["Size", bytesText(preview.size)] as const
  ]
  const head = fields.flatMap(([name, value]) => {
    const [first = "", ...rest] = wrap(harmless(value), Math.max(1, width - indent))
    return [`${`${name}:`.padEnd(indent)}${first}`, ...rest.map((line) => " ".repeat(indent) + line)]
  })
  const body = preview.text
    .trim()
    .split("\n")
    .flatMap((line) => wrap(harmless(line).trimEnd(), width))
  const more = body.length - lines
  const end = more <= 0 ? [] : [`… ${more} more ${more === 1 ? "line" : "lines"}`]
  const note = preview.isFromHtml ? ["(from the HTML; the message has no plain text)"] : []
  return [...head, "", ...note, ...body.slice(0, lines), ...end].join("\n")
}

/** Fields that come first, in this order. */
const leading = ["from", "to", "cc", "reply-to", "subject"]

const indent = 10

const fromBytes = (message: Composed.Composed, bytes: Uint8Array, isPartial: boolean): Preview => {
  const read = MimeReader.read(bytes)
  const { files = [], html, text } = read === undefined ? {} : MessageBody.read(read)
  const headers = (read?.headers ?? []).map(({ name, value }) => [name, MimeReader.decodeText(value)] as const)
  const rank = (name: string) => (leading.indexOf(name.toLowerCase()) + leading.length + 1) % (leading.length + 1)
  const named = new Set(["to", "cc"].flatMap((name) => addressesOf(read, name)))
  return {
    headers: headers.toSorted(([a], [b]) => rank(a) - rank(b)),
    text: text ?? (html === undefined ? "" : PlainText.fromHtml(html)),
    isFromHtml: text === undefined && html !== undefined,
    html,
    attachments: files.map(attachmentOf),
    size: message.size,
    bcc: message.envelope.to.filter((address) => !named.has(comparable(address))),
    isPartial
  }
}

const addressesOf = (read: MimeReader.Part | undefined, field: string): ReadonlyArray<string> =>
  (read?.headers ?? [])
    .filter(({ name }) => name.toLowerCase() === field)
    .flatMap(({ value }) => Result.getOrElse(Mailbox.parseHeader(MimeReader.decodeUtf8(value)), () => []))
    .map(({ address }) => comparable(address))

/** In ASCII where that can be, as in a header. */
const comparable = (address: Address.Address): string => (Address.toAscii(address) ?? address).toLowerCase()

const attachmentOf = (part: MimeReader.Part): Attachment => ({
  filename: part.filename,
  contentType: part.type,
  size: part.body.length,
  isInline: part.disposition === "inline"
})

/** The beginning of a stream, and whether there is more. */
const firstBytes = (
  stream: Stream.Stream<Uint8Array, MailError.MailError>
): Effect.Effect<{ readonly bytes: Uint8Array; readonly isPartial: boolean }, MailError.MailError> =>
  Effect.suspend(() => {
    let read = 0
    return Effect.map(
      Stream.runCollect(
        Stream.takeUntil(stream, (chunk) => {
          read += chunk.length
          return read > maxRead
        })
      ),
      (chunks) => ({ bytes: Buffer.concat(chunks).subarray(0, maxRead), isPartial: read > maxRead })
    )
  })

const describe = ({ contentType, filename, isInline, size }: Attachment): string =>
  `${filename ?? "unnamed"} (${contentType}, ${bytesText(size)}${isInline ? ", inline" : ""})`

const bytesText = (bytes: number): string => {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

const harmless = (text: string): string =>
  text.replaceAll("\t", "  ").replace(/[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd")

/** Breaks a line at its blanks, and where there is none at the width. */
const wrap = (line: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let rest = line
  while (rest.length > width) {
    const blank = rest.lastIndexOf(" ", width)
    // A character of two units stays whole.
    const end = blank > 0 ? blank : width - (/[\ud800-\udbff]/.test(rest[width - 1]!) ? 1 : 0)
    lines.push(rest.slice(0, end))
    rest = rest.slice(blank > 0 ? end + 1 : end)
  }
  return [...lines, rest]
}
