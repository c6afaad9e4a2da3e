/**
 * The stored form of a message, and the way back to the message.
 *
 * A message is stored as JSON, so that the next version of Mailrace can send it. Content that many messages share is
 * stored once: a message whose body was seen before is kept as its difference from the shared fields, and an
 * attachment from 4 KB on is kept separately under its hash. A campaign of a million messages from one body therefore
 * stores the body once and, for each message, its recipient and its data; with `render`, its template once and the
 * data of each message. A message with a body of its own pays one map look-up for this.
 *
 * A `Composed` is stored as its bytes beside its envelope.
 *
 * **Gotchas**
 *
 * Files (`path`) and streams are read when the message is enqueued, not when it is sent; they may be gone by then.
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { domainToASCII } from "node:url"
import * as Composed from "mailrace/Composed"
import type * as Envelope from "mailrace/Envelope"
import type * as Mail from "mailrace/Mail"
import * as Mailbox from "mailrace/Mailbox"
import type { Sendable, Source } from "mailrace/Mailer"
import { CommonBodies, commonMark, difference, rememberedBodies } from "./internal/payload/commonBody.ts"
import * as RenderedMail from "./internal/payload/renderedMail.ts"
import { attach, collect, materialize, type Materialized } from "./internal/payload/storedAttachment.ts"
import type { Content, Shared } from "./internal/store/storedContent.ts"
import * as OutboxError from "./OutboxError.ts"

export type { Shared } from "./internal/store/storedContent.ts"

/**
 * A stored message.
 *
 * @since 0.1.0
 */
export interface Payload {
  /** JSON of the message, or the bytes of a composed message. */
  readonly content: Content
  /** JSON of the parts of a composed message other than its bytes; `undefined` for a `Mail`. */
  readonly envelope: string | undefined
  /** The shared contents that the content refers to: the shared fields first, if there are any, then attachments. */
  readonly shared: ReadonlyArray<Shared>
  /** The address of the first recipient. */
  readonly recipient: string
  /** The size of the message's own content in bytes (of text: in characters). */
  readonly size: number
  /** The Message-ID with its angle brackets, the same at each attempt. */
  readonly messageId: string
}

/**
 * The part of a payload needed to decode the message.
 *
 * @since 0.1.0
 */
export type Stored = Omit<Payload, "size">

/**
 * A message to be sent under its row's id.
 *
 * @since 0.1.0
 */
export interface Outgoing {
  readonly source: Source
  /** The `id` of the message itself when it was enqueued. */
  readonly mailId: string | undefined
}

/**
 * Encodes and decodes payloads; remembers the bodies it has seen.
 *
 * @since 0.1.0
 */
export interface PayloadCodec {
  /**
   * Encodes a message under the id of its row; with `render` its `{{fields}}` are filled in from its `data` when it is sent.
   * Fails with `InvalidMail`.
   */
  readonly encode: (mail: Sendable, id: string, render?: boolean) => Effect.Effect<Payload, OutboxError.OutboxError>
  /** The message as it was given. Throws if the row is damaged. */
  readonly decodeUnsafe: (payload: Stored) => Sendable
  /** The message as it is sent: its `{{fields}}` are filled in, unless that fails. Dies if the row is damaged. */
  readonly filled: (payload: Stored) => Effect.Effect<Sendable>
  /** The message to send under an id, to some of its recipients. Throws if the row is damaged. */
  readonly sourceUnsafe: (payload: Stored, id: string, to: ReadonlyArray<string> | undefined) => Outgoing
}

/**
 * Makes a codec. One is enough for a process; it remembers up to 64 bodies.
 *
 * @since 0.1.0
 */
export const make = (): PayloadCodec => {
  const bodies = new CommonBodies()
  const parsed = new Map<string, Json>()
  const parse = (shared: Shared): Json => {
    let common = parsed.get(shared.hash)
    if (common === undefined) {
      common = JSON.parse(text(shared.content)) as Json
      if (parsed.size >= rememberedBodies) parsed.delete(parsed.keys().next().value!)
      parsed.set(shared.hash, common)
    }
    return common
  }
  return {
    encode: (mail, id, render = false) => {
      if (Composed.isComposed(mail)) {
        return mail.content instanceof Uint8Array
          ? encodeComposed(mail, mail.content)
          : Effect.flatMap(collect("content", mail.content.stream), (bytes) => encodeComposed(mail, bytes))
      }
      const marked = render ? ({ ...mail, [renderMark]: 1 } as Mail.Mail) : mail
      return marked.attachments === undefined || marked.attachments.length === 0
        ? encodeMail(bodies, marked, id, [])
        : Effect.flatMap(Effect.forEach(marked.attachments, materialize), (attachments) =>
            encodeMail(bodies, { ...marked, attachments: attachments.map((a) => a.stored) }, id, attachments)
          )
    },
    decodeUnsafe: (payload) =>
      payload.envelope === undefined ? decodeMail(payload, parse).mail : decodeComposed(payload),
    filled: (payload) =>
      Effect.suspend((): Effect.Effect<Sendable> => {
        if (payload.envelope !== undefined) return Effect.succeed(decodeComposed(payload))
        const { common, mail, render } = decodeMail(payload, parse)
        return render ? RenderedMail.fill(mail, common) : Effect.succeed(mail)
      }),
    sourceUnsafe: (payload, id, to) => {
      if (payload.envelope !== undefined) {
        const message = decodeComposed(payload)
        const envelope =
          to === undefined ? message.envelope : { ...message.envelope, to: to as Envelope.Envelope["to"] }
        return { source: { ...message, id, envelope }, mailId: message.id }
      }
      const { common, mail, render } = decodeMail(payload, parse)
      const addressed = to === undefined ? { ...mail, id } : { ...mail, id, envelope: { ...mail.envelope, to } }
      return { source: render ? RenderedMail.render(addressed, common) : addressed, mailId: mail.id }
    }
  }
}

type Json = { readonly [field: string]: unknown }

/** Marks, in JSON, a message that is its own template. */
const renderMark = "~render"

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

const decodeComposed = (payload: Stored): Composed.Composed => ({
  ...(JSON.parse(payload.envelope!) as Omit<Composed.Composed, "content">),
  content: bytes(payload.content)
})

const encodeMail = (
  bodies: CommonBodies,
  mail: Mail.Mail,
  id: string,
  attachments: ReadonlyArray<Materialized>
): Effect.Effect<Payload, OutboxError.OutboxError> => {
  const recipient = firstRecipient(mail)
  if (recipient === undefined) return Effect.fail(OutboxError.invalid("to", "there is no valid recipient"))
  const sender = addressOf(mail.from)
  if (sender === undefined) return Effect.fail(OutboxError.invalid("from", "there is no valid sender"))
  try {
    const common = bodies.find(mail)
    const fields = common === undefined ? mail : difference(mail, common)
    // A single recipient has a column of its own already.
    const content = JSON.stringify(mail.to === recipient ? { ...fields, to: undefined } : fields)
    const payload: Payload = {
      content,
      envelope: undefined,
      shared: [
        ...(common === undefined ? [] : [common.shared]),
        ...attachments.flatMap((a) => (a.shared === undefined ? [] : [a.shared]))
      ],
      recipient,
      size: content.length,
      messageId: messageIdOf(mail) ?? `<${id}@${asciiDomain(sender)}>`
    }
    // Checks the first message of a campaign, and those that differ from it.
    return common === undefined && renderMark in mail ? Effect.as(check(mail), payload) : Effect.succeed(payload)
  } catch (error) {
    return Effect.fail(OutboxError.invalid("data", `cannot be written as JSON (${(error as Error).message})`))
  }
}

/**
 * Drops file contents: a template does not need them, and here their bytes have been taken out of the message
 * already.
 */
const check = (mail: Mail.Mail): Effect.Effect<unknown, OutboxError.OutboxError> =>
  Effect.mapError(RenderedMail.compile({ ...mail, attachments: undefined }), ({ field, problem, remedy }) =>
    OutboxError.invalid(field, `${problem}; ${remedy}`)
  )

const decodeMail = (payload: Stored, parse: (shared: Shared) => Json) => {
  const own = JSON.parse(text(payload.content)) as Record<string, unknown>
  const mail: Record<string, unknown> = { to: payload.recipient }
  let parts = payload.shared
  let common: Json | undefined
  if (own[commonMark] === 1) {
    common = parse(parts[0]!)
    Object.assign(mail, common)
    parts = parts.slice(1)
    delete own[commonMark]
  }
  for (const field in own) {
    if (RenderedMail.templateFields.has(field)) common = undefined
    if (own[field] === null) delete mail[field]
    else mail[field] = own[field]
  }
  const render = mail[renderMark] === 1
  delete mail[renderMark]
  mail["messageId"] = payload.messageId
  if (typeof mail["date"] === "string") mail["date"] = new Date(mail["date"])
  if (mail["attachments"] !== undefined) mail["attachments"] = (mail["attachments"] as Array<Json>).map(attach(parts))
  /** `common` is there only if it holds all fields of the template. */
  return { mail: mail as unknown as Mail.Mail, common, render }
}

const messageIdOf = ({ messageId }: Mail.Mail): string | undefined => {
  const given = messageId?.trim()
  if (!given) return undefined
  return given.startsWith("<") ? given : `<${given}>`
}

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
