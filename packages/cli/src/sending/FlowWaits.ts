/**
 * The waits of messages for limits, with their reasons, as users read them.
 */
import type { Gates, Held, Wait } from "@mailrace/flow/FlowControl"
import * as Effect from "effect/Effect"
import type { MailTransport } from "mailrace/MailTransport"
import * as Format from "../text/format.ts"
import type { HeldBack } from "../results/Tally.ts"

type Transport = MailTransport["Service"]

/** The messages that limits hold back. */
export interface Status {
  readonly waits: ReadonlyArray<Wait>
  readonly held: ReadonlyArray<Held>
  readonly gates: Gates
}

/** Measures how long each message waits between two layers of a transport. */
export class FlowWaits {
  private readonly since = new Map<string, number>()
  /** By Message-ID, in milliseconds. */
  private readonly waits = new Map<string, number>()

  /** The layer in which messages begin to wait. */
  outside(transport: Transport): Transport {
    return {
      ...transport,
      send: (message, options) =>
        Effect.suspend(() => {
          this.since.set(message.messageId, performance.now())
          return transport.send(message, options)
        })
    }
  }

  /** The layer in which they have waited. */
  inside(transport: Transport): Transport {
    return {
      ...transport,
      send: (message, options) =>
        Effect.suspend(() => {
          this.end(message.messageId)
          return transport.send(message, options)
        })
    }
  }

  /** The time that a message waited in all its attempts, in milliseconds; it is forgotten then. */
  take(messageId: string | undefined): number {
    if (messageId === undefined) return 0
    this.end(messageId)
    const wait = this.waits.get(messageId) ?? 0
    this.waits.delete(messageId)
    return wait
  }

  private end(messageId: string): void {
    const since = this.since.get(messageId)
    if (since === undefined) return
    this.since.delete(messageId)
    this.waits.set(messageId, (this.waits.get(messageId) ?? 0) + performance.now() - since)
  }
}

/** Shorter waits are not mentioned, in milliseconds. */
const shortest = 1000

/** A wait for a limit, or for a connection that may not be opened yet. */
export type Reason = Wait | (Omit<Wait, "gate"> & { readonly gate: "connections" })

/** The longest waits of the moment, such as `--rate (12 s), gmail.com (4 m)`; `undefined` if nothing waits for long. */
export const describe = (waits: ReadonlyArray<Reason>, now: number): string | undefined => {
  const shown = waits
    .filter(({ gate, since }) => gate !== "window" && now - since >= shortest)
    .toSorted((a, b) => a.since - b.since)
  if (shown.length === 0) return undefined
  const more = shown.length > most ? `, and ${shown.length - most} more` : ""
  return shown
    .slice(0, most)
    .map((wait) => `${nameOf(wait)} (${Format.duration(now - wait.since)})`)
    .join(", ")
    .concat(more)
}

/** The limits that held messages back over a run, with the time in milliseconds. */
export const heldOf = ({ held }: Pick<Status, "held">): ReadonlyArray<HeldBack> =>
  held
    .filter(({ gate, ms }) => gate !== "window" && ms >= shortest)
    .map((one) => ({ for: nameOf(one), ms: Math.round(one.ms) }))

/** How long messages were held back by each kind of limit, in milliseconds. */
export const heldByGate = ({ held }: Pick<Status, "held">): Readonly<Record<string, number>> => {
  const byGate: Record<string, number> = {}
  for (const { gate, ms } of held) byGate[gate] = (byGate[gate] ?? 0) + ms
  return byGate
}

/** The most waits that are named. */
const most = 3

const nameOf = ({ gate, key }: Reason | Held): string => {
  switch (gate) {
    case "connections":
      return key === undefined ? "a new connection" : `a new connection to ${key}`
    case "rate":
      return key === undefined ? "--rate" : `the rate of ${key}`
    case "lane":
      return key ?? "a lane"
    case "tenant":
      return `tenant ${key}`
    case "circuit":
      return `${key ?? "the relay"}, which failed`
    case "pace":
    case "window":
      return `${key ?? "the relay"}, which asked to slow down`
  }
}
