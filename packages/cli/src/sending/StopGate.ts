/**
 * Holds back messages that were handed to the transport and not begun when the run is to stop.
 *
 * Most messages in flight wait for a connection. At a first Ctrl-C those end here, unsent, and only those that were begun
 * are finished. Retries are of messages that were begun, and go on.
 */
import * as Effect from "effect/Effect"
import * as MailError from "mailrace/MailError"
import type { Gate, MailTransport } from "mailrace/MailTransport"

/** The error of a message that was not begun; it reaches no user. */
const unbegun = MailError.invalid("mail", "it was not begun before the run stopped")

/** True for a message that was not begun because the run stopped. */
export const isUnbegun = (error: MailError.MailError): boolean => error === unbegun

/** A transport that begins no message once the run is to stop; `isRetry` tells which messages were begun before. */
export const watch = (
  transport: MailTransport["Service"],
  isStopping: () => boolean,
  isRetry: (messageId: string) => boolean
): MailTransport["Service"] => {
  const gate: Gate = {
    get isOpen() {
      return !isStopping()
    },
    opened: Effect.suspend(() => (isStopping() ? Effect.fail(unbegun) : Effect.void))
  }
  return {
    ...transport,
    send: (message, options) =>
      isRetry(message.messageId) ? transport.send(message, options) : transport.send(message, { ...options, gate })
  }
}
