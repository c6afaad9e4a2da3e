/**
 * Composes with nodemailer: runs all of `sendMail` up to a transport that only collects the message.
 */
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Nodemailer from "nodemailer"
import type { MailMessage, NodemailerError, SendMailOptions, Transporter } from "nodemailer"
import type { Readable } from "node:stream"

/** Limits on reading outside of the message. Both default to true. */
export interface Access {
  readonly disableUrlAccess?: boolean | undefined
  readonly disableFileAccess?: boolean | undefined
}

/** A composed message. */
export interface Built {
  readonly content: Buffer
  readonly messageId: string
  readonly envelope: { readonly from: string; readonly to: ReadonlyArray<string> }
}

type Message = MailMessage["message"]

export class Builder {
  private readonly transporter: Transporter<Taken>

  constructor(access: Access) {
    this.transporter = Nodemailer.createTransport<Taken>(
      {
        name: "Mailrace",
        version: "1",
        send: (mail, done) =>
          done(null, { envelope: mail.message.getEnvelope(), messageId: mail.message.messageId(), taken: mail.message })
      },
      {
        disableUrlAccess: access.disableUrlAccess ?? true,
        disableFileAccess: access.disableFileAccess ?? true,
        // A message must not hold a bare CR or LF (RFC 5322 §2.3).
        newline: "windows",
        xMailer: false
      }
    )
  }

  /** The message in one piece. */
  bytes(options: SendMailOptions): Effect.Effect<Built, MailError.MailError> {
    return Effect.flatMap(this.compile(options), ({ envelope, messageId, taken }) =>
      Effect.callback((resume) => {
        taken.build((error, content) =>
          resume(
            error === null
              ? Effect.succeed({ content, messageId, envelope: { from: envelope.from || "", to: envelope.to } })
              : Effect.fail(invalid(error))
          )
        )
      })
    )
  }

  /** The message as a stream, which can be read once. */
  stream(options: SendMailOptions): Effect.Effect<Stream.Stream<Uint8Array, MailError.MailError>, MailError.MailError> {
    return Effect.map(this.compile(options), ({ taken }) =>
      Stream.fromAsyncIterable<Uint8Array, MailError.MailError>(taken.createReadStream() as Readable, invalid)
    )
  }

  private compile(options: SendMailOptions): Effect.Effect<Taken, MailError.MailError> {
    return Effect.callback((resume) => {
      this.transporter.sendMail(options, (error, taken) =>
        resume(error === null ? Effect.succeed(taken) : Effect.fail(invalid(error)))
      )
    })
  }
}

interface Taken extends Nodemailer.SentMessageInfo {
  readonly taken: Message
}

const invalid = (thrown: unknown): MailError.MailError => {
  if (MailError.isMailError(thrown)) return thrown
  const error: NodemailerError = thrown instanceof Error ? thrown : new Error(String(thrown))
  if (MailError.isMailError(error.cause)) return error.cause
  switch (error.code) {
    case "EFILEACCESS":
      return MailError.invalid("nodemailer", "it names a file, and reading files is off; see disableFileAccess")
    case "EURLACCESS":
      return MailError.invalid("nodemailer", "it names a URL, and fetching is off; see disableUrlAccess")
    case "EMAXRECIPIENTS":
      return MailError.invalid("to", error.message)
    default:
      return MailError.invalid("nodemailer", error.message.replace(/[\x00-\x1f\x7f]+/g, " ").slice(0, 500))
  }
}
