/**
 * Sends what the dispatcher gives to `sendAll`: held back by its gate, and with a defect in one mail's composing or
 * sending kept from taking down the stream that all mails share.
 */
import * as Effect from "effect/Effect"
import { Composer } from "mailrace/Composer"
import * as MailError from "mailrace/MailError"
import { type Gate, MailTransport } from "mailrace/MailTransport"

/**
 * Runs with a transport that begins nothing while the gate is closed, and with a transport and a composer whose defects
 * are errors of their mail.
 */
export const guarded =
  (gate: Gate) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | MailTransport> =>
    Effect.gen(function* () {
      const transport = yield* MailTransport
      const composer = yield* Composer
      return yield* effect.pipe(
        Effect.provideService(MailTransport, {
          ...transport,
          send: (message, options) => {
            const sent = Effect.catchDefect(transport.send(message, { ...options, gate }), (defect) =>
              Effect.fail(
                MailError.make(new MailError.ProtocolViolation({ problem: `the transport failed: ${words(defect)}` }))
              )
            )
            // For transports that do not ask: a mail that was being composed when the gate closed.
            return Effect.suspend(() => {
              if (gate.isOpen) return sent
              return Effect.andThen(options?.restore?.(gate.opened) ?? gate.opened, sent)
            })
          }
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
