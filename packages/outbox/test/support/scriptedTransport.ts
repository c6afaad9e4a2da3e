/**
 * A relay without a wire: it answers as told and remembers what it was given.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { MailTransport, type Receipt } from "mailrace/MailTransport"
import type * as Reply from "mailrace/Reply"

/** What the relay was given. */
export interface Sent {
  readonly messageId: string
  readonly to: ReadonlyArray<string>
  readonly text: string
  /** The clock's time when it was given. */
  readonly at: number
  readonly accepted: boolean
}

/** Answers one transaction; `nth` counts those of this Message-ID from 1. */
export type Script = (message: Composed.Composed, nth: number) => Effect.Effect<Receipt, MailError.MailError>

/** A transport that follows a script, by default taking everything. */
export const make = (script: Script = (message) => Effect.succeed(taken(message))) => {
  const sent: Array<Sent> = []
  const counts = new Map<string, number>()
  const transport = MailTransport.of({
    send: (message) =>
      Effect.gen(function* () {
        const nth = (counts.get(message.messageId) ?? 0) + 1
        counts.set(message.messageId, nth)
        const at = yield* Clock.currentTimeMillis
        const note = (accepted: boolean) =>
          Effect.sync(() => {
            sent.push({
              messageId: message.messageId,
              to: message.envelope.to,
              text: Buffer.from(message.content as Uint8Array).toString(),
              at,
              accepted
            })
          })
        return yield* Effect.tapError(
          Effect.tap(script(message, nth), () => note(true)),
          () => note(false)
        )
      }),
    concurrency: 10
  })
  return { transport, sent, counts }
}

/** The receipt for a message that every recipient gets. */
export const taken = (message: Composed.Composed): Receipt => ({
  reply: { code: 250, enhanced: "2.0.0", text: "Ok: queued as 1A2B" },
  recipients: message.envelope.to.map((address) => ({ address, outcome: "accepted" })),
  relay: "relay.test:25"
})

/** A refusal of the content for now. */
export const deferral = (reply: Partial<Reply.Reply> = {}): MailError.MailError =>
  MailError.make(
    new MailError.MessageRejected({ reply: { code: 451, enhanced: "4.3.0", text: "try again later", ...reply } })
  )

/** A refusal of the content for good. */
export const refusal = MailError.make(
  new MailError.MessageRejected({ reply: { code: 550, enhanced: "5.7.1", text: "not wanted" } })
)

/** The relay asks to slow down. */
export const throttling = (retryAfter?: number): MailError.MailError =>
  MailError.make(
    new MailError.Throttled({ reply: { code: 451, enhanced: "4.7.1", text: "too many messages" }, retryAfter })
  )

/** No connection to the relay. */
export const unreachable = MailError.make(
  new MailError.ConnectFailed({ kind: "refused", host: "relay.test", port: 25, problem: "connection refused" })
)

/** The final reply was lost. */
export const unknown = MailError.make(new MailError.OutcomeUnknown({ problem: "the connection broke" }))
