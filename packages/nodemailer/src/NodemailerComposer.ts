/**
 * nodemailer's MailComposer as the composer, for what the native one does not build: AMP, calendar files, parts made by
 * hand, a whole message made elsewhere.
 *
 * `layer` leaves every mail that says nothing of nodemailer to the composer around it, which is many times as fast; the
 * rest goes to MailComposer. Both take the same `Mail`, refuse the same faults, and give the same envelope.
 * What the composer around does to each message once it is composed, as signing it, is done to nodemailer's as well.
 * `composeOptions` composes what `sendMail` takes, for an app that has its mails in that form.
 *
 * Nothing outside of the mail is read unless it is allowed: no address is fetched and no file opened because a mail's
 * data says so. An attachment's `path` in a `Mail` is read as everywhere, through the `FileSystem` at hand.
 *
 * **Gotchas**
 *
 * A stream of Node's can be read once only, while a mail may be tried several times, so its content is held in memory.
 * Streams of Effect and large files in a `Mail`'s attachments are read anew at each attempt and never held.
 *
 * @example
 * ```ts
 * import * as NodemailerComposer from "@mailrace/nodemailer/NodemailerComposer"
 *
 * const calendar = ["BEGIN:VCALENDAR", "VERSION:2.0", "METHOD:REQUEST", "END:VCALENDAR"].join("\r\n")
 *
 * export const mail: NodemailerComposer.NodemailerMail = {
 *   from: "ann@example.org",
 *   to: "bob@example.com",
 *   subject: "Invitation",
 *   text: "Please come",
 *   nodemailer: { icalEvent: { method: "REQUEST", filename: "invite.ics", content: calendar } }
 * }
 * ```
 */

import * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import { Composer } from "mailrace/Composer"
import type * as Mail from "mailrace/Mail"
import * as MailError from "mailrace/MailError"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { SendMailOptions } from "nodemailer"
import * as Attachments from "./internal/attachments.ts"
import { Builder } from "./internal/builder.ts"
import * as Dsn from "./internal/dsn.ts"
import * as MailOptions from "./internal/mailOptions.ts"

/** What only nodemailer builds; each as `sendMail` takes it. */
export type Extras = Pick<
  SendMailOptions,
  | "alternatives"
  | "amp"
  | "attachDataUrls"
  | "attachments"
  | "encoding"
  | "headers"
  | "icalEvent"
  | "list"
  | "otp"
  | "raw"
  | "sender"
  | "textEncoding"
  | "watchHtml"
  | "xMailer"
>

/** A mail with what only nodemailer builds. Its attachments and headers come after the mail's own. */
export interface NodemailerMail extends Mail.Mail {
  readonly nodemailer?: Extras | undefined
}

/** How nodemailer composes. */
export interface Options {
  /** Whether mails that say nothing of nodemailer go to it as well. Defaults to false. */
  readonly every?: boolean | undefined
  /** Refuse content that is to be fetched from a URL. Defaults to true. */
  readonly disableUrlAccess?: boolean | undefined
  /** Refuse content that nodemailer is to read from a file. Defaults to true. */
  readonly disableFileAccess?: boolean | undefined
}

/** Sends mails with a field `nodemailer` to MailComposer, and all others to the composer around. */
export const layer = (options: Options = {}): Layer.Layer<never> =>
  Layer.effect(
    Composer,
    Effect.map(Composer, (around) => {
      const composeMail = compose(options)
      const { finish } = around
      return {
        compose: (mail: NodemailerMail) => {
          if (options.every !== true && mail.nodemailer === undefined) return around.compose(mail)
          const composed = composeMail(mail)
          return finish === undefined ? composed : Effect.flatMap(composed, (message) => finish(message))
        },
        finish
      }
    })
  )

/** Composes a mail with nodemailer; fails with `InvalidMessage` naming the field that is at fault. */
export const compose = (
  options: Omit<Options, "every"> = {}
): ((mail: NodemailerMail) => Effect.Effect<Composed.Composed, MailError.MailError>) => {
  const builder = new Builder(options)
  return (mail) =>
    Effect.gen(function* () {
      // The native composer checks the mail, and gives the envelope and the Message-ID.
      const composed = yield* MimeComposer.compose(MailOptions.toCheck(mail))
      const attachments = yield* Attachments.open(mail.attachments ?? [])
      const date = mail.date ?? new Date(yield* Clock.currentTimeMillis)
      const given = MailOptions.make(mail, { date, messageId: composed.messageId, extras: mail.nodemailer ?? {} })
      const opened = () => ({ ...given, attachments: [...attachments.map(Attachments.read), ...given.attachments] })
      if (!attachments.some(Attachments.isStreamed))
        return withBytes(composed, (yield* builder.bytes(opened())).content)
      const stream = Stream.unwrap(Effect.suspend(() => builder.stream(opened())))
      const size = MailOptions.sizeWithout(given) + Attachments.size(attachments)
      return { ...composed, content: { _tag: "StreamedContent" as const, stream }, size }
    })
}

/** Composes what `sendMail` takes; fails with `InvalidMessage`. `options` may name recipients but nobody by group. */
export const composeOptions = (
  message: SendMailOptions,
  options: Omit<Options, "every"> = {}
): Effect.Effect<Composed.Composed, MailError.MailError> =>
  Effect.gen(function* () {
    const date = message.date ?? new Date(yield* Clock.currentTimeMillis)
    const built = yield* new Builder(options).bytes({ ...message, date })
    const from = built.envelope.from === "" ? undefined : yield* address("envelope.from", built.envelope.from)
    const to = yield* Effect.forEach(built.envelope.to, (one, index) => address(`envelope.to[${index}]`, one))
    if (to.length === 0) return yield* Effect.fail(MailError.invalid("to", "there is no recipient; name at least one"))
    const envelope = { from, to, dsn: Dsn.read(message.dsn), requireTls: message.requireTLSExtensionEnabled }
    return withBytes(
      { _tag: "Composed", messageId: built.messageId, envelope, content: built.content, size: 0 },
      built.content
    )
  })

const address = (field: string, text: string): Effect.Effect<Address.Address, MailError.MailError> =>
  Effect.fromResult(Result.mapError(Address.parse(text), (error) => MailError.invalid(field, error.message)))

/** The content, and what a relay must know of it. */
const withBytes = (composed: Composed.Composed, content: Buffer): Composed.Composed => {
  const split = content.indexOf("\r\n\r\n")
  const bodyStart = split === -1 ? content.length : split
  return {
    ...composed,
    content,
    size: content.length,
    utf8Headers: hasHighByte(content.subarray(0, bodyStart)),
    eightBit: hasHighByte(content.subarray(bodyStart))
  }
}

const hasHighByte = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return true
  return false
}
