/**
 * The tree of a message's parts (RFC 2046 §5.1, RFC 2387):
 *
 *     mixed ─┬─ alternative ─┬─ text
 *            │               ├─ related ─┬─ html
 *            │               │           └─ inline images
 *            │               └─ calendar
 *            └─ attachments
 *
 * A level with one child is left out, so that a plain text is one part.
 */
import type * as Mail from "../../Mail.ts"
import * as MailError from "../../MailError.ts"
import * as AttachmentEntity from "./attachmentEntity.ts"
import * as MimeEntity from "./entity.ts"
import * as TextEntity from "./textEntity.ts"

/** An attachment with its bytes or their stream. */
export interface Resolved {
  readonly description: AttachmentEntity.Description
  readonly source: AttachmentEntity.Source
}

/** Makes the entity of a whole message; `token` makes its boundaries unlike those of any other. Throws `MailError`. */
export const makeUnsafe = (
  mail: Mail.Mail,
  attachments: ReadonlyArray<Resolved>,
  token: string,
  eightBit: boolean
): MimeEntity.Entity => {
  const { html, text } = mail
  refuseNul("text", text)
  refuseNul("html", html)
  // An empty part beside a full one only hides it in some mail programs.
  return tree(
    {
      text:
        text || (!html && attachments.length === 0 && mail.calendar === undefined)
          ? TextEntity.make("text/plain", text ?? "", eightBit)
          : undefined,
      html: html ? TextEntity.make("text/html", html, eightBit) : undefined,
      calendar: mail.calendar === undefined ? undefined : calendarUnsafe(mail.calendar)
    },
    attachments,
    token
  )
}

/** The content of a message, in the forms that a reader may choose from. */
export interface Alternatives {
  readonly text: MimeEntity.Entity | undefined
  readonly html: MimeEntity.Entity | undefined
  readonly calendar: MimeEntity.Entity | undefined
}

/** Puts the parts of a message together; there is at least one. */
export const tree = (
  { calendar, html, text }: Alternatives,
  attachments: ReadonlyArray<Resolved>,
  token: string
): MimeEntity.Entity => {
  const alternatives: Array<MimeEntity.Entity> = []
  if (text !== undefined) alternatives.push(text)
  let separate = attachments
  if (html !== undefined) {
    const related = attachments.filter(({ description }) => description.cid !== undefined)
    separate = related.length === 0 ? attachments : attachments.filter((one) => !related.includes(one))
    alternatives.push(withImages(html, related, token))
  }
  if (calendar !== undefined) alternatives.push(calendar)
  const body =
    alternatives.length > 1 ? MimeEntity.multipart("alternative", `=_a_${token}`, alternatives) : alternatives[0]
  if (body !== undefined && separate.length === 0) return body
  const files = separate.map(({ description, source }) => AttachmentEntity.make(description, source, token))
  return MimeEntity.multipart("mixed", `=_m_${token}`, body === undefined ? files : [body, ...files])
}

const withImages = (html: MimeEntity.Entity, images: ReadonlyArray<Resolved>, token: string): MimeEntity.Entity =>
  images.length === 0
    ? html
    : MimeEntity.multipart('related; type="text/html"', `=_r_${token}`, [
        html,
        ...images.map(({ description, source }) => AttachmentEntity.make(description, source, token))
      ])

/** The method of the media type is the one inside; where one is, the other must be (RFC 5545 §3.7.2, RFC 6047 §2.4). */
const calendarUnsafe = (calendar: Mail.Calendar): MimeEntity.Entity => {
  refuseNul("calendar.content", calendar.content)
  const unfolded = calendar.content.replace(/(?:\r\n|\r|\n)[ \t]/g, "")
  // The calendar's own properties come before its components (RFC 5545 §3.6).
  const properties = unfolded.slice(0, /^BEGIN:(?!VCALENDAR\b)/im.exec(unfolded)?.index)
  const inside = methodLine.exec(properties)?.[1]?.toUpperCase()
  const method = calendar.method?.toUpperCase()
  if (method !== undefined && !/^[A-Z\d-]{1,40}$/.test(method))
    throw MailError.invalid("calendar.method", "a method is a word as REQUEST, REPLY or CANCEL")
  if (method !== undefined && inside === undefined)
    throw MailError.invalid(
      "calendar.method",
      `it is ${method}, but the content has no METHOD; add a line METHOD:${method} behind BEGIN:VCALENDAR`
    )
  if (method !== undefined && inside !== method)
    throw MailError.invalid("calendar.method", `it is ${method}, but the content says METHOD:${inside}; leave it out`)
  return TextEntity.make(inside === undefined ? "text/calendar" : `text/calendar; method=${inside}`, calendar.content)
}

const methodLine = /^METHOD(?:;(?:"[^"\r\n]*"|[^":\r\n])*)?:[ \t]*([\w-]+)[ \t]*$/im

const refuseNul = (field: string, text: string | undefined): void => {
  if (text === undefined) return
  if (typeof text !== "string") throw MailError.invalid(field, "it must be a string")
  const at = text.indexOf("\0")
  if (at !== -1) throw MailError.invalid(field, `NUL is not allowed in a text (at character ${at + 1})`)
}
