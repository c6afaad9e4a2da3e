/**
 * The part of an app that sends mail: a new account gets a welcome, and a reminder if it is still unused a day later.
 *
 * It needs a `MailTransport` and does not say which. The program gives it `SmtpTransport`, the tests give it `layerTest`.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Mailer from "mailrace/Mailer"

/** The address takes no mail, so there is no account for it. */
export class UnknownMailbox extends Schema.TaggedError<UnknownMailbox>("example/UnknownMailbox")("UnknownMailbox", {
  email: Schema.String
}) {}

const from = "Club <club@example.org>"

/** Welcomes a new member. A relay that is busy is asked again; an address that it refuses is the visitor's to correct. */
export const register = (email: string, name: string) =>
  Mailer.send({ from, to: email, subject: `Welcome, ${name}`, text: `Hello ${name},\n\ngood to see you.\n` }).pipe(
    Effect.catchReason("MailError", "RecipientsRejected", () => Effect.fail(new UnknownMailbox({ email })))
  )

/** Reminds a member a day later, unless `isActive` by then. */
export const remind = (email: string, isActive: Effect.Effect<boolean>) =>
  Effect.gen(function* () {
    yield* Effect.sleep("1 day")
    if (yield* isActive) return
    yield* Mailer.send({ from, to: email, subject: "Your account is waiting", text: "Come and have a look.\n" })
  })
