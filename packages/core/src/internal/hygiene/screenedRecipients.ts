/**
 * Reads the recipients of a message from any form in which they are given, and makes the message without some of them.
 */
import * as Result from "effect/Result"
import * as Address from "../../Address.ts"
import type * as Mail from "../../Mail.ts"
import * as Mailbox from "../../Mailbox.ts"

/** A value with recipients: a mail, a composed message, or a template's recipient. */
export interface Addressed {
  readonly id?: string | undefined
  readonly to?: Mail.Mailboxes | undefined
  readonly cc?: Mail.Mailboxes | undefined
  readonly bcc?: Mail.Mailboxes | undefined
  /** Its recipients take precedence over `to`, `cc` and `bcc`. */
  readonly envelope?: { readonly to?: ReadonlyArray<string> | undefined } | undefined
}

/** A recipient, which may not be valid. */
export interface Recipient {
  /** The text as it was given. */
  readonly given: Mail.Mailbox
  /** `undefined` if the text is not an address. */
  readonly address: Address.Address | undefined
  /** The fault of the text. */
  readonly problem: string | undefined
  readonly field: Field
}

type Field = "to" | "cc" | "bcc" | "envelope"

const fields = ["to", "cc", "bcc"] as const

/** Reads the recipients, in their order. */
export const read = (mail: Addressed): ReadonlyArray<Recipient> => {
  const { bcc, cc, envelope, to } = mail
  if (envelope?.to !== undefined) return envelope.to.map((given) => fromAddress("envelope", given, given))
  // Nearly all messages of a campaign have this form.
  if (cc === undefined && bcc === undefined) return readField("to", to)
  return fields.flatMap((field) => readField(field, mail[field]))
}

/** Reads the only recipient of a message. */
export const readOne = (given: string): Recipient => fromAddress("to", given, given)

/** Makes the message without some of its recipients. Lists that lose none stay as they are. */
export const without = <A extends Addressed>(
  mail: A,
  all: ReadonlyArray<Recipient>,
  dropped: ReadonlySet<Recipient>
): A => {
  const rest = (field: Field): ReadonlyArray<Mail.Mailbox> =>
    all.filter((one) => one.field === field && !dropped.has(one)).map(({ given }) => given)
  const isTouched = (field: Field): boolean => all.some((one) => one.field === field && dropped.has(one))
  if (isTouched("envelope")) return { ...mail, envelope: { ...mail.envelope, to: rest("envelope") } }
  return { ...mail, ...Object.fromEntries(fields.filter(isTouched).map((field) => [field, rest(field)])) }
}

const readField = (field: Field, given: Mail.Mailboxes | undefined): ReadonlyArray<Recipient> => {
  if (given === undefined) return []
  if (isList(given)) return given.flatMap((one) => readField(field, one))
  if (typeof given !== "string") return [fromAddress(field, given, given.address)]
  const parsed = Mailbox.parseList(given)
  if (Result.isFailure(parsed)) return [{ given, address: undefined, problem: parsed.failure.message, field }]
  return parsed.success.map((mailbox, _, { length }) => ({
    given: length === 1 ? given : mailbox,
    address: mailbox.address,
    problem: undefined,
    field
  }))
}

const fromAddress = (field: Field, given: Mail.Mailbox, text: string): Recipient => {
  const parsed = Address.parse(text)
  return Result.isSuccess(parsed)
    ? { given, address: parsed.success, problem: undefined, field }
    : { given, address: undefined, problem: parsed.failure.message, field }
}

const isList = (given: Mail.Mailboxes): given is ReadonlyArray<Mail.Mailbox> => Array.isArray(given)
