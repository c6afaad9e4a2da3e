/**
 * Converts a `Mail` into the options of `sendMail`.
 */
import type * as Mail from "mailrace/Mail"
import * as Mailbox from "mailrace/Mailbox"
import * as Result from "effect/Result"
import type { Address, Attachment, SendMailOptions } from "nodemailer"
import { randomUUID } from "node:crypto"

/** The same message without the content of files and streams, for the native composer to check. */
export const toCheck = (mail: Mail.Mail): Mail.Mail => ({
  ...mail,
  attachments: mail.attachments?.map((attachment) => ({
    ...attachment,
    path: undefined,
    content: attachment.encoding === "base64" && typeof attachment.content === "string" ? attachment.content : ""
  }))
})

/** Options with only those attachments that were given to nodemailer itself. */
export type Given = SendMailOptions & { readonly attachments: Array<Attachment> }

/** Makes the options of a checked mail. */
export const make = (
  mail: Mail.Mail,
  the: { readonly date: Date; readonly messageId: string; readonly extras: SendMailOptions }
): Given => {
  const { extras } = the
  const alternatives = [...(extras.alternatives ?? [])]
  if (mail.calendar !== undefined) alternatives.push(calendar(mail.calendar))
  const [from] = mailboxes(mail.from)
  return {
    ...extras,
    from: from!,
    to: mailboxes(mail.to),
    cc: mailboxes(mail.cc),
    replyTo: mailboxes(mail.replyTo),
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    alternatives,
    attachments: [...(extras.attachments ?? [])],
    headers: [...fields(mail.headers), ...oneClick(mail.listUnsubscribe), ...extraFields(extras.headers)],
    messageId: the.messageId,
    date: the.date,
    inReplyTo: mail.inReplyTo,
    references: typeof mail.references === "object" ? [...mail.references] : mail.references,
    ...(mail.listUnsubscribe === undefined
      ? {}
      : { list: { ...extras.list, unsubscribe: [uris(mail.listUnsubscribe)] } }),
    priority: mail.priority,
    // The same at each attempt, so that a signature over the message stays valid.
    baseBoundary: randomUUID()
  }
}

/** The most bytes of a composed message, without its attachments. */
export const sizeWithout = (given: Given): number =>
  8000 +
  [given.text, given.html].reduce((sum, text) => sum + (typeof text === "string" ? 4 * Buffer.byteLength(text) : 0), 0)

const mailboxes = (given: Mail.Mailboxes | undefined): Array<Address> => {
  if (given === undefined) return []
  if (typeof given === "string")
    return Result.getOrThrow(Mailbox.parseList(given)).map(({ address, name }) => ({ address, name: name ?? "" }))
  return isList(given) ? given.flatMap(mailboxes) : [{ address: given.address, name: given.name ?? "" }]
}

const isList = (given: Mail.Mailboxes): given is ReadonlyArray<Mail.Mailbox> => Array.isArray(given)

interface Field {
  readonly key: string
  readonly value: string
}

const fields = (headers: Mail.Mail["headers"]): ReadonlyArray<Field> =>
  Object.entries(headers ?? {}).flatMap(([key, value]) =>
    (typeof value === "string" ? [value] : value).map((one) => ({ key, value: one }))
  )

/** nodemailer accepts a field, a list of fields, or an object of names and values. */
const extraFields = (headers: SendMailOptions["headers"]): ReadonlyArray<Field> => {
  if (headers === undefined) return []
  if (Array.isArray(headers)) return headers as ReadonlyArray<Field>
  return "key" in headers && "value" in headers
    ? [headers as Field]
    : Object.entries(headers).map(([key, value]) => ({ key, value: value as string }))
}

const uris = (given: Mail.ListUnsubscribe): Array<string> =>
  typeof given === "string" ? [given] : [given.mailto, given.url].flatMap((uri) => uri ?? [])

/** RFC 8058 §3.1; the address itself has been checked. */
const oneClick = (given: Mail.ListUnsubscribe | undefined): ReadonlyArray<Field> =>
  given !== undefined &&
  uris(given).some((uri) => /^https:/i.test(uri)) &&
  (typeof given === "string" || given.oneClick !== false)
    ? [{ key: "List-Unsubscribe-Post", value: "List-Unsubscribe=One-Click" }]
    : []

/** Without a METHOD in the content there is none in the type either (RFC 5545 §3.7.2). */
const calendar = ({ content, method }: Mail.Calendar) => {
  const known = method ?? /^METHOD(?:;[^:\r\n]*)?:[ \t]*([\w-]+)/im.exec(content)?.[1]
  return {
    contentType: `text/calendar; charset=utf-8${known === undefined ? "" : `; method=${known.toUpperCase()}`}`,
    content
  }
}
