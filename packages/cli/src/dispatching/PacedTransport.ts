/**
 * The transport of a run of the dispatcher: keeps the rate, signs messages, and counts those in flight.
 */
import * as Effect from "effect/Effect"
import type { MailTransport } from "mailrace/MailTransport"
import * as Rate from "../sending/Rate.ts"
import type { Sign } from "../sending/Signing.ts"
import type { DispatchState } from "./DispatchState.ts"

type Transport = MailTransport["Service"]

/** How messages are sent. */
export interface Options {
  readonly concurrency?: number | undefined
  readonly rate?: Rate.Rate | undefined
  /** Signs each message when it is sent. */
  readonly sign?: Sign | undefined
}

/** A transport, and the time that messages waited in it for their slot. */
export class PacedTransport {
  readonly transport: Transport
  /** By Message-ID, in milliseconds. */
  private readonly waits = new Map<string, number>()

  constructor(transport: Transport, { rate, sign }: Options, state: DispatchState) {
    const slot = rate === undefined ? undefined : Rate.slots(rate)
    const send: Transport["send"] = (message, options) =>
      Effect.suspend(() => {
        state.inFlight++
        return Effect.ensuring(
          sign === undefined
            ? transport.send(message, options)
            : Effect.flatMap(sign(message), (signed) => transport.send(signed, options)),
          Effect.sync(() => state.inFlight--)
        )
      })
    this.transport = {
      ...transport,
      send:
        slot === undefined
          ? send
          : (message, options) => {
              const turn = options?.restore === undefined ? slot : options.restore(slot)
              return Effect.suspend(() => {
                const since = performance.now()
                return Effect.flatMap(turn, () => {
                  this.addWait(message.messageId, performance.now() - since)
                  return send(message, options)
                })
              })
            }
    }
  }

  /** The time that a message waited for its slots, in milliseconds; it is forgotten then. */
  takeWait(messageId: string | undefined): number {
    const wait = messageId === undefined ? undefined : this.waits.get(messageId)
    if (wait !== undefined) this.waits.delete(messageId!)
    return wait ?? 0
  }

  private addWait(messageId: string, ms: number): void {
    this.waits.set(messageId, (this.waits.get(messageId) ?? 0) + ms)
  }
}

/** Mails that wait for their slot are claimed, so under a rate only as many are claimed as are sent in two seconds. */
export const concurrencyOf = ({ concurrency, rate }: Options, transport: Transport): number | undefined => {
  const usual = concurrency ?? transport.concurrency
  return rate === undefined ? usual : Math.min(usual ?? 10, Math.max(1, Math.ceil(rate * 2)))
}
