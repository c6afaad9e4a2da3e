/**
 * What is not as the type `Mail` says, in a mail that no compiler has looked at.
 *
 * Composing takes the types at their word, since looking at each of them would cost every mail. Only what failed without
 * a word is looked at here, so that one such mail is refused by name and does not end the run of all others.
 */
import type * as Mail from "../Mail.ts"
import * as MailError from "../MailError.ts"

/** The error of a mail with a field of another type than it must have, `undefined` when all are right. */
export const findFault = (mail: Mail.Mail): MailError.MailError | undefined => {
  for (const [name, is] of Object.entries(shapes)) {
    const fault = is((mail as unknown as Fields)[name], name)
    if (fault !== undefined) return fault
  }
  return undefined
}

interface Fields {
  readonly [name: string]: unknown
}

type Shape = (value: unknown, field: string) => MailError.MailError | undefined

const must = (what: string, test: (value: unknown) => boolean): Shape => {
  const problem = `it must be ${what}`
  return (value, field) => (value === undefined || test(value) ? undefined : MailError.invalid(field, problem))
}

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

const string = must("a string", (value) => typeof value === "string")

/** What cannot be left out. */
const given =
  (is: Shape): Shape =>
  (value, field) =>
    is(value ?? null, field)

/** An object whose fields are looked at as well. */
const object = (fields: { readonly [name: string]: Shape }): Shape => {
  const self = must("an object", isObject)
  return (value, field) => {
    if (!isObject(value)) return self(value, field)
    for (const [name, is] of Object.entries(fields)) {
      const fault = is(value[name], `${field}.${name}`)
      if (fault !== undefined) return fault
    }
    return undefined
  }
}

const list = (each: Shape): Shape => {
  const self = must("a list", Array.isArray)
  return (value, field) => {
    if (!Array.isArray(value)) return self(value, field)
    for (const [index, one] of value.entries()) {
      const fault = given(each)(one, `${field}[${index}]`)
      if (fault !== undefined) return fault
    }
    return undefined
  }
}

const stringOr =
  (other: Shape): Shape =>
  (value, field) =>
    typeof value === "string" ? undefined : other(value, field)

const mailbox = stringOr(object({ name: string, address: given(string) }))

const mailboxes: Shape = (value, field) => (Array.isArray(value) ? list(mailboxes) : mailbox)(value, field)

const shapes: { readonly [name: string]: Shape } = {
  from: mailbox,
  to: mailboxes,
  cc: mailboxes,
  bcc: mailboxes,
  replyTo: mailboxes,
  subject: string,
  text: string,
  html: string,
  headers: must("an object of names and values", isObject),
  attachments: list(object({ filename: string, path: string, contentType: string, cid: string, encoding: string })),
  messageId: string,
  date: must("a Date", (value) => value instanceof Date),
  inReplyTo: string,
  references: stringOr(list(string)),
  envelope: object({ from: string, to: list(string) }),
  listUnsubscribe: stringOr(object({ url: string, mailto: string })),
  calendar: object({ content: given(string), method: string }),
  dsn: object({})
}
