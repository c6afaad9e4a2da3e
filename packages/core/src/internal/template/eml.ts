/**
 * A message that a mail program saved (`.eml`), as the source of a template: what its author wrote, without what programs
 * and relays added to it.
 */
import * as Result from "effect/Result"
import type * as Mail from "../../Mail.ts"
import * as Mailbox from "../../Mailbox.ts"
import * as TemplateError from "../../TemplateError.ts"
import * as MimeReader from "../mime/reader.ts"

/** What a message says as a template. */
export interface EmlSource {
  readonly from?: Mail.Mailbox | undefined
  readonly to?: Mail.Mailboxes | undefined
  readonly replyTo?: Mail.Mailboxes | undefined
  readonly subject: string
  readonly text: string | undefined
  readonly html: string | undefined
  readonly headers: { readonly [name: string]: ReadonlyArray<string> }
  readonly listUnsubscribe?: Mail.ListUnsubscribe | undefined
  readonly attachments: ReadonlyArray<Mail.Attachment>
}

/** Reads a message. Throws `TemplateError`. */
export const readUnsafe = (bytes: Uint8Array): EmlSource => {
  if (isUtf16(bytes))
    throw TemplateError.make("eml", "the file is UTF-16, not a message", "save it as UTF-8 (iconv -f utf-16 -t utf-8)")
  const message = MimeReader.read(bytes)
  if (message === undefined)
    throw TemplateError.make(
      "eml",
      "the file does not begin with a header field",
      "give a message as saved by a mail program"
    )
  const body: Body = { text: undefined, html: undefined, files: [] }
  sort(message, body)
  const html = body.html
  return {
    from: mailboxes(message, "from")?.[0],
    // Whom it was for is of no use, unless it is filled in.
    to: mailboxes(message, "to")?.filter((one) => JSON.stringify(one).includes("{{")),
    replyTo: mailboxes(message, "reply-to"),
    subject: MimeReader.values(message, "subject")[0] ?? "",
    text: body.text,
    html,
    headers: headersOf(message),
    listUnsubscribe: listUnsubscribe(message),
    attachments: body.files.map((part) => attachment(part, html))
  }
}

/** By its mark, or by the empty halves of ASCII. */
const isUtf16 = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || first === 0 || second === 0

interface Body {
  text: string | undefined
  html: string | undefined
  readonly files: Array<MimeReader.Part>
}

/** The first text of each kind is the mail's own; all else is a file. */
const sort = (part: MimeReader.Part, body: Body): void => {
  if (part.parts.length > 0) for (const child of part.parts) sort(child, body)
  else if (part.type.startsWith("multipart/")) return
  else if (part.disposition === "attachment" || part.filename !== undefined) body.files.push(part)
  else if (part.type === "text/plain" && body.text === undefined) body.text = MimeReader.textOf(part)
  else if (part.type === "text/html" && body.html === undefined) body.html = MimeReader.textOf(part)
  else body.files.push(part)
}

const attachment = (part: MimeReader.Part, html: string | undefined): Mail.Attachment => {
  const { body, contentId, filename, parameters, type } = part
  const charset = parameters.get("charset")
  return {
    filename,
    content: body,
    contentType: charset !== undefined && /^[\w-]+$/.test(charset) ? `${type}; charset=${charset}` : type,
    // Many programs give every file an id; what makes it an image of the text is that the text shows it.
    cid: contentId !== undefined && html?.includes(`cid:${contentId}`) === true ? contentId : undefined
  }
}

/** A field's mailboxes; where one has a field of the template in it, all are left for the template to read. */
const mailboxes = (message: MimeReader.Part, name: string): ReadonlyArray<Mail.Mailbox> | undefined => {
  const raw = message.headers.filter((header) => header.name.toLowerCase() === name).map(({ value }) => value)
  if (raw.length === 0) return undefined
  const joined = MimeReader.decodeUtf8(raw.join(", "))
  if (/^[^"<>@,]*:\s*;$/.test(joined)) return undefined
  const parsed = Mailbox.parseList(joined)
  if (Result.isFailure(parsed)) {
    const decoded = MimeReader.decodeName(joined)
    if (decoded.includes("{{")) return [decoded]
    throw TemplateError.make(name, parsed.failure.problem, parsed.failure.remedy)
  }
  return parsed.success.map(({ address, name: shown }) => ({
    name: shown === undefined ? undefined : MimeReader.decodeName(shown),
    address: MimeReader.decodeName(address)
  }))
}

/** `<https://…>, <mailto:…>` (RFC 2369 §3.2). */
const listUnsubscribe = (message: MimeReader.Part): Mail.ListUnsubscribe | undefined => {
  const given = MimeReader.values(message, "list-unsubscribe").join(", ")
  const addresses = [...given.matchAll(/<([^<>]*)>/g)].map(([, address]) => address!.replace(/\s+/g, ""))
  const mailto = addresses.find((address) => /^mailto:/i.test(address))
  const url = addresses.find((address) => address !== mailto)
  if (url === undefined && mailto === undefined) return undefined
  return { url, mailto, oneClick: MimeReader.values(message, "list-unsubscribe-post").length > 0 }
}

/** What the template gives itself, and what programs and relays write. */
const dropped =
  /^(?:from|to|cc|bcc|reply-to|subject|date|message-id|in-reply-to|references|mime-version|content-.*|list-unsubscribe(?:-post)?|return-path|received.*|delivered-to|envelope-to|dkim-signature|domainkey-signature|arc-.*|authentication-results|resent-.*|thread-.*|user-agent|autocrypt|x-(?:mailer|unsent|received|original.*|google.*|gm.*|ms.*|mozilla.*|apple.*|uniform.*|universally.*|spam.*|forefront.*|microsoft.*|account-key|uidl?|identity-key))$/i

const headersOf = (message: MimeReader.Part): { readonly [name: string]: ReadonlyArray<string> } => {
  const kept = new Map<string, Array<string>>()
  for (const { name, value } of message.headers) {
    if (dropped.test(name)) continue
    const values = kept.get(name)
    if (values === undefined) kept.set(name, [MimeReader.decodeText(value)])
    else values.push(MimeReader.decodeText(value))
  }
  return Object.fromEntries(kept)
}
