/** Relays that answer as told, in the clock's time, and note what they were given. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Address } from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import type { Envelope } from "mailrace/Envelope"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as Schedule from "effect/Schedule"

/** How a relay ends an attempt: `undefined` for an acceptance. */
export type Behaviour = (message: Composed.Composed, now: number) => Effect.Effect<MailError.MailError | undefined>

export interface ScriptedRelay {
  readonly name: string
  readonly transport: MailTransport["Service"]
  /** The ids of the messages that were begun, in order. */
  readonly begun: Array<string>
  readonly accepted: Array<string>
  /** The most messages at once. */
  readonly peak: () => number
}

export const make = (name: string, behaviour: Behaviour, concurrency = 10): ScriptedRelay => {
  const begun: Array<string> = []
  const accepted: Array<string> = []
  let inFlight = 0
  let peak = 0
  const transport = MailTransport.of({
    concurrency,
    send: (message, options) =>
      Effect.gen(function* () {
        begun.push(message.id ?? message.messageId)
        peak = Math.max(peak, ++inFlight)
        const error = yield* behaviour(message, yield* Clock.currentTimeMillis)
        if (error !== undefined) return yield* Effect.fail(error)
        accepted.push(message.id ?? message.messageId)
        return {
          reply: { code: 250, text: "ok" },
          recipients: message.envelope.to.map((address) => ({ address, outcome: "accepted" as const })),
          relay: `${name}:25`
        }
      }).pipe(Effect.ensuring(Effect.sync(() => void inFlight--)), options?.restore ?? ((effect) => effect))
  })
  return { name, transport, begun, accepted, peak: () => peak }
}

/** Accepts after some time, in milliseconds. */
export const accepting =
  (milliseconds = 0): Behaviour =>
  () =>
    milliseconds === 0 ? Effect.undefined : Effect.as(Effect.sleep(milliseconds), undefined)

/** Fails after some time. */
export const failing =
  (error: MailError.MailError, milliseconds = 0): Behaviour =>
  () =>
    milliseconds === 0 ? Effect.succeed(error) : Effect.as(Effect.sleep(milliseconds), error)

const at = { host: "relay.test", port: 25 }

export const refused = MailError.make(
  new MailError.ConnectFailed({ ...at, kind: "refused", problem: "connection refused" })
)
export const hung = MailError.make(new MailError.Timeout({ phase: "connect", limitMs: 30_000 }))
export const wrongLogin = MailError.make(
  new MailError.AuthenticationFailed({ problem: "the login was refused", reply: { code: 535, text: "no" } })
)
export const shutDown = MailError.make(
  new MailError.Throttled({ reply: { code: 421, enhanced: "4.3.2", text: "bye" } })
)
export const lost = MailError.make(new MailError.ConnectionLost({ phase: "envelope", problem: "reset" }))
export const unknown = MailError.make(new MailError.OutcomeUnknown({ problem: "lost" }))
export const putOff = MailError.make(
  new MailError.MessageRejected({ reply: { code: 451, enhanced: "4.3.0", text: "later" } })
)
export const throttled = MailError.make(
  new MailError.Throttled({ reply: { code: 451, enhanced: "4.7.1", text: "slow down" } })
)
export const rejected = MailError.make(
  new MailError.MailboxUnavailable({ reply: { code: 550, enhanced: "5.1.1", text: "no such user" } })
)
export const lacking = MailError.make(
  new MailError.CapabilityMissing({ capability: "SMTPUTF8", problem: "the address is in UTF-8" })
)

/** An envelope. */
export const envelope = (from: string, to: ReadonlyArray<string>, more: Partial<Envelope> = {}): Envelope => ({
  from: from as Address,
  to: to as ReadonlyArray<Address>,
  ...more
})

/** A message ready for the wire. */
export const message = (id: number | string, more: Partial<Composed.Options> = {}): Composed.Composed =>
  Composed.make({
    id: String(id),
    messageId: `<${id}@from.test>`,
    envelope: envelope("a@from.test", [`${id}@to.test`]),
    content: new Uint8Array(10),
    ...more
  })

/** Each message gets one attempt. */
export const noRetry = Schedule.recurs(0)
