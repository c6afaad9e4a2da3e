/**
 * Keeps a defect in one mail's composing or sending from taking down the stream that all mails share.
 */
import * as Effect from "effect/Effect"
import { Composer } from "mailrace/Composer"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"

/** Runs with a transport and a composer whose defects are errors of their mail. */
export const guarded = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | MailTransport> =>
  Effect.gen(function* () {
    const transport = yield* MailTransport
    const composer = yield* Composer
    return yield* effect.pipe(
      Effect.provideService(MailTransport, {
        ...transport,
        send: (message, options) =>
          Effect.catchDefect(transport.send(message, options), (defect) =>
            Effect.fail(
              MailError.make(new MailError.ProtocolViolation({ problem: `the transport failed: ${words(defect)}` }))
            )
          )
      }),
      Effect.provideService(Composer, {
        ...composer,
        compose: (mail) =>
          Effect.catchDefect(composer.compose(mail), (defect) =>
            Effect.fail(MailError.invalid("mail", `the composer failed: ${words(defect)}`))
          )
      })
    )
  })

const words = (defect: unknown): string => (defect instanceof Error ? defect.message : String(defect))
