/**
 * The header of a template's messages: fields that are the same in all messages are written once, the rest for each message.
 *
 * A value never enters the header raw: a subject is encoded as a whole, a mailbox is built from a name and an address that
 * are filled in separately, and an unsubscribe address takes percent-encoded pieces.
 */
import type * as Mail from "../../Mail.ts"
import * as Mailbox from "../../Mailbox.ts"
import * as TemplateError from "../../TemplateError.ts"
import * as HeaderField from "../mime/field.ts"
import * as MailAddresses from "../mime/mailAddresses.ts"
import * as MailHeader from "../mime/header.ts"
import * as Escape from "./escape.ts"
import * as Filling from "./filling.ts"
import * as TemplatePlaces from "./places.ts"
import type { Scope } from "./scope.ts"
import { firstOf, type Missing, type Names } from "./steps.ts"

/** The header of a template; every part may have fields. */
export interface Source {
  readonly from: Mail.Mailbox
  readonly to?: Mail.Mailboxes | undefined
  readonly replyTo?: Mail.Mailboxes | undefined
  readonly subject: string
  readonly headers?: Mail.Mail["headers"]
  readonly listUnsubscribe?: Mail.ListUnsubscribe | undefined
  readonly priority?: Mail.Mail["priority"]
}

/** The options for compiling a header. */
export interface Options {
  readonly missing: Missing
  readonly schemes: ReadonlySet<string>
}

/** The sources of a message's own header fields beside the data. */
export type Recipient = Pick<Mail.Mail, "cc" | "bcc" | "replyTo" | "messageId" | "date" | "inReplyTo" | "references"> &
  Partial<Pick<Mail.Mail, "from" | "to">>

type ListUnsubscribe = Exclude<Mail.ListUnsubscribe, string>

/** A header, ready to be filled in. */
export class TemplateHeader {
  readonly from: Filling.Filling<Mail.Mailbox>
  readonly to: Filling.Filling<Mail.Mailboxes | undefined>
  readonly replyTo: Filling.Filling<Mail.Mailboxes | undefined>
  readonly subject: Filling.Filling<string>
  readonly headers: Filling.Filling<NonNullable<Mail.Mail["headers"]>>
  readonly listUnsubscribe: Filling.Filling<ListUnsubscribe | undefined>
  private readonly priority: Mail.Mail["priority"]
  /** The static header fields as text. */
  private readonly written: {
    readonly sender: MailAddresses.Sender | undefined
    readonly from: string
    readonly replyTo: string | undefined
    readonly subject: string | undefined
    readonly more: string
  }
  /** Custom fields that are filled in. */
  private readonly filledHeaders: Filling.Filling<NonNullable<Mail.Mail["headers"]>> | undefined

  /** Throws `TemplateError` and, for what is wrong apart from its fields, `MailError`. */
  constructor(source: Source, options: Options) {
    const { missing, schemes } = options
    checkNamesUnsafe(source)
    const line = (field: string, text: string) =>
      Filling.text(TemplatePlaces.plainUnsafe(field, text, Escape.line), missing)
    const address = (field: string, text: string) =>
      Filling.text(TemplatePlaces.addressUnsafe(field, text, schemes), missing)
    this.from = mailbox("from", source.from, line)
    this.to = mailboxes("to", source.to, line)
    this.replyTo = mailboxes("replyTo", source.replyTo, line)
    this.subject = line("subject", source.subject)
    this.listUnsubscribe = listUnsubscribe(source.listUnsubscribe, address)
    this.priority = source.priority
    const custom = Object.entries(source.headers ?? {}).map(
      ([name, value]) => [name, customUnsafe(name, value, line)] as const
    )
    this.headers = Filling.all(Object.fromEntries(custom))
    const isFixed = ([, value]: (typeof custom)[number]) => value.isFixed
    const filled = custom.filter((one) => !isFixed(one))
    this.filledHeaders = filled.length === 0 ? undefined : Filling.all(Object.fromEntries(filled))
    const sender = this.from.isFixed ? MailAddresses.senderUnsafe(this.from.fillUnsafe(nowhere)) : undefined
    const subject = this.subject.isFixed ? this.subject.fillUnsafe(nowhere) : undefined
    if (subject !== undefined) MailHeader.checkLineUnsafe("subject", subject)
    if (this.to.isFixed) MailAddresses.mailboxesUnsafe("to", this.to.fillUnsafe(nowhere))
    this.written = {
      sender,
      from: sender === undefined ? "" : HeaderField.mailboxes("From", [sender.mailbox]),
      replyTo: this.replyTo.isFixed ? writeReplyTo(this.replyTo.fillUnsafe(nowhere)) : undefined,
      subject: subject === undefined ? undefined : HeaderField.unstructured("Subject", subject),
      more: MailHeader.moreUnsafe({
        priority: source.priority,
        headers: Filling.all(Object.fromEntries(custom.filter(isFixed))).fillUnsafe(nowhere),
        listUnsubscribe: this.listUnsubscribe.isFixed ? this.listUnsubscribe.fillUnsafe(nowhere) : undefined
      })
    }
  }

  /** The names that are looked up in the data. */
  get names(): Names {
    return firstOf(
      [this.from, this.to, this.replyTo, this.subject, this.headers, this.listUnsubscribe].map(({ names }) => names)
    )
  }

  /** The sender of a message. Throws `MailError`. */
  senderUnsafe(scope: Scope, recipient: Recipient): MailAddresses.Sender {
    if (recipient.from !== undefined) return MailAddresses.senderUnsafe(recipient.from)
    return this.written.sender ?? MailAddresses.senderUnsafe(this.from.fillUnsafe(scope))
  }

  /** The recipients that the header names. Throws `MailError`. */
  toUnsafe(scope: Scope, recipient: Recipient): ReadonlyArray<Mailbox.Mailbox> {
    return MailAddresses.mailboxesUnsafe("to", recipient.to ?? this.to.fillUnsafe(scope))
  }

  /** Writes the header up to `MIME-Version`. Throws `MailError`. */
  writeUnsafe(
    scope: Scope,
    recipient: Recipient,
    sender: MailAddresses.Sender,
    to: ReadonlyArray<Mailbox.Mailbox>,
    cc: ReadonlyArray<Mailbox.Mailbox>,
    date: string,
    messageId: string
  ): string {
    const { written } = this
    let header = sender === written.sender ? written.from : HeaderField.mailboxes("From", [sender.mailbox])
    if (to.length > 0) header += HeaderField.mailboxes("To", to)
    if (cc.length > 0) header += HeaderField.mailboxes("Cc", cc)
    if (to.length === 0 && cc.length === 0) header += MailHeader.undisclosed
    header +=
      recipient.replyTo === undefined && written.replyTo !== undefined
        ? written.replyTo
        : writeReplyTo(recipient.replyTo ?? this.replyTo.fillUnsafe(scope))
    header += written.subject ?? HeaderField.unstructured("Subject", this.subject.fillUnsafe(scope))
    header += `Date: ${date}\r\nMessage-ID: ${messageId}\r\n${written.more}`
    if (
      this.filledHeaders !== undefined ||
      !this.listUnsubscribe.isFixed ||
      recipient.inReplyTo !== undefined ||
      recipient.references !== undefined
    )
      header += MailHeader.moreUnsafe({
        inReplyTo: recipient.inReplyTo,
        references: recipient.references,
        headers: this.filledHeaders?.fillUnsafe(scope),
        listUnsubscribe: this.listUnsubscribe.isFixed ? undefined : this.listUnsubscribe.fillUnsafe(scope)
      })
    return `${header}MIME-Version: 1.0\r\n`
  }

  /** The same as fields of a message. Throws `MailError`. */
  fieldsUnsafe(
    scope: Scope,
    recipient: Recipient
  ): Pick<Mail.Mail, "from" | "to" | "replyTo" | "subject" | "headers" | "listUnsubscribe" | "priority"> {
    return {
      from: recipient.from ?? this.from.fillUnsafe(scope),
      to: recipient.to ?? this.to.fillUnsafe(scope) ?? [],
      replyTo: recipient.replyTo ?? this.replyTo.fillUnsafe(scope),
      subject: this.subject.fillUnsafe(scope),
      headers: this.headers.fillUnsafe(scope),
      listUnsubscribe: this.listUnsubscribe.fillUnsafe(scope),
      priority: this.priority
    }
  }
}

/** The data of static parts, which look nothing up. */
const nowhere: Scope = { value: undefined, outer: undefined, list: undefined, index: 0, length: 0 }

/** Field names and their conflicts do not depend on the data, so they are checked at compile time. */
const checkNamesUnsafe = ({ headers, listUnsubscribe, priority }: Source): void => {
  MailHeader.moreUnsafe({
    priority,
    listUnsubscribe: listUnsubscribe === undefined ? undefined : "https://example.org/",
    headers: Object.fromEntries(Object.keys(headers ?? {}).map((name) => [name, []]))
  })
}

type Line = (field: string, text: string) => Filling.Filling<string>

const hasField = (text: string): boolean => text.includes("{{")

/** A name and an address are filled in separately, so that neither can become the other. */
const mailbox = (field: string, given: Mail.Mailbox, line: Line): Filling.Filling<Mail.Mailbox> => {
  if (typeof given !== "string") {
    if (typeof given !== "object" || given === null || typeof given.address !== "string") return Filling.fixed(given)
    const name = given.name === undefined ? Filling.fixed(undefined) : line(`${field}.name`, given.name)
    return Filling.all({ name, address: line(`${field}.address`, given.address) })
  }
  if (!hasField(given)) return Filling.fixed(given)
  if (given.replace(/\{\{[^]*?\}\}|"[^"]*"/g, "").includes(","))
    throw TemplateError.make(field, "a list with fields stands in one string", "give a list of strings")
  const angled = /^([^<>]*)<([^<>]*)>\s*$/.exec(given)
  if (angled === null) return Filling.map(line(field, given.trim()), (address) => ({ address }))
  const name = angled[1]!.trim().replace(/^"([^"]*)"$/, "$1")
  return Filling.all({ name: line(field, name), address: line(field, angled[2]!.trim()) })
}

const mailboxes = (
  field: string,
  given: Mail.Mailboxes | undefined,
  line: Line
): Filling.Filling<Mail.Mailboxes | undefined> => {
  if (Array.isArray(given))
    return Filling.list(given.map((one: Mail.Mailbox, index) => mailbox(`${field}[${index}]`, one, line)))
  // A list in one string is read as such only where there is nothing to fill in.
  return typeof given === "string" && !hasField(given)
    ? Filling.fixed(given)
    : given === undefined
      ? Filling.fixed(undefined)
      : mailbox(field, given as Mail.Mailbox, line)
}

const writeReplyTo = (given: Mail.Mailboxes | undefined): string => {
  const list = MailAddresses.mailboxesUnsafe("replyTo", given)
  return list.length === 0 ? "" : HeaderField.mailboxes("Reply-To", list)
}

const customUnsafe = (
  name: string,
  given: string | ReadonlyArray<string>,
  line: Line
): Filling.Filling<string | ReadonlyArray<string>> => {
  const field = `headers.${name}`
  if (MailHeader.mailboxFields.has(name.toLowerCase()) && [given].flat().some(hasField))
    throw TemplateError.make(field, "a header of mailboxes takes no fields", "use from, to or replyTo, or write it out")
  return typeof given === "string"
    ? line(field, given)
    : Filling.list(given.map((value, index) => line(`${field}[${index}]`, value)))
}

const listUnsubscribe = (
  given: Mail.ListUnsubscribe | undefined,
  address: Line
): Filling.Filling<ListUnsubscribe | undefined> => {
  if (given === undefined) return Filling.fixed(undefined)
  const { mailto, oneClick, url } =
    typeof given === "string" ? { url: given, mailto: undefined, oneClick: undefined } : given
  return Filling.all({
    url: url === undefined ? Filling.fixed(undefined) : address("listUnsubscribe.url", url),
    mailto: mailto === undefined ? Filling.fixed(undefined) : address("listUnsubscribe.mailto", mailto),
    oneClick: Filling.fixed(oneClick)
  })
}
