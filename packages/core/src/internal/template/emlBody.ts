/**
 * What a message in a file says as the body of a template, and the files that travel with it.
 *
 * Parts of a `multipart/mixed` without a disposition are shown one after the other (RFC 2046 §5.1.3), as Apple Mail writes
 * a text with a file in its middle, and mailing lists their footers. They are joined in that order. A text that readers
 * see is filled in; where it cannot be, the message is refused rather than sent with its braces.
 */
import * as TemplateError from "../../TemplateError.ts"
import * as MimeReader from "../mime/reader.ts"

/** A message's body. */
export interface EmlBody {
  readonly text: string | undefined
  readonly html: string | undefined
  readonly files: ReadonlyArray<MimeReader.Part>
}

/** Reads a message's body. Throws `TemplateError`. */
export const readUnsafe = (message: MimeReader.Part): EmlBody => {
  const files: Array<MimeReader.Part> = []
  return { ...join(piecesUnsafe(message, files)), files }
}

/** What is shown at one place, in the forms that a mail program may choose from. */
interface Piece {
  readonly text: string | undefined
  readonly html: string | undefined
}

const piecesUnsafe = (part: MimeReader.Part, files: Array<MimeReader.Part>): ReadonlyArray<Piece> => {
  switch (part.type) {
    case "multipart/alternative":
      return alternativesUnsafe(part, files)
    case "multipart/related":
      return relatedUnsafe(part, files)
    case "text/plain":
    case "text/html":
      if (part.disposition === "attachment" || part.filename !== undefined) break
      return part.type === "text/plain"
        ? [{ text: textUnsafe(part, "text"), html: undefined }]
        : [{ text: undefined, html: textUnsafe(part, "html") }]
  }
  if (part.type.startsWith("multipart/")) return part.parts.flatMap((child) => piecesUnsafe(child, files))
  refuseFieldsUnsafe(part)
  files.push(part)
  return []
}

/** The first of each form; the others say the same. */
const alternativesUnsafe = (part: MimeReader.Part, files: Array<MimeReader.Part>): ReadonlyArray<Piece> => {
  const forms = part.parts.map((child) => join(piecesUnsafe(child, files)))
  const { html, text } = forms.find((form) => form.html !== undefined) ?? { html: undefined, text: undefined }
  return [{ html, text: forms.find((form) => form.html === undefined && form.text !== undefined)?.text ?? text }]
}

/** A text and what it shows: all parts but the first are its images and files (RFC 2387 §3.2). */
const relatedUnsafe = (part: MimeReader.Part, files: Array<MimeReader.Part>): ReadonlyArray<Piece> => {
  const start = part.parameters.get("start")?.replace(/[<>\s]/g, "")
  const root = part.parts.find(({ contentId }) => contentId !== undefined && contentId === start) ?? part.parts[0]
  return part.parts.flatMap((child) => {
    if (child === root || child.type.startsWith("multipart/")) return piecesUnsafe(child, files)
    refuseFieldsUnsafe(child)
    files.push(child)
    return []
  })
}

/** A text that goes along as a file is filled in by nobody. What is marked as an attachment is meant so. */
const refuseFieldsUnsafe = (part: MimeReader.Part): void => {
  if (part.disposition === "attachment" || !part.type.startsWith("text/") || part.type === "text/css") return
  if (!/(?:\{|%7B){2}/i.test(MimeReader.textOf(part))) return
  const name = part.filename === undefined ? "without a name" : `"${part.filename}"`
  throw TemplateError.make(
    "attachments",
    `the part of type ${part.type} ${name} holds braces, and would be sent without being filled in`,
    "take it out of the message, or attach it as a file (Content-Disposition: attachment)"
  )
}

/** Puts together what is shown one after the other. */
const join = (pieces: ReadonlyArray<Piece>): Piece => {
  const [first] = pieces
  if (first === undefined) return { text: undefined, html: undefined }
  const said = pieces.filter(({ html, text }) => `${html ?? ""}${text ?? ""}`.trim() !== "")
  if (said.length < 2) return said[0] ?? first
  const hasHtml = said.some(({ html }) => html !== undefined)
  // Where a piece has no plain text, that of the whole is derived from the HTML.
  const hasText = said.every(({ text }) => text !== undefined)
  return {
    text: hasText
      ? said.map(({ text }) => text!).reduce((before, after) => `${before}${before.endsWith("\n") ? "" : "\n"}${after}`)
      : undefined,
    html: hasHtml ? said.map(({ html, text }) => html ?? htmlOf(text ?? "")).reduce(appended) : undefined
  }
}

/** A plain text as a piece of HTML. Its fields stay fields; three braces mean HTML there, which they do not in a text. */
const htmlOf = (text: string): string =>
  `<div>${text
    .replace(/\{\{\{([^{}]*)\}\}\}/g, "{{$1}}")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("\n", "<br>\n")}</div>`

/** Puts what is inside of a document to the end of another. */
const appended = (before: string, after: string): string => {
  const inner = after
    .replace(/<!doctype[^>]*>|<\/?(?:html|head|body|meta|base)\b[^>]*>/gi, "")
    .replace(/<title\b[^>]*>[^<]*<\/title>/gi, "")
  const end = [...before.matchAll(/<\/body\s*>/gi)].at(-1)?.index ?? before.length
  return `${before.slice(0, end)}\n${inner}${before.slice(end)}`
}

const textUnsafe = (part: MimeReader.Part, field: string): string => {
  const { problem, text } = MimeReader.decodedText(part)
  if (problem === undefined) return text
  const fault = problem.endsWith("is not known") ? 0 : Math.max(0, text.indexOf("\ufffd"))
  throw TemplateError.at(
    field,
    text,
    fault,
    problem,
    "save the message as UTF-8, or correct the charset of its Content-Type"
  )
}
