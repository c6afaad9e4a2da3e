/**
 * The recipients of a mail in whatever form they are given, and the mail again without some of them.
 */
import * as Result from "effect/Result"
import * as Address from "../../Address.ts"
import type * as Mail from "../../Mail.ts"
import * as Mailbox from "../../Mailbox.ts"

/** What has recipients: a mail, a composed message, a template's recipient. */
export interface Addressed {
  readonly id?: string | undefined
  readonly to?: Mail.Mailboxes | undefined
  readonly cc?: Mail.Mailboxes | undefined
  readonly bcc?: Mail.Mailboxes | undefined
  /** What it has goes before what `to`, `cc` and `bcc` say. */
  readonly envelope?: { readonly to?: ReadonlyArray<string> | undefined } | undefined
}

/** A recipient, or what was to be one. */
export interface Recipient {
  /** As it was given. */
  readonly given: Mail.Mailbox
  /** `undefined` when it is no address. */
  readonly address: Address.Address | undefined
  /** What is wrong with it. */
  readonly problem: string | undefined
  readonly field: Field
}

type Field = "to" | "cc" | "bcc" | "envelope"

const fields = ["to", "cc", "bcc"] as const

/** Reads the recipients, in their order. */
export const read = (mail: Addressed): ReadonlyArray<Recipient> => {
  const { bcc, cc, envelope, to } = mail
  if (envelope?.to !== undefined) return envelope.to.map((given) => fromAddress("envelope", given, given))
  // Nearly all mails of a campaign are such.
  if (cc === undefined && bcc === undefined) return readField("to", to)
  return fields.flatMap((field) => readField(field, mail[field]))
}

/** Reads a recipient that stands for the whole of its mail. */
export const readOne = (given: string): Recipient => fromAddress("to", given, given)

/** The mail without some of its recipients; the lists from which none is taken stay as they are. */
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
