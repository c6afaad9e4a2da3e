/**
 * A message that a mail program saved (`.eml`), as the source of a template: what its author wrote, without what programs
 * and relays added.
 */
import { decodeHTMLAttribute } from "entities/decode"
import * as Result from "effect/Result"
import type * as Mail from "../../Mail.ts"
import * as Mailbox from "../../Mailbox.ts"
import * as TemplateError from "../../TemplateError.ts"
import * as MimeReader from "../mime/reader.ts"
import * as EmlBody from "./emlBody.ts"

/** A message as a template's source. */
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
  const { files, html, text } = EmlBody.readUnsafe(message)
  const shown = html === undefined ? new Set<string>() : contentIdsIn(html)
  return {
    from: mailboxes(message, "from")?.[0],
    // The recipients of the saved message are dropped, but a field among them is kept.
    to: mailboxes(message, "to")?.filter((one) => JSON.stringify(one).includes("{{")),
    replyTo: mailboxes(message, "reply-to"),
    subject: subjectOf(message),
    text,
    html,
    headers: headersOf(message),
    listUnsubscribe: listUnsubscribe(message),
    attachments: files.map((part) => attachment(part, shown))
  }
}

/** By its mark, or by the empty halves of ASCII. */
const isUtf16 = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || first === 0 || second === 0

/** A part that cannot be decoded is refused, not guessed. */
const refusing =
  (field: string) =>
  (problem: string): never => {
    throw TemplateError.make(field, problem, "save the message as UTF-8, or encode the field as RFC 2047 has it")
  }

const subjectOf = (message: MimeReader.Part): string => {
  const raw = message.headers.find(({ name }) => name.toLowerCase() === "subject")?.value
  return raw === undefined ? "" : MimeReader.decodeText(raw, refusing("subject"))
}

const attachment = (part: MimeReader.Part, shown: ReadonlySet<string>): Mail.Attachment => {
  const { body, contentId, filename, parameters, type } = part
  const charset = parameters.get("charset")
  return {
    filename,
    content: body,
    contentType: charset !== undefined && /^[\w-]+$/.test(charset) ? `${type}; charset=${charset}` : type,
    // Many programs give every file an id. An image of the text is one that the text shows.
    cid: contentId !== undefined && shown.has(contentId) ? contentId : undefined
  }
}

/** The Content-IDs that a document shows, by their URLs (RFC 2392 §2): percent-encoded, and with entities in HTML. */
const contentIdsIn = (html: string): ReadonlySet<string> =>
  new Set(
    [...html.matchAll(/cid:\s*([^\s"'<>()]+)/gi)].flatMap(([, url]) => {
      const id = decodeHTMLAttribute(url!)
      return [id, percentDecoded(id)]
    })
  )

const percentDecoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A field's mailboxes; where one has a field of the template in it, all are left for the template to read. */
const mailboxes = (message: MimeReader.Part, name: string): ReadonlyArray<Mail.Mailbox> | undefined => {
  const raw = message.headers.filter((header) => header.name.toLowerCase() === name).map(({ value }) => value)
  if (raw.length === 0) return undefined
  // The names of recipients are left out.
  const refuse = name === "to" ? undefined : refusing(name === "reply-to" ? "replyTo" : name)
  const joined = MimeReader.decodeUtf8(raw.join(", "), refuse)
  const parsed = Mailbox.parseHeader(joined)
  if (Result.isFailure(parsed)) {
    const decoded = MimeReader.decodeName(joined)
    if (decoded.includes("{{")) return [decoded]
    throw TemplateError.make(name, parsed.failure.problem, parsed.failure.remedy)
  }
  if (parsed.success.length === 0) return undefined
  return parsed.success.map(({ address, name: shown }) => ({
    name: shown === undefined ? undefined : MimeReader.decodeName(shown, refuse),
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

/** Fields that the template makes itself, or that programs and relays add. */
const dropped =
  /^(?:from|to|cc|bcc|reply-to|subject|date|message-id|in-reply-to|references|mime-version|content-.*|list-unsubscribe(?:-post)?|return-path|received.*|delivered-to|envelope-to|dkim-signature|domainkey-signature|arc-.*|authentication-results|resent-.*|thread-.*|user-agent|autocrypt|x-(?:mailer|unsent|received|original.*|google.*|gm.*|ms.*|mozilla.*|apple.*|uniform.*|universally.*|spam.*|forefront.*|microsoft.*|account-key|uidl?|identity-key))$/i

const headersOf = (message: MimeReader.Part): { readonly [name: string]: ReadonlyArray<string> } => {
  const kept = new Map<string, Array<string>>()
  for (const { name, value } of message.headers) {
    if (dropped.test(name)) continue
    const text = MimeReader.decodeText(value, refusing(`headers.${name}`))
    const values = kept.get(name)
    if (values === undefined) kept.set(name, [text])
    else values.push(text)
  }
  return Object.fromEntries(kept)
}
