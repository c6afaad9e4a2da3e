/**
 * Finds fields of a wrong type in a message from untyped code.
 *
 * Composing trusts the types, because checking each field would cost every message. A field of a wrong type mostly throws when it
 * is used, and is checked then. A field that is only compared or passed on would not throw, so it is checked first
 * (`refuseUnsafe`). Otherwise a slip could silently turn something off.
 */
import * as Stream from "effect/Stream"
import * as Envelope from "../../Envelope.ts"
import type * as Mail from "../../Mail.ts"
import * as MailError from "../../MailError.ts"

/** A message, or a template's input, whose data may be of any class. */
type LooseMail = Omit<Partial<Mail.Mail>, "data"> & { readonly data?: unknown }

/** Refuses a message with a field of a wrong type that composing itself would pass over. Throws `MailError`. */
export const refuseUnsafe = (mail: LooseMail): void => {
  const isPlain =
    mail.dsn === undefined &&
    mail.envelope === undefined &&
    mail.headers === undefined &&
    mail.attachments === undefined &&
    mail.listUnsubscribe === undefined &&
    mail.calendar === undefined &&
    mail.requireTls === undefined &&
    (mail.data === undefined || isObject(mail.data)) &&
    (mail.id === undefined || typeof mail.id === "string") &&
    (mail.inReplyTo === undefined || typeof mail.inReplyTo === "string") &&
    (mail.tenant === undefined || typeof mail.tenant === "string")
  if (isPlain) return
  for (const [name, is] of passedOver) {
    const fault = is((mail as unknown as Fields)[name], name)
    if (fault !== undefined) throw fault
  }
}

/** The error of a message with a field of a wrong type; `undefined` if all types are right. */
export const findFault = (mail: LooseMail): MailError.MailError | undefined => {
  if (!isObject(mail)) return MailError.invalid("mail", "it must be an object")
  for (const [name, is] of shapes) {
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

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const string = must("a string", (value) => typeof value === "string")
const boolean = must("true or false", (value) => typeof value === "boolean")

/** One of a set of strings. */
const oneOf = (...values: ReadonlyArray<string>): Shape =>
  must(values.map((one) => `"${one}"`).join(" or "), (value) => values.includes(value as string))

/** A required field. */
const given =
  (is: Shape): Shape =>
  (value, field) =>
    is(value ?? null, field)

/** An object whose fields are checked as well. */
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

/** An object without other fields: an unknown field would be a request that is silently ignored. */
const only = (fields: { readonly [name: string]: Shape }): Shape => {
  const self = object(fields)
  const names = Object.keys(fields)
  return (value, field) => {
    const other = isObject(value) ? Object.keys(value).find((name) => !names.includes(name)) : undefined
    return other === undefined
      ? self(value, field)
      : MailError.invalid(`${field}.${other}`, `it is not known; known are ${names.join(" and ")}`)
  }
}

const stringOr =
  (other: Shape): Shape =>
  (value, field) =>
    typeof value === "string" ? undefined : other(value, field)

const mailbox = stringOr(object({ name: string, address: given(string) }))

const mailboxes: Shape = (value, field) => (Array.isArray(value) ? list(mailboxes) : mailbox)(value, field)

const content = must(
  "text, bytes or a stream of bytes",
  (value) => typeof value === "string" || value instanceof Uint8Array || Stream.isStream(value)
)

const attachment = object({
  filename: string,
  content,
  path: string,
  encoding: oneOf("utf8", "base64"),
  contentType: string,
  cid: string,
  size: must("a whole number from 0", (value) => Number.isSafeInteger(value) && Number(value) >= 0)
})

const isDate = must("a Date", (value) => value instanceof Date)

const date: Shape = (value, field) =>
  value instanceof Date && Number.isNaN(value.getTime())
    ? MailError.invalid(field, "it is not a date between the years 1900 and 9999")
    : isDate(value, field)

const dsn: Shape = (value, field) => {
  const fault = value === undefined ? undefined : Envelope.dsnFault(value)
  return fault && MailError.invalid(fault.field === "" ? field : `${field}.${fault.field}`, fault.problem)
}

const shapes: ReadonlyArray<readonly [keyof Mail.Mail, Shape]> = [
  ["id", string],
  ["from", mailbox],
  ["to", mailboxes],
  ["cc", mailboxes],
  ["bcc", mailboxes],
  ["replyTo", mailboxes],
  ["subject", string],
  ["text", string],
  ["html", string],
  ["headers", must("an object of names and values", isObject)],
  ["attachments", list(attachment)],
  ["messageId", string],
  ["date", date],
  ["inReplyTo", string],
  ["references", stringOr(list(string))],
  ["envelope", only({ from: string, to: list(string) })],
  ["listUnsubscribe", stringOr(object({ url: string, mailto: string, oneClick: boolean }))],
  ["priority", oneOf("high", "normal", "low")],
  ["calendar", object({ content: given(string), method: string })],
  ["dsn", dsn],
  ["requireTls", boolean],
  ["tenant", string],
  ["data", must("an object", isObject)]
]

/** The fields whose wrong types would not make composing throw. */
const passedOver = shapes.filter(([name]) =>
  /^(?:dsn|envelope|headers|attachments|listUnsubscribe|calendar|requireTls|data|id|inReplyTo|tenant)$/.test(name)
)
