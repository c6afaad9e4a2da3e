/**
 * What is stored of a mail, and the mail again from it.
 *
 * A mail is stored as JSON, so that what was enqueued under one version can be sent under the next. What many mails
 * have in common is stored once: a mail whose body was seen before is kept as its difference from the first (a
 * *template*: the fields that both share), and an attachment from 4 KB on is kept apart under its hash. A campaign of a
 * million mails from one body therefore stores the body once and, for each mail, its recipient and its data. A mail with
 * a body of its own pays one map look-up for this.
 *
 * A `Composed` is stored as its bytes beside its envelope.
 *
 * **Gotchas**
 *
 * What a mail points at is read when it is enqueued, not when it is sent: files (`path`) and streams are gone by then.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { domainToASCII } from "node:url"
import * as Composed from "mailrace/Composed"
import type * as Envelope from "mailrace/Envelope"
import type * as Mail from "mailrace/Mail"
import * as Mailbox from "mailrace/Mailbox"
import type { Sendable } from "mailrace/Mailer"
import type { Content } from "./internal/storedContent.ts"
import * as OutboxError from "./OutboxError.ts"

/** A content that several mails may share, under the SHA-256 of its kind and bytes, in hex. */
export interface Shared {
  readonly hash: string
  readonly content: Content
}

/** A mail as it is stored. */
export interface Payload {
  /** JSON of the mail, or the bytes of a composed message. */
  readonly content: Content
  /** JSON of what a composed message has beside its bytes; `undefined` for a `Mail`. */
  readonly envelope: string | undefined
  /** What the content refers to: the template first if it has one, then attachments. */
  readonly shared: ReadonlyArray<Shared>
  /** The address of the first recipient. */
  readonly recipient: string
  /** Bytes (of text: characters) that are this mail's own. */
  readonly size: number
  /** The Message-ID with its angle brackets, the same at each attempt. */
  readonly messageId: string
}

/** How a payload is made and read; holds what it has seen before. */
export interface PayloadCodec {
  /** Encodes a mail under the id of its row. Fails with `InvalidMail`. */
  readonly encode: (mail: Sendable, id: string) => Effect.Effect<Payload, OutboxError.OutboxError>
  /** Decodes what `encode` made; throws what `JSON.parse` throws when the row is damaged. */
  readonly decodeUnsafe: (payload: Omit<Payload, "size">) => Sendable
}

/** Attachments from this many bytes on are stored under their hash. */
const sharedAttachment = 4096

/** A template below this many characters is not worth a row of its own. */
const smallestTemplate = 128

/** How many bodies are remembered to find those that come again. */
const rememberedBodies = 64

/** Makes a codec. One is enough for a process; it remembers up to 64 bodies. */
export const make = (): PayloadCodec => {
  const templates = new TemplateMemory()
  const parsed = new Map<string, Json>()
  const parse = (shared: Shared): Json => {
    let template = parsed.get(shared.hash)
    if (template === undefined) {
      template = JSON.parse(text(shared.content)) as Json
      if (parsed.size >= rememberedBodies) parsed.delete(parsed.keys().next().value!)
      parsed.set(shared.hash, template)
    }
    return template
  }
  return {
    encode: (mail, id) => {
      if (Composed.isComposed(mail)) {
        return mail.content instanceof Uint8Array
          ? encodeComposed(mail, mail.content)
          : Effect.flatMap(collect("content", mail.content.stream), (bytes) => encodeComposed(mail, bytes))
      }
      return mail.attachments === undefined || mail.attachments.length === 0
        ? encodeMail(templates, mail, id, [])
        : Effect.flatMap(Effect.forEach(mail.attachments, materialize), (attachments) =>
            encodeMail(templates, { ...mail, attachments: attachments.map((a) => a.stored) }, id, attachments)
          )
    },
    decodeUnsafe: (payload) =>
      payload.envelope === undefined
        ? decodeMail(payload, parse)
        : { ...(JSON.parse(payload.envelope) as Omit<Composed.Composed, "content">), content: bytes(payload.content) }
  }
}

/** The message with its recipients replaced, for an attempt that owes only some of them. */
export const withRecipients = (mail: Sendable, to: ReadonlyArray<string>): Sendable =>
  Composed.isComposed(mail)
    ? { ...mail, envelope: { ...mail.envelope, to: to as Envelope.Envelope["to"] } }
    : { ...mail, envelope: { ...mail.envelope, to } }

type Json = { readonly [field: string]: unknown }

const encodeComposed = (message: Composed.Composed, content: Uint8Array) => {
  const recipient = message.envelope.to[0]
  if (recipient === undefined) return Effect.fail(OutboxError.invalid("envelope.to", "there is no recipient"))
  const { content: _, ...rest } = message
  return Effect.succeed<Payload>({
    content,
    envelope: JSON.stringify({ ...rest, size: content.length }),
    shared: [],
    recipient,
    size: content.length,
    messageId: message.messageId
  })
}

const encodeMail = (
  templates: TemplateMemory,
  mail: Mail.Mail,
  id: string,
  attachments: ReadonlyArray<Materialized>
): Effect.Effect<Payload, OutboxError.OutboxError> => {
  const recipient = firstRecipient(mail)
  if (recipient === undefined) return Effect.fail(OutboxError.invalid("to", "there is no valid recipient"))
  const sender = addressOf(mail.from)
  if (sender === undefined) return Effect.fail(OutboxError.invalid("from", "there is no valid sender"))
  try {
    const template = templates.find(mail)
    const fields = template === undefined ? mail : difference(mail, template)
    // A lone recipient is in a column already.
    const content = JSON.stringify(mail.to === recipient ? { ...fields, to: undefined } : fields)
    const messageId = mail.messageId?.trim()
    return Effect.succeed<Payload>({
      content,
      envelope: undefined,
      shared: [
        ...(template === undefined ? [] : [template.shared]),
        ...attachments.flatMap((a) => (a.shared === undefined ? [] : [a.shared]))
      ],
      recipient,
      size: content.length,
      messageId: messageId
        ? messageId.startsWith("<")
          ? messageId
          : `<${messageId}>`
        : `<${id}@${asciiDomain(sender)}>`
    })
  } catch (error) {
    return Effect.fail(OutboxError.invalid("data", `cannot be written as JSON (${(error as Error).message})`))
  }
}

const decodeMail = (payload: Omit<Payload, "size">, parse: (shared: Shared) => Json): Mail.Mail => {
  const own = JSON.parse(text(payload.content)) as Record<string, unknown>
  const mail: Record<string, unknown> = { to: payload.recipient }
  let parts = payload.shared
  if (own[templateMark] === 1) {
    Object.assign(mail, parse(parts[0]!))
    parts = parts.slice(1)
    delete own[templateMark]
  }
  for (const field in own) {
    if (own[field] === null) delete mail[field]
    else mail[field] = own[field]
  }
  mail["messageId"] = payload.messageId
  if (typeof mail["date"] === "string") mail["date"] = new Date(mail["date"])
  if (mail["attachments"] !== undefined) mail["attachments"] = (mail["attachments"] as Array<Json>).map(attach(parts))
  return mail as unknown as Mail.Mail
}

/** In JSON: says that the fields are a difference from the template. */
const templateMark = "~"

interface Template {
  readonly fields: Json
  readonly shared: Shared
}

/** Finds bodies that come again. The first mail with a body is only remembered, the second makes the template. */
class TemplateMemory {
  private readonly seen = new Map<string, { first: Mail.Mail; template: Template | undefined; tried: boolean }>()

  find(mail: Mail.Mail): Template | undefined {
    const body = mail.html ?? mail.text
    if (body === undefined) return undefined
    const known = this.seen.get(body)
    if (known === undefined) {
      if (this.seen.size >= rememberedBodies) this.seen.delete(this.seen.keys().next().value!)
      this.seen.set(body, { first: mail, template: undefined, tried: false })
      return undefined
    }
    if (!known.tried) {
      known.tried = true
      known.template = makeTemplate(known.first, mail)
      // Keeps the campaign's body while one-off mails pass by.
      this.seen.delete(body)
      this.seen.set(body, known)
    }
    return known.template
  }
}

/** Fields that are the mail's own whatever they hold: two recipients of one campaign may share a name. */
const ownFields: ReadonlySet<string> = new Set(["id", "to", "data", "messageId"])

const makeTemplate = (first: Mail.Mail, second: Mail.Mail): Template | undefined => {
  const fields: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(second)) {
    if (!ownFields.has(field) && value !== undefined && same((first as unknown as Json)[field], value)) {
      fields[field] = value
    }
  }
  const content = JSON.stringify(fields)
  return content.length < smallestTemplate ? undefined : { fields, shared: share(content) }
}

const difference = (mail: Mail.Mail, template: Template): Json => {
  const own: Record<string, unknown> = { [templateMark]: 1 }
  const fields = mail as unknown as Json
  for (const field in fields) {
    const value = fields[field]
    if (value !== undefined && !same(value, template.fields[field])) own[field] = value
  }
  for (const field in template.fields) if (fields[field] === undefined) own[field] = null
  return own
}

/** Whether two fields are equal as JSON. The same object or string, the usual case in a campaign, costs nothing. */
const same = (a: unknown, b: unknown): boolean =>
  a === b ||
  (typeof a === "object" &&
    typeof b === "object" &&
    a !== null &&
    b !== null &&
    JSON.stringify(a) === JSON.stringify(b))

interface Materialized {
  readonly stored: Mail.Attachment
  readonly shared: Shared | undefined
}

/** An attachment with its bytes in hand: a large one under its hash, a small one in base64. */
const materialize = (
  attachment: Mail.Attachment,
  index: number
): Effect.Effect<Materialized, OutboxError.OutboxError> => {
  const { content, encoding, path, ...rest } = attachment
  const place = `attachments[${index}]`
  if (typeof content === "string") {
    const whole = encoding === undefined ? content : Buffer.from(content, encoding)
    return Effect.succeed(store(content.length < sharedAttachment ? attachment : rest, whole))
  }
  if (content instanceof Uint8Array) return Effect.succeed(store(rest, content))
  if (content !== undefined) return Effect.map(collect(`${place}.content`, content), (whole) => store(rest, whole))
  if (path === undefined) return Effect.fail(OutboxError.invalid(place, "has neither content nor path"))
  return Effect.map(
    Effect.tryPromise({
      try: () => Fs.readFile(path),
      catch: (error) => OutboxError.invalid(`${place}.path`, `cannot be read (${(error as Error).message})`)
    }),
    (whole) => store({ ...rest, filename: rest.filename ?? Path.basename(path) }, whole)
  )
}

const store = (attachment: Mail.Attachment, content: Content): Materialized => {
  if (attachment.content !== undefined) return { stored: attachment, shared: undefined }
  if (content.length >= sharedAttachment) {
    const shared = share(content)
    return { stored: { ...attachment, [hashField]: shared.hash } as Mail.Attachment, shared }
  }
  const small = typeof content === "string" ? content : Buffer.from(content).toString("base64")
  return {
    stored: { ...attachment, content: small, ...(typeof content === "string" ? {} : { encoding: "base64" }) },
    shared: undefined
  }
}

const hashField = "~hash"

const attach =
  (parts: ReadonlyArray<Shared>) =>
  (stored: Json): Json => {
    if (stored[hashField] === undefined) return stored
    const { [hashField]: hash, ...attachment } = stored
    const part = parts.find((part) => part.hash === hash)
    if (part === undefined) throw new Error(`the stored attachment ${String(hash)} is missing`)
    return { ...attachment, content: part.content }
  }

const hashes = new WeakMap<Uint8Array, Shared>()

const share = (content: Content): Shared => {
  if (typeof content === "string")
    return { hash: createHash("sha256").update("t").update(content).digest("hex"), content }
  let shared = hashes.get(content)
  if (shared === undefined) {
    shared = { hash: createHash("sha256").update("b").update(content).digest("hex"), content }
    hashes.set(content, shared)
  }
  return shared
}

const collect = <E>(field: string, stream: Stream.Stream<Uint8Array, E>) =>
  Effect.mapError(Stream.mkUint8Array(stream), (error) =>
    OutboxError.invalid(field, `cannot be read (${error instanceof Error ? error.message : String(error)})`)
  )

const firstRecipient = (mail: Mail.Mail): string | undefined =>
  mail.envelope?.to?.[0] ?? firstOf(mail.to) ?? firstOf(mail.cc) ?? firstOf(mail.bcc)

const firstOf = (mailboxes: Mail.Mailboxes | undefined): string | undefined => {
  const first = Array.isArray(mailboxes) ? (mailboxes as ReadonlyArray<Mail.Mailbox>)[0] : (mailboxes as Mail.Mailbox)
  return first === undefined ? undefined : addressOf(first)
}

const bareAddress = /^[\w.+-]+@[\w.-]+$/

const addressOf = (mailbox: Mail.Mailbox): string | undefined => {
  if (typeof mailbox !== "string") return mailbox.address.includes("@") ? mailbox.address : undefined
  if (bareAddress.test(mailbox)) return mailbox
  return Result.getOrUndefined(Mailbox.parseList(mailbox))?.[0]?.address
}

const asciiDomain = (address: string): string => {
  const domain = address.slice(address.lastIndexOf("@") + 1)
  return domainToASCII(domain) || domain
}

const text = (content: Content): string => (typeof content === "string" ? content : Buffer.from(content).toString())

const bytes = (content: Content): Uint8Array => (typeof content === "string" ? Buffer.from(content) : content)
