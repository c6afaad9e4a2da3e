/**
 * A message read back (RFC 5322, RFC 2045–2049, RFC 2231): its header fields decoded, its parts with their bytes.
 *
 * It reads what mail programs write, also where that is not quite right: bare line feeds, unknown charsets, parameters
 * without quotes, a multipart that was cut off.
 */

/** A message, or a part of one. */
export interface Part {
  readonly headers: ReadonlyArray<Header>
  /** The media type in lower case, without parameters. */
  readonly type: string
  /** Parameters of Content-Type, decoded, by their names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
  /** Content-Disposition in lower case, as `attachment` or `inline`; empty if there is none. */
  readonly disposition: string
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
export const textOf = (part: Part): string =>
  decodeBytes(part.body, part.parameters.get("charset") ?? "utf-8").replace(/\r\n?/g, "\n")

/** A text of a header field: encoded-words (RFC 2047) and UTF-8 (RFC 6532) as what they mean. */
export const decodeText = (raw: string): string => decodeName(decodeUtf8(raw))

/** A field of mailboxes as it can be read: its names may hold encoded-words still, which may hold commas. */
export const decodeUtf8 = (raw: string): string => decodeBytes(Buffer.from(raw, "latin1"), "utf-8")

/** A mailbox's name, which has no other encoding left than encoded-words. */
export const decodeName = (name: string): string => name.replace(words, (run: string) => decodeWords(run))

const headerLine = /^[\x21-\x39\x3b-\x7e]+[ \t]*:/

const readPart = (text: string, defaultType: string, depth: number): Part => {
  const end = /^\r?\n|\n\r?\n/.exec(text)
  const head = end === null ? text : text.slice(0, end.index)
  const content = end === null ? "" : text.slice(end.index + end[0].length)
  const headers = readHeaders(head)
  const type = readParameters(find(headers, "content-type") ?? defaultType)
  const disposition = readParameters(find(headers, "content-disposition") ?? "")
  const boundary = type.parameters.get("boundary")
  const isMultipart = type.value.startsWith("multipart/") && boundary !== undefined && depth < deepest
  const childType = type.value === "multipart/digest" ? "message/rfc822" : "text/plain"
  return {
    headers,
    type: /^[^\s/]+\/[^\s/]+$/.test(type.value) ? type.value : defaultType,
    parameters: type.parameters,
    disposition: disposition.value,
    filename: disposition.parameters.get("filename") ?? type.parameters.get("name"),
    contentId: find(headers, "content-id")?.replace(/^\s*<|>\s*$/g, ""),
    parts: isMultipart ? split(content, boundary).map((child) => readPart(child, childType, depth + 1)) : [],
    body: isMultipart ? new Uint8Array(0) : decodeBody(content, find(headers, "content-transfer-encoding") ?? "")
  }
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

const decodeBody = (content: string, encoding: string): Uint8Array => {
  switch (encoding.trim().toLowerCase()) {
    case "base64":
      return Buffer.from(content, "base64")
    case "quoted-printable":
      return decodeQuotedPrintable(content.replace(/(?<![ \t])[ \t]+(?=\r?\n|$)/g, "").replace(/=\r?\n/g, ""))
    default:
      return Buffer.from(content, "latin1")
  }
}

const decodeQuotedPrintable = (text: string): Buffer =>
  Buffer.from(
    text.replace(/=([\da-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16))),
    "latin1"
  )

/** A charset that nobody knows is read byte by byte. */
const decodeBytes = (bytes: Uint8Array, charset: string): string => {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return Buffer.from(bytes).toString("latin1")
  }
}

const word = "=\\?[^?\\s]+\\?[bBqQ]\\?[^?\\s]*\\?="

/** Encoded-words with only blanks between them are one text (RFC 2047 §6.2). */
const words = new RegExp(`${word}(?:[ \\t]+${word})*`, "g")

const decodeWords = (run: string): string => {
  let out = ""
  let bytes: Array<Uint8Array> = []
  let charset = ""
  // Some programs cut a character in two between words.
  const flush = () => {
    out += decodeBytes(Buffer.concat(bytes), charset)
    bytes = []
  }
  for (const match of run.matchAll(/=\?([^?*]+)[^?]*\?([bBqQ])\?([^?]*)\?=/g)) {
    const [, label = "", kind = "", payload = ""] = match
    if (label.toLowerCase() !== charset) flush()
    charset = label.toLowerCase()
    bytes.push(
      kind.toLowerCase() === "b" ? Buffer.from(payload, "base64") : decodeQuotedPrintable(payload.replaceAll("_", " "))
    )
  }
  flush()
  return out
}

interface Parameters {
  /** In lower case. */
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
}

/** `value; name=value; name="value"; name*0*=UTF-8''value…` */
const readParameters = (field: string): Parameters => {
  const semicolon = field.indexOf(";")
  const value = (semicolon === -1 ? field : field.slice(0, semicolon)).trim().toLowerCase()
  const parameters = new Map<string, string>()
  const sections = new Map<string, Map<number, { readonly text: string; readonly isEncoded: boolean }>>()
  for (const match of field.slice(value.length).matchAll(/;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/g)) {
    const [, written = "", quoted, bare = ""] = match
    const text = quoted === undefined ? bare.trim() : quoted.replace(/\\(.)/g, "$1")
    const [, name = "", index = "0", star = ""] = /^([^*]+)(?:\*(\d+))?(\*)?$/.exec(written.toLowerCase()) ?? []
    if (written.includes("*") && name !== "") {
      const known = sections.get(name) ?? new Map()
      sections.set(name, known.set(Number(index), { text, isEncoded: star === "*" }))
    } else if (!parameters.has(written.toLowerCase())) parameters.set(written.toLowerCase(), decodeText(text))
  }
  for (const [name, parts] of sections) parameters.set(name, joinSections(parts))
  return { value, parameters }
}

/** RFC 2231 §3 and §4. */
const joinSections = (
  sections: ReadonlyMap<number, { readonly text: string; readonly isEncoded: boolean }>
): string => {
  let charset = "utf-8"
  const bytes = [...sections]
    .toSorted(([a], [b]) => a - b)
    .map(([index, { isEncoded, text }]) => {
      if (!isEncoded) return Buffer.from(text, "latin1")
      const [, label, encoded = text] = index === 0 ? (/^([^']*)'[^']*'(.*)$/.exec(text) ?? []) : []
      if (label) charset = label
      return decodeQuotedPrintable(encoded.replaceAll("=", "=3D").replaceAll("%", "="))
    })
  return decodeBytes(Buffer.concat(bytes), charset)
}
