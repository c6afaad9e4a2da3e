/**
 * The mailboxes of a message, read once, and the envelope that they give.
 */
import * as Result from "effect/Result"
import * as Address from "../../Address.ts"
import type * as Envelope from "../../Envelope.ts"
import type * as Mail from "../../Mail.ts"
import * as Mailbox from "../../Mailbox.ts"
import * as MailError from "../../MailError.ts"
import * as MailboxSyntax from "../address/mailboxSyntax.ts"
import * as AddressSyntax from "../address/addressSyntax.ts"

/** A sender, with what is made of it for every message. */
export interface Sender {
  readonly mailbox: Mailbox.Mailbox
  /** The domain in ASCII, for the Message-ID. */
  readonly domain: string
}

/** An app sends under few names; the cache is emptied when it turns out otherwise. */
const cachedSenders = 64
const senders = new Map<string, Sender>()

/** Reads the one mailbox of `from`. Throws `MailError`. */
export const senderUnsafe = (from: Mail.Mailbox): Sender => {
  if (typeof from !== "string") return sender(mailboxUnsafe("from", from))
  const known = senders.get(from)
  if (known !== undefined) return known
  const fresh = sender(orThrow("from", Mailbox.parse(from)))
  if (senders.size >= cachedSenders) senders.clear()
  senders.set(from, fresh)
  return fresh
}

const none: ReadonlyArray<Mailbox.Mailbox> = []

/** Reads all mailboxes of a field; a string may hold several. Throws `MailError`. */
export const mailboxesUnsafe = (field: string, given: Mail.Mailboxes | undefined): ReadonlyArray<Mailbox.Mailbox> => {
  if (given === undefined) return none
  // A header without recipients says so by an empty group; those in bcc are then all.
  if (typeof given === "string") return orThrow(field, MailboxSyntax.readList(given, "empty"))
  if (!isList(given)) return [mailboxUnsafe(field, given)]
  return given.flatMap((one, index) => {
    const place = `${field}[${index}]`
    if (Array.isArray(one)) {
      // A fault within it is reported first.
      mailboxesUnsafe(place, one)
      throw MailError.invalid(place, "it is a list; write all mailboxes in one")
    }
    if (one === undefined) throw MailError.invalid(place, "there is no address; write it as local@domain")
    return mailboxesUnsafe(place, one)
  })
}

/** The envelope of RFC 5321 §2.3.1. Throws `MailError`. */
export const envelopeUnsafe = (
  mail: Pick<Mail.Mail, "envelope" | "dsn" | "requireTls">,
  from: Mailbox.Mailbox,
  recipients: ReadonlyArray<ReadonlyArray<Mailbox.Mailbox>>
): Envelope.Envelope => {
  const given = mail.envelope
  const to =
    given?.to === undefined
      ? distinct(recipients)
      : distinct([given.to.map((to, index) => Mailbox.make(addressUnsafe(`envelope.to[${index}]`, to)))])
  if (to.length === 0)
    throw MailError.invalid(given?.to === undefined ? "to" : "envelope.to", "there is no recipient; name at least one")
  const sender =
    given?.from === undefined
      ? from.address
      : given.from === ""
        ? undefined
        : addressUnsafe("envelope.from", given.from)
  if (mail.dsn?.envelopeId !== undefined && !/^[\x20-\x7e]{1,100}$/.test(mail.dsn.envelopeId))
    throw MailError.invalid("dsn.envelopeId", "it is 1 to 100 printable ASCII characters")
  return {
    from: sender,
    to,
    dsn: mail.dsn,
    requireTls: mail.requireTls
  }
}

const isList = (given: Mail.Mailboxes): given is ReadonlyArray<Mail.Mailbox> => Array.isArray(given)

const sender = (mailbox: Mailbox.Mailbox): Sender => {
  const domain = Address.domain(mailbox.address)
  return { mailbox, domain: AddressSyntax.domainToAscii(domain) ?? domain }
}

const mailboxUnsafe = (field: string, given: Mail.Mailbox): Mailbox.Mailbox => {
  if (typeof given === "string") return orThrow(field, Mailbox.parse(given))
  if (typeof given !== "object" || given === null || typeof given.address !== "string")
    throw MailError.invalid(field, "there is no address; write it as local@domain")
  const { address, name } = given
  const at = name === undefined ? -1 : name.search(/[\r\n\0]/)
  if (at !== -1)
    throw MailError.invalid(
      `${field}.name`,
      `${AddressSyntax.controlName(name!.charCodeAt(at))} is not allowed in a name (at character ${at + 1})`
    )
  return Mailbox.make(addressUnsafe(`${field}.address`, address), name)
}

const addressUnsafe = (field: string, given: string): Address.Address => orThrow(field, Address.parse(given))

const orThrow = <A>(field: string, read: Result.Result<A, Address.AddressError>): A => {
  if (Result.isSuccess(read)) return read.success
  throw MailError.invalid(field, read.failure.message)
}

/** Each address of all lists once. */
const distinct = (lists: ReadonlyArray<ReadonlyArray<Mailbox.Mailbox>>): ReadonlyArray<Address.Address> => {
  const addresses: Array<Address.Address> = []
  // One by one: a call takes some 100,000 arguments, a message more recipients.
  for (const list of lists) for (const { address } of list) addresses.push(address)
  return Address.distinct(addresses)
}
