/**
 * The native composer: a `Mail` as the bytes of an Internet message (RFC 5322, RFC 2045–2049).
 *
 * The result is ASCII with CRLF at each line's end and no line over 998 octets, so that any relay since 1982 can
 * carry it unchanged. Only an address whose local part is not ASCII needs more (SMTPUTF8), and says so.
 *
 * A message whose parts are at hand is composed in one plain synchronous go: composing is the dearest thing that a sender
 * does for a message, and a microsecond here counts. The event loop waits meanwhile: a second for a text of 28 MB, so bound
 * the texts that you take from others. Files and streams take a longer way, and large ones are never held whole.
 *
 * @since 0.1.0
 */

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as AttachmentFile from "./AttachmentFile.ts"
import type * as Composed from "./Composed.ts"
import * as AttachmentSource from "./internal/mime/attachmentSource.ts"
import * as DateField from "./internal/mime/dateField.ts"
import * as MailAddresses from "./internal/mime/mailAddresses.ts"
import * as MailBody from "./internal/mime/mailBody.ts"
import * as MailHeader from "./internal/mime/header.ts"
import * as MailShape from "./internal/model/mailShape.ts"
import * as Message from "./internal/mime/message.ts"
import * as RandomToken from "./internal/mime/randomToken.ts"
import type * as Mail from "./Mail.ts"
import * as MailError from "./MailError.ts"

/**
 * The options for composing messages.
 *
 * @since 0.1.0
 */
export interface Options {
  /**
   * Send texts above ASCII as bare UTF-8 bytes: smaller, but only a relay with 8BITMIME (RFC 6152) takes them.
   * Defaults to false.
   */
  readonly eightBit?: boolean | undefined
  /**
   * Where files that are attached by `path` may lie: `anywhere`, `nowhere`, or below a folder. Name the folder when the
   * messages come from others. Defaults to `AttachmentFile.AttachmentsFrom`, which defaults to `anywhere`.
   */
  readonly attachmentsFrom?: AttachmentFile.From | undefined
}

/**
 * Composes a message.
 *
 * @since 0.1.0
 */
export type Compose = (mail: Mail.Mail) => Effect.Effect<Composed.Composed, MailError.MailError>

/**
 * Makes a composer with options of its own.
 *
 * @since 0.1.0
 */
export const make = (options: Options = {}): { readonly compose: Compose } => ({
  compose: (mail) =>
    Effect.withFiber((fiber) => {
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      return failing(mail, () => beginUnsafe(mail, now, options))
    })
})

const beginUnsafe = (
  mail: Mail.Mail,
  now: number,
  options: Options
): Effect.Effect<Composed.Composed, MailError.MailError> => {
  MailShape.refuseUnsafe(mail)
  const { attachments } = mail
  if (attachments === undefined) return Effect.succeed(composeUnsafe(mail, [], now, options))
  return attachments.some(AttachmentSource.mustBeOpened)
    ? Effect.flatMap(AttachmentSource.open(attachments, options.attachmentsFrom), (opened) =>
        failing(mail, () => Effect.succeed(composeUnsafe(mail, opened, now, options)))
      )
    : Effect.succeed(composeUnsafe(mail, AttachmentSource.heldUnsafe(attachments), now, options))
}

/** Runs code that may throw; an exception becomes the message's error, with the field at fault where there is one. */
const failing = (
  mail: Mail.Mail,
  run: () => Effect.Effect<Composed.Composed, MailError.MailError>
): Effect.Effect<Composed.Composed, MailError.MailError> => {
  try {
    return run()
  } catch (error) {
    return Effect.fail(MailError.isMailError(error) ? error : faultBehind(mail, error))
  }
}

const faultBehind = (mail: Mail.Mail, thrown: unknown): MailError.MailError => {
  const unexplained = MailError.invalid("mail", `composing it broke off: ${MailError.describeThrown(thrown)}`)
  try {
    return MailShape.findFault(mail) ?? unexplained
  } catch {
    // Nested so deep that looking at it breaks off as well.
    return unexplained
  }
}

/**
 * The error of a message with a field of a wrong type; `undefined` if there is none. It is for messages from untyped code, before
 * they are composed; composing refuses the same, and invalid values as well.
 *
 * @since 0.1.0
 */
export const findFault: (mail: Mail.Mail) => MailError.MailError | undefined = MailShape.findFault

/**
 * Composes a message in ASCII; fails with `InvalidMessage` naming the field that is at fault.
 *
 * @since 0.1.0
 */
export const compose: Compose = make().compose

const composeUnsafe = (
  mail: Mail.Mail,
  attachments: ReadonlyArray<MailBody.Resolved>,
  now: number,
  options: Options
): Composed.Composed => {
  const sender = MailAddresses.senderUnsafe(mail.from)
  const to = MailAddresses.mailboxesUnsafe("to", mail.to)
  const cc = MailAddresses.mailboxesUnsafe("cc", mail.cc)
  const bcc = MailAddresses.mailboxesUnsafe("bcc", mail.bcc)
  const replyTo = MailAddresses.mailboxesUnsafe("replyTo", mail.replyTo)
  const envelope = MailAddresses.envelopeUnsafe(mail, sender.mailbox, [to, cc, bcc])
  const token = RandomToken.next()
  const messageId =
    mail.messageId === undefined
      ? `<${token}@${sender.domain}>`
      : MailHeader.messageIdUnsafe("messageId", mail.messageId)
  const who = { from: sender.mailbox, to, cc, replyTo }
  const header = MailHeader.writeUnsafe(mail, who, DateField.valueUnsafe(mail.date, now), messageId)
  const body = MailBody.makeUnsafe(mail, attachments, token, options.eightBit === true)
  const message = Message.make(header, body)
  return {
    _tag: "Composed",
    id: mail.id,
    messageId,
    envelope,
    content: message.content,
    size: message.size,
    eightBit: body.eightBit,
    utf8Headers: message.utf8Headers,
    tenant: mail.tenant
  }
}
