/**
 * Limits on how many new connections to a relay are opened in a time, as in `5/s` or `300/m`.
 *
 * Many providers count connections beside messages, and refuse a client that opens ten at once although it sends little.
 * Connections are opened one by one, evenly spaced, so that no window holds more than the limit and one. An opening that
 * tries several addresses of the relay counts once.
 *
 * Each process counts its own connections; give each of three processes a third.
 *
 * @example
 * ```ts
 * import * as ConnectionRate from "@mailrace/flow/ConnectionRate"
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Result from "effect/Result"
 *
 * export const relay = SmtpTransport.layer({
 *   host: "mail.example.com",
 *   connectionRate: Result.getOrThrow(ConnectionRate.parse(["5/s", "1000/h"]))
 * })
 * ```
 *
 * @since 0.1.0
 */

import * as Result from "effect/Result"
import * as Limit from "./Limit.ts"
import { oneMessage, RateLimit } from "./RateLimit.ts"

/**
 * Decides when the next connection may be opened. Pure: the caller passes the time in milliseconds, on any scale that does
 * not jump.
 *
 * @since 0.1.0
 */
export interface ConnectionRate {
  /** The earliest time, from `now` on, at which the next connection may be opened. */
  readonly availableAt: (now: number) => number
  /** Counts a connection that is being opened. */
  readonly opened: (now: number) => void
}

/**
 * Makes the limits, which all hold together. They count new connections; limits of other units are left out.
 *
 * @since 0.1.0
 */
export const make = (limits: ReadonlyArray<Limit.Limit>): ConnectionRate => {
  const rate = new RateLimit(
    limits.filter(({ unit }) => unit === "connections"),
    undefined,
    true
  )
  return {
    availableAt: (now) => rate.availableAt(now, oneMessage),
    opened: (now) => rate.admit(now, oneMessage)
  }
}

/**
 * Reads limits of the form `5/s` or `5 connections/s`; see `Limit.parse`. Fails with the fault as a sentence.
 *
 * @since 0.1.0
 */
export const parse = (texts: ReadonlyArray<string>): Result.Result<ConnectionRate, string> => {
  const limits: Array<Limit.Limit> = []
  for (const text of texts) {
    const limit = Limit.parse(text)
    if (Result.isFailure(limit)) return Result.fail(limit.failure)
    const { unit } = limit.success
    if (unit === "recipients" || unit === "bytes") {
      return Result.fail(`"${text}" counts ${unit} and not connections; write it as 5/s or 300/m`)
    }
    limits.push({ ...limit.success, unit: "connections" })
  }
  return Result.succeed(make(limits))
}
