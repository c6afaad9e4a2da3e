/**
 * Holds back what the dispatcher gives to `sendAll` while its gate is closed, and what is another dispatcher's by then.
 */
import * as Effect from "effect/Effect"
import type { Composed } from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { type Gate, MailTransport } from "mailrace/MailTransport"

/** Runs with a transport that begins nothing while the gate is closed, nor what `isLost` says is another's. */
export const guarded =
  (gate: Gate, isLost: (message: Composed) => boolean) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | MailTransport> =>
    Effect.gen(function* () {
      const transport = yield* MailTransport
      return yield* Effect.provideService(effect, MailTransport, {
        ...transport,
        // For transports that do not ask: a mail that was being composed when the gate closed.
        send: (message, options) =>
          Effect.suspend(() => {
            const sent = Effect.suspend(() =>
              isLost(message) ? notSent : transport.send(message, { ...options, gate })
            )
            return gate.isOpen ? sent : Effect.andThen(options?.restore?.(gate.opened) ?? gate.opened, sent)
          })
      })
    })

/** Nobody sees it: `Sending` drops the mail. */
const notSent = Effect.suspend(() => Effect.fail(MailError.invalid("mail", "another dispatcher sends it")))
