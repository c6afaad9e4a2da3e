/**
 * Holds back what the dispatcher gives to `sendAll` while its gate is closed.
 */
import * as Effect from "effect/Effect"
import { type Gate, MailTransport } from "mailrace/MailTransport"

/** Runs with a transport that begins nothing while the gate is closed. */
export const guarded =
  (gate: Gate) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | MailTransport> =>
    Effect.gen(function* () {
      const transport = yield* MailTransport
      return yield* Effect.provideService(effect, MailTransport, {
        ...transport,
        // For transports that do not ask: a mail that was being composed when the gate closed.
        send: (message, options) =>
          Effect.suspend(() => {
            const sent = Effect.suspend(() => transport.send(message, { ...options, gate }))
            return gate.isOpen ? sent : Effect.andThen(options?.restore?.(gate.opened) ?? gate.opened, sent)
          })
      })
    })
