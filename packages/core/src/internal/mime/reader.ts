/**
 * A message read back (RFC 5322, RFC 2045–2049, RFC 2231): its header fields decoded, its parts with their bytes.
 *
 * It reads what mail programs write, also where they break a rule: bare line feeds, parameters without quotes, a header
 * that no empty line ends, base64 in several pieces, a multipart that was cut off.
 */
import * as Charset from "./charset.ts"
import * as EncodedWordReader from "./encodedWordReader.ts"
import * as FlowedText from "./flowedText.ts"
import * as QuotedPrintable from "./quotedPrintable.ts"
import * as StructuredField from "./structuredField.ts"

/** A message, or a part of one. */
export interface Part {
  readonly headers: ReadonlyArray<Header>
  /** The media type in lower case, without parameters. */
  readonly type: string
  /** Parameters of Content-Type, decoded, by their names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
  /** Content-Disposition in lower case, as `attachment` or `inline`; empty if there is none. */
  readonly disposition: string
  /** Content-Transfer-Encoding in lower case, `7bit` if there is none (RFC 2045 §6.1). */
  readonly encoding: string
  readonly filename: string | undefined
  /** Content-ID without angle brackets. */
  readonly contentId: string | undefined
  /** The parts of a multipart; empty for any other. */
  readonly parts: ReadonlyArray<Part>
  /** The content with its transfer encoding taken off; empty for a multipart. */
  readonly body: Uint8Array
}

/** A header field, unfolded; nothing in it is decoded. */
export interface Header {
  readonly name: string
  /** With each byte as one character, as the field's encoding is not known. */
  readonly value: string
}

/** Deeper parts are not looked into. */
const deepest = 20

/** Reads a message; `undefined` when it begins with no header field. */
export const read = (bytes: Uint8Array): Part | undefined => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString("latin1")
    // A mark that the file is UTF-8, and a mailbox file's separator.
    .replace(/^(?:\xef\xbb\xbf)+/, "")
    .replace(/^From [^\n]*\n/, "")
  return headerLine.test(text) ? readPart(text, "text/plain", 0) : undefined
}

/** The values of a field, by its name in lower case, encoded-words and UTF-8 decoded. */
export const values = (part: Part, name: string): ReadonlyArray<string> =>
  part.headers.filter((header) => header.name.toLowerCase() === name).map(({ value }) => decodeText(value))

/** The content of a text part as text. */
export const textOf = (part: Part): string => decodedText(part).text

/** The content of a text part as text, and whether it is surely what its author wrote. */
export const decodedText = (part: Part): Charset.Decoded => {
  const { parameters } = part
  const { problem, text } = Charset.decode(part.body, parameters.get("charset") ?? "utf-8")
  const lines = text.replace(/\r\n?/g, "\n")
  const isFlowed = part.type === "text/plain" && parameters.get("format")?.toLowerCase() === "flowed"
  return {
    text: isFlowed ? FlowedText.read(lines, parameters.get("delsp")?.toLowerCase() === "yes") : lines,
    problem: encodings.has(part.encoding) ? problem : `the transfer encoding "${part.encoding}" is not known`
  }
}

/** A text of a header field: encoded-words (RFC 2047) and UTF-8 (RFC 6532) decoded. */
export const decodeText = (raw: string, onProblem?: EncodedWordReader.OnProblem): string =>
  decodeName(decodeUtf8(raw, onProblem), onProblem)

/** The UTF-8 of a field of mailboxes. Its names keep their encoded-words, which may hold commas. */
export const decodeUtf8 = (raw: string, onProblem?: EncodedWordReader.OnProblem): string => {
  const { problem, text } = Charset.decode(Buffer.from(raw, "latin1"), "utf-8")
  if (problem !== undefined) onProblem?.(problem)
  return text
}

/** The encoded-words in a mailbox's name. */
export const decodeName: (name: string, onProblem?: EncodedWordReader.OnProblem) => string = EncodedWordReader.decode

const headerLine = /^[\x21-\x39\x3b-\x7e]+[ \t]*:/

const readPart = (text: string, defaultType: string, depth: number): Part => {
  const { content, head } = separate(text)
  const headers = readHeaders(head)
  const type = StructuredField.readParameters(find(headers, "content-type") ?? defaultType)
  const disposition = StructuredField.readParameters(find(headers, "content-disposition") ?? "")
  const encoding = encodingOf(find(headers, "content-transfer-encoding") ?? "")
  const boundary = type.parameters.get("boundary")
  const isMultipart = type.value.startsWith("multipart/") && boundary !== undefined && depth < deepest
  const childType = type.value === "multipart/digest" ? "message/rfc822" : "text/plain"
  return {
    headers,
    type: /^[^\s/]+\/[^\s/]+$/.test(type.value) ? type.value : defaultType,
    parameters: type.parameters,
    disposition: disposition.value,
    encoding,
    filename: disposition.parameters.get("filename") ?? type.parameters.get("name"),
    contentId: contentIdOf(find(headers, "content-id")),
    parts: isMultipart ? split(content, boundary).map((child) => readPart(child, childType, depth + 1)) : [],
    body: isMultipart ? new Uint8Array(0) : decodeBody(content, encoding)
  }
}

/**
 * The header and the content of a part. An empty line is between them; where that is missing, the content begins with the
 * first line that is no field.
 */
const separate = (text: string): { readonly head: string; readonly content: string } => {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf("\n", start)
    const line = text.slice(start, end === -1 ? undefined : end)
    const next = end === -1 ? text.length : end + 1
    if (line === "" || line === "\r") return { head: text.slice(0, start), content: text.slice(next) }
    const isHeader = headerLine.test(line) || (start > 0 && /^[ \t]/.test(line)) || /^>?From /.test(line)
    if (!isHeader) return { head: text.slice(0, start), content: text.slice(start) }
    start = next
  }
  return { head: text, content: "" }
}

const readHeaders = (head: string): ReadonlyArray<Header> =>
  head
    .split(/\r?\n(?![ \t])/)
    .filter((line) => headerLine.test(line))
    .map((line) => {
      const colon = line.indexOf(":")
      return {
        name: line.slice(0, colon).trimEnd(),
        value: line
          .slice(colon + 1)
          .replace(/\r?\n/g, "")
          .trim()
      }
    })

const find = (headers: ReadonlyArray<Header>, name: string): string | undefined =>
  headers.find((header) => header.name.toLowerCase() === name)?.value

/** The parts of a multipart (RFC 2046 §5.1.1), without what stands before the first and after the last. */
const split = (content: string, boundary: string): ReadonlyArray<string> => {
  const parts: Array<string> = []
  const delimiter = `--${boundary}`
  let start = -1
  for (let at = 0; at !== -1 && at < content.length;) {
    const lineEnd = content.indexOf("\n", at)
    if (content.startsWith(delimiter, at)) {
      const line = content.slice(at + delimiter.length, lineEnd === -1 ? undefined : lineEnd).trim()
      if (line === "" || line === "--") {
        if (start !== -1) parts.push(content.slice(start, at).replace(/\r?\n$/, ""))
        start = line === "--" ? -1 : lineEnd + 1
        if (line === "--") return parts
      }
    }
    at = lineEnd === -1 ? -1 : lineEnd + 1
  }
  if (start > 0) parts.push(content.slice(start))
  return parts
}

const encodings: ReadonlySet<string> = new Set(["7bit", "8bit", "binary", "base64", "quoted-printable"])

const encodingOf = (field: string): string => StructuredField.readParameters(field).value || "7bit"

/** Content-ID without brackets, comments and blanks (RFC 2392 §2). */
const contentIdOf = (field: string | undefined): string | undefined => {
  if (field === undefined) return undefined
  const [, inside = StructuredField.withoutComments(field)] = /<([^<>]*)>/.exec(field) ?? []
  return inside.replace(/\s+/g, "") || undefined
}

const decodeBody = (content: string, encoding: string): Uint8Array => {
  switch (encoding) {
    case "base64":
      return decodeBase64(content)
    case "quoted-printable":
      return QuotedPrintable.decode(content.replace(/(?<![ \t])[ \t]+(?=\r?\n|$)/g, "").replace(/=\r?\n/g, ""))
    default:
      return Buffer.from(content, "latin1")
  }
}

/** Programs that add a footer put one encoded piece behind another, each with its padding. */
const decodeBase64 = (content: string): Uint8Array => {
  const padding = content.indexOf("=")
  if (padding === -1 || /^[=\s]*$/.test(content.slice(padding))) return Buffer.from(content, "base64")
  return Buffer.concat(
    content
      .replace(/[^\w+/=-]+/g, "")
      .split(/=+/)
      .map((piece) => Buffer.from(piece, "base64"))
  )
}
