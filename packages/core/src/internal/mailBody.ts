/**
 * The tree of a mail's parts (RFC 2046 §5.1, RFC 2387):
 *
 *     mixed ─┬─ alternative ─┬─ text
 *            │               ├─ related ─┬─ html
 *            │               │           └─ inline images
 *            │               └─ calendar
 *            └─ attachments
 *
 * A level with one child is left out, so that a plain text is one part.
 */
import type * as Mail from "../Mail.ts"
import * as MailError from "../MailError.ts"
import * as AttachmentEntity from "./attachmentEntity.ts"
import * as MimeEntity from "./mimeEntity.ts"
import * as TextEntity from "./textEntity.ts"

/** An attachment with its bytes or their stream. */
export interface Resolved {
  readonly description: AttachmentEntity.Description
  readonly source: AttachmentEntity.Source
}

/** Makes the entity of a whole mail; `token` makes its boundaries unlike those of any other. Throws `MailError`. */
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
  const alternatives: Array<MimeEntity.Entity> = []
  if (text || (!html && attachments.length === 0 && mail.calendar === undefined))
    alternatives.push(TextEntity.make("text/plain", text ?? "", eightBit))
  let separate = attachments
  if (html) {
    const related = attachments.filter(({ description }) => description.cid !== undefined)
    separate = related.length === 0 ? attachments : attachments.filter((one) => !related.includes(one))
    alternatives.push(withImages(TextEntity.make("text/html", html, eightBit), related, token))
  }
  if (mail.calendar !== undefined) alternatives.push(calendarUnsafe(mail.calendar))
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

/** RFC 6047 §2.4: the method of the media type is the one inside. */
const calendarUnsafe = (calendar: Mail.Calendar): MimeEntity.Entity => {
  refuseNul("calendar.content", calendar.content)
  const inside = /^METHOD(?:;[^:\r\n]*)?:[ \t]*([\w-]+)[ \t]*$/im.exec(calendar.content)?.[1]?.toUpperCase()
  const method = calendar.method?.toUpperCase() ?? inside ?? "PUBLISH"
  if (!/^[A-Z\d-]{1,40}$/.test(method))
    throw MailError.invalid("calendar.method", "a method is a word as REQUEST, REPLY or CANCEL")
  if (inside !== undefined && inside !== method)
    throw MailError.invalid("calendar.method", `it is ${method}, but the content says METHOD:${inside}; leave it out`)
  return TextEntity.make(`text/calendar; method=${method}`, calendar.content)
}

const refuseNul = (field: string, text: string | undefined): void => {
  if (text === undefined) return
  if (typeof text !== "string") throw MailError.invalid(field, "it must be a string")
  const at = text.indexOf("\0")
  if (at !== -1) throw MailError.invalid(field, `NUL is not allowed in a text (at character ${at + 1})`)
}
