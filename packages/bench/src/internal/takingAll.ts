/**
 * A transport that takes every message at once, so that only the outbox is measured.
 */
import * as Effect from "effect/Effect"
import { MailTransport } from "mailrace/MailTransport"

export const takingAll = MailTransport.of({
  concurrency: 40,
  send: ({ envelope: { to } }) =>
    Effect.succeed({
      reply: { code: 250, enhanced: "2.0.0", text: "taken" },
      recipients: to.map((address) => ({ address, outcome: "accepted" as const })),
      relay: "nowhere.example:25"
    })
})
