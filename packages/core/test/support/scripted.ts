/** A transport that follows a script and records each call. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Address from "../../src/Address.ts"
import * as Composed from "../../src/Composed.ts"
import * as MailError from "../../src/MailError.ts"
import { MailTransport, type Receipt } from "../../src/MailTransport.ts"
import type * as Reply from "../../src/Reply.ts"

/** The n-th message. */
export const message = (n: number, to: ReadonlyArray<string> = [`to-${n}@x.example`]): Composed.Composed =>
  Composed.make({
    id: `mail-${n}`,
    messageId: `<${n}@x.example>`,
    envelope: { from: Address.fromStringUnsafe("from@x.example"), to: to.map(Address.fromStringUnsafe) },
    content: Buffer.from(`Subject: ${n}\r\n\r\n`)
  })

export const reply = (code: number, enhanced?: string): Reply.Reply =>
  enhanced === undefined ? { code, text: "words" } : { code, enhanced, text: "words" }

/** A receipt in which each recipient has the reply that is given for it, or a yes. */
export const receipt = (
  { envelope }: Composed.Composed,
  replies: { readonly [address: string]: Reply.Reply } = {}
): Receipt => ({
  reply: reply(250, "2.0.0"),
  relay: "relay.example:25",
  recipients: envelope.to.map((address) => recipient(address, replies[address] ?? reply(250, "2.1.5")))
})

export const recipient = (address: string, reply: Reply.Reply): MailError.RecipientOutcome => ({
  address,
  outcome: reply.code < 400 ? "accepted" : reply.code < 500 ? "deferred" : "rejected",
  reply
})

export const transient = MailError.make(new MailError.MessageRejected({ reply: reply(451, "4.3.0") }))
export const permanent = MailError.make(new MailError.MessageRejected({ reply: reply(554, "5.7.1") }))
export const unknown = MailError.make(new MailError.OutcomeUnknown({ problem: "the link is gone" }))
export const throttled = (retryAfter: number): MailError.MailError =>
  MailError.make(new MailError.Throttled({ reply: reply(421, "4.7.0"), retryAfter }))

/** One call of `send`. */
export interface Call {
  readonly message: Composed.Composed
  /** When, in milliseconds. */
  readonly at: number
}

/** Answers the k-th attempt at each message, from 0. */
export type Script = (message: Composed.Composed, attempt: number) => Effect.Effect<Receipt, MailError.MailError>

/** A transport that runs a script. */
export const make = (script: Script, concurrency?: number) => {
  const calls: Array<Call> = []
  const attempts = new Map<string, number>()
  const state = { underway: 0, peak: 0 }
  const transport = MailTransport.of({
    concurrency,
    send: (message) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => {
        calls.push({ message, at })
        const attempt = attempts.get(message.messageId) ?? 0
        attempts.set(message.messageId, attempt + 1)
        state.peak = Math.max(state.peak, ++state.underway)
        return Effect.ensuring(
          script(message, attempt),
          Effect.sync(() => state.underway--)
        )
      })
  })
  return { calls, state, provide: Effect.provideService(MailTransport, transport) }
}
