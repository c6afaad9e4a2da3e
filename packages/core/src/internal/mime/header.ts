/**
 * The header of a message: all fields but those about its body.
 */
import type * as Mail from "../../Mail.ts"
import type * as Mailbox from "../../Mailbox.ts"
import * as MailError from "../../MailError.ts"
import * as AddressSyntax from "../address/addressSyntax.ts"
import * as EncodedWord from "./encodedWord.ts"
import * as HeaderField from "./field.ts"
import * as MailAddresses from "./mailAddresses.ts"
import * as StructuredValue from "./structuredValue.ts"

/** The mailboxes that the header names. */
export interface Participants {
  readonly from: Mailbox.Mailbox
  readonly to: ReadonlyArray<Mailbox.Mailbox>
  readonly cc: ReadonlyArray<Mailbox.Mailbox>
  readonly replyTo: ReadonlyArray<Mailbox.Mailbox>
}

/** Writes the header up to `MIME-Version`. Throws `MailError`. */
export const writeUnsafe = (mail: Mail.Mail, who: Participants, date: string, messageId: string): string => {
  checkLineUnsafe("subject", mail.subject)
  let header = HeaderField.mailboxes("From", [who.from])
  if (who.to.length > 0) header += HeaderField.mailboxes("To", who.to)
  if (who.cc.length > 0) header += HeaderField.mailboxes("Cc", who.cc)
  if (who.to.length === 0 && who.cc.length === 0) header += undisclosed
  if (who.replyTo.length > 0) header += HeaderField.mailboxes("Reply-To", who.replyTo)
  header += `${HeaderField.unstructured("Subject", mail.subject)}Date: ${date}\r\nMessage-ID: ${messageId}\r\n`
  return `${header}${moreUnsafe(mail)}MIME-Version: 1.0\r\n`
}

/** Stands in for recipients that are in Bcc alone (RFC 5322 §3.4). */
export const undisclosed = "To: undisclosed-recipients:;\r\n"

/** The optional fields of a header. */
export type More = Pick<Mail.Mail, "inReplyTo" | "references" | "listUnsubscribe" | "priority" | "headers">

/** Writes the fields after Message-ID and before MIME-Version. Throws `MailError`. */
export const moreUnsafe = (mail: More): string => {
  let header = ""
  if (mail.inReplyTo !== undefined) header += messageIdsUnsafe("In-Reply-To", "inReplyTo", mail.inReplyTo)
  if (mail.references !== undefined) header += messageIdsUnsafe("References", "references", mail.references)
  if (mail.listUnsubscribe !== undefined) header += listUnsubscribeUnsafe(mail.listUnsubscribe)
  if (mail.priority !== undefined) header += priorityUnsafe(mail.priority)
  if (mail.headers !== undefined) header += customUnsafe(mail, mail.headers)
  return header
}

/** A Message-ID with its angle brackets (RFC 5322 §3.6.4). Throws `MailError`. */
export const messageIdUnsafe = (field: string, given: string): string => {
  const bare = given.startsWith("<") && given.endsWith(">") ? given.slice(1, -1) : given
  if (bare.length > longestMessageId || !/^[\x21-\x3b\x3d\x3f-\x7e]+@[\x21-\x3b\x3d\x3f-\x7e]+$/.test(bare))
    throw MailError.invalid(
      field,
      `a Message-ID is <left@right>: printable ASCII without spaces, at most ${longestMessageId} characters`
    )
  return `<${bare}>`
}

const longestMessageId = 250

/**
 * A field that lists the Message-IDs of other messages, in a string or one by one; nothing if there are none.
 *
 * They are only compared (RFC 5322 §3.6.4), so they are taken as their programs made them. One that no header can hold
 * is left out: the message then stands at another place of its thread, but it can be sent.
 */
const messageIdsUnsafe = (name: string, field: string, given: string | ReadonlyArray<string>): string => {
  const ids =
    typeof given === "string"
      ? foreignIdsUnsafe(field, given)
      : given.flatMap((id, index) => foreignIdsUnsafe(`${field}[${index}]`, id))
  return ids.length === 0 ? "" : HeaderField.parts(name, ids, "")
}

/** Longer ones do not fit on a line (RFC 5322 §2.1.1). */
const longestForeignId = 990

const foreignIdsUnsafe = (field: string, given: string): ReadonlyArray<string> => {
  if (typeof given !== "string") throw MailError.invalid(field, "it must be a string")
  // Folded between two ids, as in the header that it was taken from (RFC 5322 §2.2.3).
  const unfolded = given.replace(/>[ \t]*\r?\n[ \t]+(?=<)/g, "> ")
  checkLineUnsafe(field, unfolded)
  const bracketed = unfolded.match(/<[^<>]*>/g)
  const bare = bracketed?.map((id) => id.slice(1, -1).replace(/[ \t]+/g, "")) ?? unfolded.trim().split(/[ \t,]+/)
  if (bracketed === null && /[<>]/.test(unfolded))
    throw MailError.invalid(field, "an angle bracket has no other; write <left@right>")
  return bare.filter((id) => /^[\x21-\x7e]+$/.test(id) && id.length <= longestForeignId).map((id) => `<${id}>`)
}

/** RFC 2369 §3.2 and, for one click, RFC 8058 §3.1. */
const listUnsubscribeUnsafe = (given: Mail.ListUnsubscribe): string => {
  const { mailto, oneClick, url } =
    typeof given === "string" ? { url: given, mailto: undefined, oneClick: undefined } : given
  const uris: Array<string> = []
  if (mailto !== undefined) {
    const uri = /^mailto:/i.test(mailto) ? mailto : `mailto:${mailto}`
    checkUriUnsafe("listUnsubscribe.mailto", uri)
    if (!/^mailto:[^?@]+@[^?@]+(?:\?|$)/i.test(uri))
      throw MailError.invalid("listUnsubscribe.mailto", "it must be local@domain, or mailto:local@domain?subject=…")
    uris.push(`<${uri}>`)
  }
  if (url !== undefined) {
    checkUriUnsafe("listUnsubscribe.url", url)
    if (!/^https?:/i.test(url)) throw MailError.invalid("listUnsubscribe.url", "it must begin with https: or http:")
    uris.push(`<${url}>`)
  }
  if (uris.length === 0) throw MailError.invalid("listUnsubscribe", "it has neither url nor mailto")
  const isHttps = url !== undefined && /^https:/i.test(url)
  if (oneClick === true && !isHttps)
    throw MailError.invalid("listUnsubscribe.url", "one-click needs an https: address (RFC 8058 §3.1)")
  const field = HeaderField.parts("List-Unsubscribe", uris, ",")
  return isHttps && oneClick !== false ? `${field}List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n` : field
}

const checkUriUnsafe = (field: string, uri: string): void => {
  if (!/^[\x21\x23-\x3b\x3d\x3f-\x7e]{1,900}$/.test(uri) || !URL.canParse(uri))
    throw MailError.invalid(field, "it is no URL of at most 900 characters; percent-encode spaces, quotes and < >")
}

const priority = {
  high: "X-Priority: 1 (Highest)\r\nX-MSMail-Priority: High\r\nImportance: high\r\n",
  normal: "X-Priority: 3 (Normal)\r\nX-MSMail-Priority: Normal\r\nImportance: normal\r\n",
  low: "X-Priority: 5 (Lowest)\r\nX-MSMail-Priority: Low\r\nImportance: low\r\n"
}

const priorityUnsafe = (given: keyof typeof priority): string => {
  if (typeof given !== "string" || !Object.hasOwn(priority, given))
    throw MailError.invalid("priority", "it is high, normal or low")
  return priority[given]
}

/** Fields that `headers` must leave alone, and what to use instead. */
const owned: ReadonlyMap<string, string> = new Map([
  ["from", "use the field from"],
  ["to", "use the field to"],
  ["cc", "use the field cc"],
  ["bcc", "use the field bcc; a Bcc header would show everyone who else got the mail"],
  ["resent-bcc", "name whom it goes to in envelope.to; this header would show everyone who else got the mail"],
  ["reply-to", "use the field replyTo"],
  ["subject", "use the field subject"],
  ["date", "use the field date"],
  ["message-id", "use the field messageId"],
  ["in-reply-to", "use the field inReplyTo"],
  ["references", "use the field references"],
  ["return-path", "use the field envelope.from; the last relay writes this header"],
  ["mime-version", "it is always written"],
  ["content-type", "it follows from text, html, calendar and attachments"],
  ["content-transfer-encoding", "it follows from the content"],
  ["content-disposition", "it belongs to an attachment, which has its own"],
  ["content-id", "use the field cid of an attachment"]
])

/** Fields that hold mailboxes, whose names must be encoded apart from their addresses. */
export const mailboxFields: ReadonlySet<string> = new Set([
  "sender",
  "disposition-notification-to",
  "return-receipt-to",
  "resent-from",
  "resent-sender",
  "resent-to",
  "resent-cc"
])

/** More fields of mailboxes, which may hold other things too. */
const looseMailboxFields: ReadonlySet<string> = new Set([
  "apparently-to",
  "errors-to",
  "mail-followup-to",
  "mail-reply-to",
  "x-confirm-reading-to",
  "x-original-from"
])

/** Fields that must stand once at most: RFC 5322 §3.6, RFC 2369 §3, RFC 2919 §3, RFC 8058 §3.1. */
const onceOnly = /^(?:sender|resent-sender|list-(?:archive|help|id|owner|post|subscribe|unsubscribe(?:-post)?))$/

/** Fields of phrases, comments and what stands in angle brackets (RFC 2369 §2, RFC 2919 §3, RFC 5064 §2.2). */
const structuredFields = /^(?:list-.*|archived-at)$/

const longestName = 76

const customUnsafe = (mail: More, headers: NonNullable<Mail.Mail["headers"]>): string => {
  let out = ""
  const seen = new Set<string>()
  for (const name of Object.keys(headers)) {
    const lower = name.toLowerCase()
    // The name itself may be what is at fault, and then must not be printed as it is.
    if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name) || name.length > longestName)
      throw MailError.invalid(
        `headers[${JSON.stringify(name.slice(0, longestName))}]`,
        `a header name is 1 to ${longestName} printable ASCII characters without spaces and colons`
      )
    const instead = ownedInstead(mail, lower)
    if (instead !== undefined) throw MailError.invalid(`headers.${name}`, `this header cannot be set here: ${instead}`)
    if (onceOnly.test(lower) && seen.size === seen.add(lower).size)
      throw MailError.invalid(`headers.${name}`, "this header may stand in a mail once only; leave one of them out")
    const given = headers[name]!
    const values = typeof given === "string" ? [given] : given
    if (!Array.isArray(values)) throw MailError.invalid(`headers.${name}`, "it must be a string or a list of strings")
    if (values.length > 1 && onceOnly.test(lower))
      throw MailError.invalid(`headers.${name}`, "this header may stand in a mail once only; give it one value")
    for (let i = 0; i < values.length; i++) {
      const field = typeof given === "string" ? `headers.${name}` : `headers.${name}[${i}]`
      checkLineUnsafe(field, values[i]!)
      out += customFieldUnsafe(name, lower, field, values[i]!)
    }
  }
  return out
}

const customFieldUnsafe = (name: string, lower: string, field: string, value: string): string => {
  if (mailboxFields.has(lower)) return HeaderField.mailboxes(name, mailboxesUnsafe(field, lower, value))
  const isLoose = looseMailboxFields.has(lower)
  if (!isLoose && !structuredFields.test(lower)) return HeaderField.unstructured(name, value)
  const text = value.replace(/[ \t]+/g, " ").trim()
  if (AddressSyntax.isAscii(text) && !EncodedWord.looksEncoded(text)) {
    const plain = HeaderField.folded(name, text)
    if (plain !== undefined) return plain
  }
  if (isLoose) return HeaderField.mailboxes(name, mailboxesUnsafe(field, lower, text))
  const pieces = StructuredValue.read(text)
  if (typeof pieces === "string") throw MailError.invalid(field, pieces)
  const written = HeaderField.structured(name, pieces)
  if (written === undefined)
    throw MailError.invalid(field, "it holds more than 990 characters without a blank; shorten it")
  return written
}

/** RFC 5322 §3.6.2, §3.6.6: a field of mailboxes is not empty, and there is one sender. */
const mailboxesUnsafe = (field: string, lower: string, value: string): ReadonlyArray<Mailbox.Mailbox> => {
  const list = MailAddresses.mailboxesUnsafe(field, value)
  if (list.length === 0) throw MailError.invalid(field, "there is no address; leave the header out")
  if (list.length > 1 && lower.endsWith("sender")) throw MailError.invalid(field, "there is more than one sender")
  return list
}

const ownedInstead = (mail: More, name: string): string | undefined => {
  if (mail.listUnsubscribe !== undefined && (name === "list-unsubscribe" || name === "list-unsubscribe-post"))
    return "the field listUnsubscribe gives it already"
  if (mail.priority !== undefined && (name === "x-priority" || name === "x-msmail-priority" || name === "importance"))
    return "the field priority gives it already"
  return owned.get(name)
}

/** Refuses what would end a header line. Throws `MailError`. */
export const checkLineUnsafe = (field: string, value: string): void => {
  if (typeof value !== "string") throw MailError.invalid(field, "it must be a string")
  const at = value.search(/[\r\n\0]/)
  if (at === -1) return
  throw MailError.invalid(
    field,
    `${AddressSyntax.controlName(value.charCodeAt(at))} is not allowed in a header (at character ${at + 1})`
  )
}
