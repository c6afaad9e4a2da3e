/**
 * The messages that contestants send: each is a pure function of its number, so that sender and checker agree on every
 * byte without keeping any.
 *
 * A content of *n* bytes is a plain-text message with the usual header, lines of 76 octets, and one line that begins
 * with a dot, so that dot-stuffing is part of what is measured and checked.
 */
import type * as Mail from "mailrace/Mail"

/** The sender and the recipients of a message, as plain strings. */
export interface PlainEnvelope {
  readonly from: string
  readonly to: ReadonlyArray<string>
}

/** The parts of a message that is still to be composed. */
export type Shape = "text" | "text+html" | "html+attachment"

/** Messages by number, from 0. */
export interface Messages {
  /** The number of messages after which contents repeat; infinite if each is unlike all others. */
  readonly ring: number
  readonly envelope: (index: number) => PlainEnvelope
  /** The bytes, for contestants that are given composed messages. Never write to them. */
  readonly content: (index: number) => Uint8Array
  /** The same bytes, valid only until the next call, which may reuse their memory. */
  readonly glimpse: (index: number) => Uint8Array
  /** The parts, for contestants that compose. Message-ID and date are given, so that composing twice gives the same. */
  readonly mail: (index: number) => Mail.Mail
}

/** Options for the messages. */
export interface Options {
  /** The size of the content in bytes, at least 512. */
  readonly messageBytes: number
  /** `prebuilt`: a ring of messages made beforehand. `generated`: each is unlike all others and made when asked for. */
  readonly content: "prebuilt" | "generated"
  /** Recipients of each message. Defaults to 1. */
  readonly recipients?: number | undefined
  /** The parts of `mail`. Defaults to `text`. */
  readonly shape?: Shape | undefined
}

const ringBytes = 16 * 1024 * 1024

const ringLength = 1024

const digits = 10

const sender = "campaign@sender.example"

const date = new Date(Date.UTC(2025, 0, 31, 12, 0, 0))

export const make = (options: Options): Messages => {
  const recipients = options.recipients ?? 1
  const makeEnvelope = (index: number): PlainEnvelope => ({
    from: sender,
    to: Array.from({ length: recipients }, (_, at) => recipient(index, at))
  })
  const template = makeTemplate(options.messageBytes)
  const stamp = (content: Buffer, index: number): Uint8Array => {
    const digitsOfIndex = number(index)
    for (const place of template.places) content.write(digitsOfIndex, place, "latin1")
    return content
  }
  const stamped = (index: number): Uint8Array => stamp(Buffer.from(template.bytes), index)
  const scratch = Buffer.from(template.bytes)
  const text = bodyOf(options.messageBytes - 400)
  const parts = partsOf(options.shape ?? "text", text)
  const mail = (index: number): Mail.Mail => ({
    from: { name: "The Campaign", address: sender },
    to: recipients === 1 ? recipient(index, 0) : makeEnvelope(index).to,
    subject: `Message ${number(index)}`,
    ...parts(`Hello reader ${number(index)},`),
    messageId: `<${number(index)}@sender.example>`,
    date
  })
  if (options.content === "generated") {
    return {
      ring: Number.POSITIVE_INFINITY,
      envelope: makeEnvelope,
      content: stamped,
      glimpse: (index) => stamp(scratch, index),
      mail
    }
  }
  const ring = Math.max(4, Math.min(ringLength, Math.floor(ringBytes / options.messageBytes)))
  const contents = Array.from({ length: ring }, (_, index) => stamped(index))
  const envelopes = Array.from({ length: ring }, (_, index) => makeEnvelope(index))
  const content = (index: number): Uint8Array => contents[index % ring]!
  return { ring, envelope: (index) => envelopes[index % ring]!, content, glimpse: content, mail }
}

const attachmentBytes = 50 * 1024

/** The parts of a message that begin with a greeting of its own. */
const partsOf = (
  shape: Shape,
  text: string
): ((greeting: string) => Pick<Mail.Mail, "text" | "html" | "attachments">) => {
  const paragraphs = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => `<p>${line}</p>`)
    .join("\n")
  const plain = (greeting: string) => `${greeting}\n${text}`
  const html = (greeting: string) =>
    `<!doctype html><html><body><h1>${greeting}</h1>\n${paragraphs}\n<p><a href="https://sender.example">Caf\u00e9</a></p></body></html>\n`
  if (shape === "text") return (greeting) => ({ text: plain(greeting) })
  if (shape === "text+html") return (greeting) => ({ text: plain(greeting), html: html(greeting) })
  const content = Buffer.from(Array.from({ length: attachmentBytes }, (_, at) => (at * 31) & 255))
  const attachments = [{ filename: "report.pdf", contentType: "application/pdf", content }]
  return (greeting) => ({ html: html(greeting), attachments })
}

const number = (index: number): string => String(index).padStart(digits, "0")

const recipient = (index: number, at: number): string => `r${number(index)}${at === 0 ? "" : `.${at}`}@reader.example`

interface Template {
  readonly bytes: Uint8Array
  /** The offsets at which the message's number is written. */
  readonly places: ReadonlyArray<number>
}

const makeTemplate = (size: number): Template => {
  const placeholder = "#".repeat(digits)
  const header = [
    `From: The Campaign <${sender}>`,
    `To: <r${placeholder}@reader.example>`,
    `Subject: Message ${placeholder}`,
    `Message-ID: <${placeholder}@sender.example>`,
    `Date: ${date.toUTCString().replace("GMT", "+0000")}`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "",
    ""
  ].join("\r\n")
  const body = bodyOf(size - header.length).replaceAll("\n", "\r\n")
  const whole = header + body
  const bytes = Buffer.from(`${whole.slice(0, size - 2)}\r\n`, "latin1")
  const places: Array<number> = []
  for (let at = whole.indexOf(placeholder); at !== -1; at = whole.indexOf(placeholder, at + digits)) places.push(at)
  return { bytes, places }
}

/** Makes at least this many octets of text, counted with CRLF line ends; the third line begins with a dot. */
const bodyOf = (size: number): string => {
  const lines: Array<string> = []
  for (let length = 0; length < size + 2; length += 78) {
    const start = lines.length === 2 ? ".this line begins with a dot " : `line ${lines.length} of many `
    lines.push(start.padEnd(76, "the quick brown fox jumps over the lazy dog "))
  }
  return `${lines.join("\n")}\n`
}
