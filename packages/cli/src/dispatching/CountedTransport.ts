/**
 * The transport of a run of the dispatcher: signs messages, and counts those in flight.
 */
import * as Effect from "effect/Effect"
import type { MailTransport } from "mailrace/MailTransport"
import type { Sign } from "../sending/Signing.ts"
import type { DispatchState } from "./DispatchState.ts"

type Transport = MailTransport["Service"]

/** Signs each message when it is sent, if `sign` is given, and counts it while it is in flight. */
export const watch = (transport: Transport, sign: Sign | undefined, state: DispatchState): Transport => ({
  ...transport,
  send: (message, options) =>
    Effect.suspend(() => {
      state.inFlight++
      return Effect.ensuring(
        sign === undefined
          ? transport.send(message, options)
          : Effect.flatMap(sign(message), (signed) => transport.send(signed, options)),
        Effect.sync(() => state.inFlight--)
      )
    })
})
