/**
 * Changes of what a relay or a lane is sent, and their lines in the log: one a change, none a message.
 *
 * @since 0.1.0
 */

import type * as Effect from "effect/Effect"
import * as LogEvent from "mailrace/LogEvent"
import * as Limit from "./Limit.ts"

/**
 * A change of what the relay or a lane is sent.
 *
 * @since 0.1.0
 */
export type Change =
  /** The relay failed too often, and is left alone for this many milliseconds. */
  | { readonly _tag: "CircuitOpened"; readonly restMs: number }
  | { readonly _tag: "CircuitClosed" }
  /** The relay, or the lane, has asked to slow down, and its rate is searched for. */
  | { readonly _tag: "SlowedDown"; readonly lane: string | undefined; readonly perSecond: number }
  /** The rate that it takes is found. */
  | { readonly _tag: "RateFound"; readonly lane: string | undefined; readonly perSecond: number }
  /** It takes nothing, and is tried with one message now and then. */
  | { readonly _tag: "Stopped"; readonly lane: string | undefined }
  /** A limit is used up for more than a minute: until then, in milliseconds since 1970. */
  | {
      readonly _tag: "HeldBack"
      readonly gate: Limited
      readonly key: string | undefined
      readonly until: number
    }
  /** A message goes again that it held back. */
  | { readonly _tag: "LetGo"; readonly gate: Limited; readonly key: string | undefined }
  /** The relay, or the lane, is left alone until then because of a reply. */
  | {
      readonly _tag: "LeftAlone"
      readonly lane: string | undefined
      readonly until: number
      readonly reply: string | undefined
    }
  /** It took a message again. */
  | { readonly _tag: "TakesAgain"; readonly lane: string | undefined }
  /** A rule for its reply limits the rate, or how many messages are on their way at once, for this many milliseconds. */
  | {
      readonly _tag: "LimitsAsked"
      readonly lane: string | undefined
      readonly slowTo: Limit.Limit | undefined
      readonly atOnce: number | undefined
      readonly forMs: number
    }

/** The object of a limit: the relay, a lane or a tenant. */
type Limited = "rate" | "lane" | "tenant"

/**
 * Logs a change; `relay` names the relay.
 *
 * @since 0.1.0
 */
export const log = (change: Change, relay: string): Effect.Effect<void> => {
  switch (change._tag) {
    case "CircuitOpened":
      return LogEvent.warning(
        "relay.circuit_open",
        `${relay} failed too often and is left alone for ${change.restMs} ms; look for the cause in its errors`,
        { relay, restMs: change.restMs }
      )
    case "CircuitClosed":
      return LogEvent.info("relay.circuit_closed", `${relay} works again, and messages go to it`, { relay })
    case "SlowedDown": {
      const rate = rounded(change.perSecond)
      return LogEvent.warning(
        "flow.slowed_down",
        `${nameOf(change, relay)} asks to slow down; sending at ${rate}/s while looking for the rate that it takes`,
        factsOf(change, relay, rate)
      )
    }
    case "RateFound": {
      const rate = rounded(change.perSecond)
      return LogEvent.info(
        "flow.rate_found",
        `${nameOf(change, relay)} takes about ${rate}/s`,
        factsOf(change, relay, rate)
      )
    }
    case "Stopped":
      return LogEvent.warning(
        "flow.stopped",
        `${nameOf(change, relay)} takes nothing; trying one message now and then`,
        factsOf(change, relay)
      )
    case "HeldBack":
      return LogEvent.info(
        "flow.held_back",
        `the limits of ${limitedName(change, relay)} are used up until ${timeOf(change.until)}, and its messages wait`,
        { ...limitedFacts(change, relay), until: timeOf(change.until) }
      )
    case "LetGo":
      return LogEvent.info(
        "flow.let_go",
        `the limits of ${limitedName(change, relay)} let messages go again`,
        limitedFacts(change, relay)
      )
    case "LeftAlone":
      return LogEvent.warning(
        "flow.left_alone",
        `${nameOf(change, relay)} is left alone until ${timeOf(change.until)}${change.reply === undefined ? "" : `, because of "${change.reply}"`}`,
        { ...factsOf(change, relay), until: timeOf(change.until) }
      )
    case "TakesAgain":
      return LogEvent.info("flow.takes_again", `${nameOf(change, relay)} takes messages again`, factsOf(change, relay))
    case "LimitsAsked": {
      const { atOnce, forMs, slowTo } = change
      const limits = [
        ...(slowTo === undefined ? [] : [Limit.format(slowTo)]),
        ...(atOnce === undefined ? [] : [`${atOnce} ${atOnce === 1 ? "message" : "messages"} at once`])
      ]
      return LogEvent.warning(
        "flow.limits_asked",
        `${nameOf(change, relay)} gets at most ${limits.join(" and ")} for ${forMs} ms, as the rule for its reply says`,
        { ...factsOf(change, relay, slowTo && Limit.perSecond(slowTo)), forMs }
      )
    }
  }
}

interface Place {
  readonly lane: string | undefined
}

interface LimitedPlace {
  readonly gate: Limited
  readonly key: string | undefined
}

const limitedName = ({ gate, key }: LimitedPlace, relay: string): string =>
  gate === "rate" ? relay : gate === "tenant" ? `tenant ${key}` : (key ?? "")

const limitedFacts = ({ gate, key }: LimitedPlace, relay: string): LogEvent.Facts => ({
  relay,
  ...(key === undefined ? {} : { [gate]: key })
})

const timeOf = (at: number): string => new Date(at).toISOString()

const nameOf = ({ lane }: Place, relay: string): string => lane ?? relay

const factsOf = ({ lane }: Place, relay: string, perSecond?: number): LogEvent.Facts => ({
  relay,
  ...(lane === undefined ? {} : { lane }),
  ...(perSecond === undefined ? {} : { perSecond })
})

const rounded = (rate: number): number => Number(rate.toPrecision(2))
