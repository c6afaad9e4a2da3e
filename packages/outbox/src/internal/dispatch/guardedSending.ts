/**
 * Holds messages back while the dispatcher's gate is closed, and drops those that another dispatcher has taken over.
 */
import * as Effect from "effect/Effect"
import type { Composed } from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { type Gate, MailTransport } from "mailrace/MailTransport"

/**
 * Runs with a transport that begins no message while the gate is closed, and no message for which `isLost` is true.
 * `gateOf` is the gate of one message, which includes the common one.
 */
export const guarded =
  (gate: Gate, isLost: (message: Composed) => boolean, gateOf: (message: Composed) => Gate) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | MailTransport> =>
    Effect.gen(function* () {
      const transport = yield* MailTransport
      return yield* Effect.provideService(effect, MailTransport, {
        ...transport,
        // Not every transport asks the gate, and a message may have been composing when it closed.
        send: (message, options) => {
          const send = () =>
            isLost(message) ? notSent : transport.send(message, { ...options, gate: gateOf(message) })
          return Effect.suspend(() =>
            gate.isOpen ? send() : Effect.andThen(options?.restore?.(gate.opened) ?? gate.opened, Effect.suspend(send))
          )
        }
      })
    })

/** `Sending` drops the message, so this error reaches no caller. */
const notSent = Effect.suspend(() =>
  Effect.fail(
    MailError.make(
      new MailError.TransportUnavailable({
        transport: "outbox",
        problem: "another dispatcher sends this message",
        hint: "leave the message to the other dispatcher",
        isRetryable: true
      })
    )
  )
)
