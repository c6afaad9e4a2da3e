/**
 * Composes with nodemailer's MailComposer, for parts that the native composer does not build: AMP, calendar files, hand-made
 * parts, and whole messages made elsewhere.
 *
 * `layer` sends messages with a field `nodemailer` to MailComposer and all others to the outer composer, which is many times as
 * fast. Both take the same `Mail`, refuse the same faults, and give the same envelope. A step that the outer composer runs on
 * each composed message, such as signing, also runs on nodemailer's. `composeOptions` composes the options of `sendMail`, for
 * an app that has its messages in that form.
 *
 * A message's data alone makes nodemailer neither fetch a URL nor open a file; both need permission. The `path` of a `Mail`'s
 * attachment is read as everywhere, through the `FileSystem` service.
 *
 * **Gotchas**
 *
 * A Node stream can be read only once, and a message may take several attempts, so its content is held in memory. Effect streams
 * and large files in a `Mail`'s attachments are read anew at each attempt and never held.
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
 *
 * @since 0.1.0
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

/**
 * The fields that only nodemailer builds, each in the form of `sendMail`.
 *
 * @since 0.1.0
 */
export type Extras = Pick<SendMailOptions, Extract<keyof SendMailOptions, ExtraField>>

/** Fields of `sendMail`; older versions of nodemailer lack some. */
type ExtraField =
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

/**
 * A message with fields that only nodemailer builds. Their attachments and headers come after the message's own.
 *
 * @since 0.1.0
 */
export interface NodemailerMail extends Mail.Mail {
  readonly nodemailer?: Extras | undefined
}

/**
 * The options of nodemailer's composing.
 *
 * @since 0.1.0
 */
export interface Options {
  /** True to send messages without a field `nodemailer` to it as well. Defaults to false. */
  readonly every?: boolean | undefined
  /** True to refuse content from a URL. Defaults to true. */
  readonly disableUrlAccess?: boolean | undefined
  /** True to refuse content that nodemailer would read from a file. Defaults to true. */
  readonly disableFileAccess?: boolean | undefined
}

/**
 * Sends messages with a field `nodemailer` to MailComposer, and all others to the outer composer.
 *
 * @since 0.1.0
 */
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

/**
 * Composes a message with nodemailer; fails with `InvalidMessage`, which names the field at fault.
 *
 * @since 0.1.0
 */
export const compose = (
  options: Omit<Options, "every"> = {}
): ((mail: NodemailerMail) => Effect.Effect<Composed.Composed, MailError.MailError>) => {
  const builder = new Builder(options)
  return (mail) =>
    Effect.gen(function* () {
      // The native composer checks the message, and gives the envelope and the Message-ID.
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

/**
 * Composes the options of `sendMail`; fails with `InvalidMessage`. They may name recipients but no groups.
 *
 * @since 0.1.0
 */
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
    const dsn = yield* Effect.fromResult(Dsn.read(message.dsn))
    const envelope = { from, to, dsn, requireTls: message.requireTLSExtensionEnabled }
    return withBytes(
      { _tag: "Composed", messageId: built.messageId, envelope, content: built.content, size: 0 },
      built.content
    )
  })

const address = (field: string, text: string): Effect.Effect<Address.Address, MailError.MailError> =>
  Effect.fromResult(Result.mapError(Address.parse(text), (error) => MailError.invalid(field, error.message)))

/** The content, and the facts about it that a relay needs. */
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
