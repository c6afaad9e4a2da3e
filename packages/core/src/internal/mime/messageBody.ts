/**
 * The texts and files of a message that was read.
 *
 * Parts of a `multipart/mixed` without a disposition are shown one after the other (RFC 2046 §5.1.3), as Apple Mail writes
 * a text with a file in its middle, and mailing lists their footers. They are joined in that order.
 */
import * as MimeReader from "./reader.ts"

/** A message's body. */
export interface MessageBody {
  readonly text: string | undefined
  readonly html: string | undefined
  /** All other parts, in their order. */
  readonly files: ReadonlyArray<MimeReader.Part>
}

/** Reads the parts of a message; an error that one of them throws ends the reading. */
export interface Reading {
  /** The text of a part that is shown. Defaults to `MimeReader.textOf`. */
  readonly text?: ((part: MimeReader.Part, form: "text" | "html") => string) | undefined
  /** Called for each file. */
  readonly file?: ((part: MimeReader.Part) => void) | undefined
  /** Called for a multipart in which no part was found, so that its content is left out. */
  readonly unread?: ((part: MimeReader.Part) => void) | undefined
  /** Changes a plain text before it is made HTML. */
  readonly beforeHtml?: ((text: string) => string) | undefined
}

/** Reads a message's body. */
export const read = (message: MimeReader.Part, reading: Reading = {}): MessageBody => {
  const reader = new Reader(reading)
  return { ...reader.join(reader.pieces(message)), files: reader.files }
}

/** The content of one place, in the forms that a mail program may choose from. */
interface Piece {
  readonly text: string | undefined
  readonly html: string | undefined
}

class Reader {
  readonly files: Array<MimeReader.Part> = []
  private readonly reading: Reading

  constructor(reading: Reading) {
    this.reading = reading
  }

  pieces(part: MimeReader.Part): ReadonlyArray<Piece> {
    if (part.type.startsWith("multipart/") && part.parts.length === 0) {
      this.reading.unread?.(part)
      return []
    }
    switch (part.type) {
      case "multipart/alternative":
        return this.alternatives(part)
      case "multipart/related":
        return this.related(part)
      case "text/plain":
      case "text/html":
        if (part.disposition === "attachment" || part.filename !== undefined) break
        return part.type === "text/plain"
          ? [{ text: this.text(part, "text"), html: undefined }]
          : [{ text: undefined, html: this.text(part, "html") }]
    }
    if (part.type.startsWith("multipart/")) return part.parts.flatMap((child) => this.pieces(child))
    this.file(part)
    return []
  }

  /** Puts together what is shown one after the other. */
  join(pieces: ReadonlyArray<Piece>): Piece {
    const [first] = pieces
    if (first === undefined) return { text: undefined, html: undefined }
    const said = pieces.filter(({ html, text }) => `${html ?? ""}${text ?? ""}`.trim() !== "")
    if (said.length < 2) return said[0] ?? first
    const hasHtml = said.some(({ html }) => html !== undefined)
    // Where a piece has no plain text, that of the whole is derived from the HTML.
    const hasText = said.every(({ text }) => text !== undefined)
    return {
      text: hasText
        ? said
            .map(({ text }) => text!)
            .reduce((before, after) => `${before}${before.endsWith("\n") ? "" : "\n"}${after}`)
        : undefined,
      html: hasHtml ? said.map(({ html, text }) => html ?? this.asHtml(text ?? "")).reduce(appended) : undefined
    }
  }

  private text(part: MimeReader.Part, form: "text" | "html"): string {
    return (this.reading.text ?? MimeReader.textOf)(part, form)
  }

  private file(part: MimeReader.Part): void {
    this.reading.file?.(part)
    this.files.push(part)
  }

  /** The first of each form; the others say the same. */
  private alternatives(part: MimeReader.Part): ReadonlyArray<Piece> {
    const forms = part.parts.map((child) => this.join(this.pieces(child)))
    const { html, text } = forms.find((form) => form.html !== undefined) ?? { html: undefined, text: undefined }
    return [{ html, text: forms.find((form) => form.html === undefined && form.text !== undefined)?.text ?? text }]
  }

  /** A text and what it shows: all parts but the first are its images and files (RFC 2387 §3.2). */
  private related(part: MimeReader.Part): ReadonlyArray<Piece> {
    const start = part.parameters.get("start")?.replace(/[<>\s]/g, "")
    const root = part.parts.find(({ contentId }) => contentId !== undefined && contentId === start) ?? part.parts[0]
    return part.parts.flatMap((child) => {
      if (child === root || child.type.startsWith("multipart/")) return this.pieces(child)
      this.file(child)
      return []
    })
  }

  /** A plain text as a piece of HTML. */
  private asHtml(text: string): string {
    return `<div>${(this.reading.beforeHtml?.(text) ?? text)
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll("\n", "<br>\n")}</div>`
  }
}

/** Puts what is inside of a document to the end of another. */
const appended = (before: string, after: string): string => {
  const inner = after
    .replace(/<!doctype[^>]*>|<\/?(?:html|head|body|meta|base)\b[^>]*>/gi, "")
    .replace(/<title\b[^>]*>[^<]*<\/title>/gi, "")
  const end = [...before.matchAll(/<\/body\s*>/gi)].at(-1)?.index ?? before.length
  return `${before.slice(0, end)}\n${inner}${before.slice(end)}`
}
